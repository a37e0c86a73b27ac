"""Load through the real agents: pushes over HTTP at one end, lines of an NDJSON file at the other."""
import ctypes, json, multiprocessing, os, re, select, threading, time

from city import Failed, UnixConnection, wait_for

BATCH = 100                     # records a push
AHEAD = 20000                   # records pushed and not yet in the sink
BODIES = 16
PUSHERS = 4
MEMO = 830                      # with the rest some 1,024 bytes of JSON


def record(code, memo):
    return {"op": "UPSERT", "changed_at": "2026-02-12T02:00:00.000Z",
            "values": {"code": code, "name": "示例社区居委会", "level": "village", "parent": "442000001", "memo": memo}}


def cpu_us(process):
    with open(f"/proc/{process.process.pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")


def quantile(values, q):
    ordered = sorted(values)
    return ordered[int(q * (len(ordered) - 1))]


class Pusher:
    """One kept connection to the provider's agent."""

    def __init__(self, foundation, resource):
        self.path = f"/v1/resources/{resource}/records"
        self.connection = UnixConnection(foundation.civil.socket)

    def push(self, body):
        """True: taken; False: full, try later."""
        self.connection.request("POST", self.path, body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status not in (202, 429):
            raise Failed(f"push: {answer.status} {text.decode(errors='replace')[:200]}")
        return answer.status == 202


class Throughput:
    """As many as go, with so many pushes on their way that neither end runs dry; counted in the sink's file."""

    def __init__(self, foundation, resource):
        self.foundation, self.resource, self.sink = foundation, resource, foundation.health.sink
        self.bodies = [json.dumps({"records": [record(f"4420{b:04}{i:04}", "m" * MEMO) for i in range(BATCH)]}, ensure_ascii=False).encode()
                       for b in range(BODIES)]
        self.pushed, self.sunk, self.stop, self.failure = 0, 0, False, None
        self.lock = threading.Lock()

    def size(self):
        return self.sink.stat().st_size if self.sink.exists() else 0

    def work(self):
        try:
            pusher = Pusher(self.foundation, self.resource)
            turn = 0
            while not self.stop:
                if self.pushed - self.sunk > AHEAD or not pusher.push(self.bodies[turn % BODIES]):
                    time.sleep(0.002)
                    continue
                turn += 1
                with self.lock:
                    self.pushed += BATCH
        except (OSError, Failed) as e:
            self.failure = e

    def follow(self, until):
        """Counts what comes to the sink, some 50 times a second, so that the pushers know."""
        while time.monotonic() < until and not self.failure:
            self.count()
            time.sleep(0.02)

    def count(self):
        data = os.pread(self.file, 64 << 20, self.at)
        self.sunk += data.count(b"\n")
        self.at += len(data)

    def gauges(self):
        self.count()
        f = self.foundation
        return time.monotonic(), self.sunk, [cpu_us(p) for p in (f.civil, f.city.broker, f.health)]

    def run(self, warm, seconds):
        self.sink.touch()
        self.file, self.at = os.open(self.sink, os.O_RDONLY), self.size()
        threads = [threading.Thread(target=self.work) for _ in range(PUSHERS)]
        for t in threads:
            t.start()
        try:
            self.follow(time.monotonic() + warm)
            began, sunk, cpu = self.gauges()
            self.follow(time.monotonic() + seconds)
            ended, sunk_after, cpu_after = self.gauges()
        finally:
            self.stop = True
            for t in threads:
                t.join()
        self.check_all()
        records = sunk_after - sunk
        if not records:
            raise Failed("nothing came to the sink")
        used = [(b - a) / records for a, b in zip(cpu, cpu_after)]
        return {"delivered": records / (ended - began), "provider": used[0], "broker": used[1], "consumer": used[2]}

    def check_all(self):
        """Everything that was answered 202 must be in the sink, once."""
        if self.failure:
            raise Failed(f"pushing: {self.failure}")
        def all_there():
            self.count()
            return self.sunk >= self.pushed
        wait_for("all records to come to the sink", all_there)
        if self.sunk != self.pushed:
            raise Failed(f"{self.pushed} records pushed, {self.sunk} lines in the sink")
        os.close(self.file)


# ---- latency ----

MARK = re.compile(rb'"memo":"bench-(\d+)-')
IN_MODIFY = 2


def watch(sink, expected, ready, answers):
    """When each marked line came to the file, in a process of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    notify = libc.inotify_init()
    if notify < 0 or libc.inotify_add_watch(notify, os.fsencode(sink), IN_MODIFY) < 0:
        raise OSError("inotify")
    file = os.open(sink, os.O_RDONLY)
    at, rest, seen, end = os.fstat(file).st_size, b"", {}, time.monotonic() + 120
    ready.set()
    while len(seen) < expected and time.monotonic() < end:
        if select.select([notify], [], [], 0.2)[0]:
            os.read(notify, 65536)
        data, now = os.pread(file, 16 << 20, at), time.monotonic_ns()
        at += len(data)
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            mark = MARK.search(line)
            if mark:
                seen[int(mark[1])] = now
    answers.put(seen)


class Latency:
    """One record a push at a fixed rate: from when it was due to be pushed until its line is in the sink's file."""

    def __init__(self, foundation, resource):
        self.foundation, self.resource, self.sink = foundation, resource, foundation.health.sink

    def work(self, numbers, start, rate):
        pusher = Pusher(self.foundation, self.resource)
        for n in numbers:
            body = json.dumps({"records": [record(f"4420{n % 10 ** 8:08}", f"bench-{n}-".ljust(MEMO, "m"))]}).encode()
            due = start + n * 1000000000 // rate
            while (left := due - time.monotonic_ns()) > 0:
                time.sleep(left / 1e9)
            if not pusher.push(body):
                raise Failed("the outbox is full")
            self.due[n], self.taken[n] = due, time.monotonic_ns()

    def run(self, rate, seconds):
        count = rate * seconds
        self.due, self.taken = {}, {}
        ready, answers = multiprocessing.Event(), multiprocessing.Queue()
        watcher = multiprocessing.Process(target=watch, args=(self.sink, count, ready, answers), daemon=True)
        watcher.start()
        if not ready.wait(10):
            raise Failed("the sink cannot be watched")
        start = time.monotonic_ns() + 50000000
        threads = [threading.Thread(target=self.work, args=(range(i, count, PUSHERS), start, rate)) for i in range(PUSHERS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        seen = answers.get(timeout=120)
        watcher.join()
        if len(seen) < count or len(self.taken) < count:
            raise Failed(f"{count} to push, {len(self.taken)} taken, {len(seen)} came to the sink")
        first = rate // 2               # what came while all warmed up does not count
        taken = [(self.taken[n] - self.due[n]) / 1e3 for n in range(first, count)]
        delivered = [(seen[n] - self.due[n]) / 1e3 for n in range(first, count)]
        return {f"{name}_{label}": quantile(values, q) for name, values in (("taken", taken), ("delivered", delivered))
                for label, q in (("p50", 0.5), ("p99", 0.99))}
