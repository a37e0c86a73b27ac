"""A city for tests that break it: its feed of records, what must have arrived, and the receipts that must stand."""
import base64, json, os, pathlib, shutil, signal, sys, tempfile, threading, time

HERE = pathlib.Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2] / "deploy" / "demo.d"), str(HERE.parents[1] / "lib")]

from city import City, Failed, wait_for
from data import ITEMS, Source
from foundation import CIVIL, Foundation
from segments import entries, fields
from tap import equal

PAUSE = 0.02                            # between pushes: enough to keep every stage at work
SLOW = 60


class SmallLog(City):
    """Small log files, so that the log comes to new ones."""

    def configure_broker(self, domain, origin, more=""):
        super().configure_broker(domain, origin, more)
        text = self.broker_config.read_text()
        self.broker_config.write_text(text.replace(f"  origin: {origin}\n", f"  origin: {origin}\n  segment_bytes: 2MiB\n"))


class Feed:
    """The business system: pushes seeded changes, one push after the other, each until the agent takes it."""

    def __init__(self, agent, resource):
        self.agent, self.resource, self.source = agent, resource, Source(442000)
        self.expected, self.pushes, self.batch, self.answers = [], [], 10, {}
        self.again = (0, 429, 503, 507)         # statuses after which the same push is tried again
        self.going, self.idle, self.ending, self.fault = threading.Event(), threading.Event(), False, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.ending:
                self.idle.clear()       # before the look at `going`: who clears that and sees us idle knows that no push begins
                if self.going.is_set():
                    self.push([self.source.change() for _ in range(self.batch)])
                    time.sleep(PAUSE)
                else:
                    self.idle.set()
                    self.going.wait(0.1)
        except BaseException as fault:
            self.fault = fault
            self.idle.set()

    def push(self, records):
        key = f"push-{len(self.pushes)}"
        while not self.ending:
            status, answer = self.once(records, key)
            self.answers[status] = answer
            if status == 202:
                self.pushes.append(answer["id"])
                self.expected += [(r["op"], r["values"]["code"], r["values"] if r["op"] == "UPSERT" else None) for r in records]
                return
            if status not in self.again:
                raise Failed(f"push refused with {status}: {answer}")
            time.sleep(0.05)

    def once(self, records, key):
        try:
            return self.agent.call("POST", f"/v1/resources/{self.resource}/records", {"records": records}, {"Idempotency-Key": key})
        except Exception as away:       # killed before, while or after it answered: only the key can tell
            return 0, str(away)

    def go(self, batch=10):
        self.batch = batch
        self.answers.clear()
        self.going.set()

    def pause(self):
        """No push is under way when this returns."""
        self.going.clear()
        wait_for("the push under way to be taken", lambda: self.fault or self.idle.is_set(), SLOW)
        if self.fault:
            raise self.fault

    def end(self):
        self.ending = True
        self.thread.join(10)


class Town(Foundation):
    def __init__(self, build, prepare=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="shuyi-crash-"))
        self.keep = False
        super().__init__(SmallLog(build, self.directory))
        if prepare:
            prepare(self)
        try:
            self.resource, self.grant = self.build()
        except BaseException:
            self.tails()
            self.end()
            raise
        self.feed = Feed(self.civil, self.resource)
        self.standing, self.entries, self.checked, self.checked_at, self.persons = {}, {}, 0, 0, 0

    def end(self):
        if hasattr(self, "feed"):
            self.feed.end()
        self.city.stop()
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def tails(self):
        """What the programs said last, for whoever reads the failure."""
        for process in self.city.processes:
            text = process.log.read_text(errors="replace").splitlines()[-12:] if process.log.exists() else []
            for line in text:
                print(f"# {process.name}: {line[:400]}")

    # ---- processes ----

    @staticmethod
    def start_doomed(process, failpoint):
        """Starts it with a failpoint: it may die at any moment from here on."""
        os.environ["SHUYI_FAILPOINT"] = failpoint
        try:
            process.start()
        finally:
            del os.environ["SHUYI_FAILPOINT"]

    def agents(self):
        return [p for p in self.city.processes if hasattr(p, "socket")]

    def must_live(self, but=None):
        dead = [p.name for p in self.city.processes if p is not but and not p.alive()]
        if dead:
            raise Failed(f"ended by themselves: {', '.join(dead)}")

    def wait_up(self):
        """Starts what does not run, and waits until all are linked."""
        for process in self.city.processes:
            if not process.alive():
                process.start()
        wait_for("the broker to be ready", self.city.ready, SLOW)
        for agent in self.agents():
            wait_for(f"the agent {agent.name} to be linked", agent.linked, SLOW)

    def wait_died(self, process, failpoint):
        wait_for(f"{process.name} to die at {failpoint}", lambda: not process.alive() or self.feed.fault, SLOW)
        if self.feed.fault:
            raise self.feed.fault
        equal(process.process.returncode, -signal.SIGKILL, f"{process.name} at {failpoint}")

    # ---- what arrives ----

    def lines(self):
        """Whole lines in the consumer's file."""
        try:
            return self.health.sink.read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    def settle(self):
        """Waits until all that was taken has arrived, and compares it line by line."""
        self.feed.pause()
        total = len(self.feed.expected)
        wait_for(f"{total} records at the consumer, of which {self.lines()} are there", lambda: self.lines() >= total, SLOW)
        self.compare(self.checked, self.checked_at)
        wait_for("the last push to be received by the center", lambda: self.push_state(-1) == "received", SLOW)

    def compare(self, first=0, offset=0):
        """From one line on: each record taken is there once, in order, as it was pushed; the stream has no hole."""
        with open(self.health.sink, "rb") as f:
            f.seek(offset)
            found = [json.loads(line) for line in f.read().splitlines()]
            end = f.tell()
        for i, row in enumerate(found):
            record = (row["op"], row["key"], row["values"] if row["op"] == "UPSERT" else None)
            if first + i >= len(self.feed.expected):
                raise Failed(f"line {first + i + 1} was never pushed or came twice: {row}")
            if record != self.feed.expected[first + i]:
                raise Failed(f"line {first + i + 1} is {record}, pushed was {self.feed.expected[first + i]}")
        equal(first + len(found), len(self.feed.expected), "records at the consumer")
        places = [(r["stream_seq"], r["index"]) for r in found]
        for before, place in zip(places, places[1:]):
            if place != (before[0], before[1] + 1) and not (place[0] > before[0] and place[1] == 0):
                raise Failed(f"{place} follows {before}")
        self.checked, self.checked_at = first + len(found), end
        return found

    def compare_all(self):
        """The whole file from its first line, and the rows that it makes."""
        rows = {}
        for r in self.compare():
            if r["op"] == "DELETE":
                rows.pop(r["key"], None)
            else:
                rows[r["key"]] = r["values"]
        equal(rows, {code: {k: row[k] for k in ITEMS} for code, row in self.feed.source.rows.items()}, "rows at the consumer")

    def push_state(self, index):
        status, answer = self.civil.call("GET", f"/v1/pushes/{self.feed.pushes[index]}")
        equal(status, 200, "a push that was taken is known")
        return answer["state"]

    # ---- acts and their receipts ----

    def prepare_act(self, agent):
        """A filing, not yet sent: its command's arguments."""
        nick, self.persons = f"p{self.persons}", self.persons + 1
        officer = self.people["civil_officer" if agent.department == CIVIL else "health_officer"]
        p = self.person(nick, f"新员{self.persons}", agent.department, "USER")
        return agent, officer, ("staff", "file", p.join, "--staff", p.staff_file)

    def act(self, prepared):
        """Sends it; its digest.  It may be kept only (4) while something is away."""
        agent, officer, arguments = prepared
        return agent, self.city.act(agent, officer, *arguments, expect=(0, 4))["digest"]

    def act_state(self, agent, digest):
        status, answer = agent.call("GET", f"/v1/acts/{digest}")
        equal(status, 200, "an act that was handed in is known")
        return answer

    def read_entry(self, digest):
        status, page = self.center.call("POST", "/v1/read", {"what": "ENTRY", "key": digest})
        equal((status, len(page.get("rows", ()))), (200, 1), f"the log's entry {digest}: {page}")
        return base64.b64decode(page["rows"][0])

    def receipted(self, agent, digest):
        """Waits for an act's receipt, and keeps it and the log's entry: both must stand for good."""
        def received():
            answer = self.act_state(agent, digest)
            return answer if answer["state"] == "received" else None
        self.standing[digest] = (agent, wait_for(f"the receipt of {digest}", received, SLOW))
        self.entries[digest] = self.read_entry(digest)
        self.entry_is_the_receipts(digest)

    def entry_is_the_receipts(self, digest):
        receipt, entry = self.standing[digest][1], fields(self.entries[digest])
        equal((receipt["seq"], receipt["accepted_at"], receipt["code"], receipt["leaf_hash"]),
              (entry[2], entry[3], entry.get(9, 0), entry[11].hex()), f"receipt and entry of {digest}")

    def receipts_stand(self, digests=None):
        for digest in digests or self.standing:
            agent, receipt = self.standing[digest]
            equal(self.act_state(agent, digest), receipt, "a receipt")
            equal(self.read_entry(digest), self.entries[digest], "the log's entry of a receipt")

    # ---- the log ----

    def log(self):
        """The log's entries out of its files; each number once."""
        found = entries(self.directory / "broker" / "store" / "log")
        equal([e.seq for e in found], list(range(1, len(found) + 1)), "the log's numbers")
        for what, key in (("place in a stream", lambda e: (e.stream, e.stream_seq) if e.stream_seq else None),
                          ("place in an outbox", lambda e: (e.link, e.lane, e.outbox_epoch, e.outbox_seq) if e.link else None),
                          ("envelope", lambda e: e.digest)):
            seen = {}
            for e in found:
                k = key(e)
                if k and k in seen:
                    raise Failed(f"entries {seen[k].seq} and {e.seq} have the same {what}")
                seen[k] = e
        return found

    def log_holds(self):
        """The broker stops; its log derives again, and the entries that receipts name stand where they say."""
        self.city.broker.stop()
        for how in (["--replay"], ["check"]):
            code, out, err = self.city.run([self.city.bin("broker/shuyi-broker"), *how, "--config", self.city.broker_config])
            equal(code, 0, f"shuyi-broker {how[0]}: {out}{err}")
        by_digest = {e.digest: e for e in self.log()}
        for digest, (_, receipt) in self.standing.items():
            e = by_digest[digest]
            equal((e.seq, e.accepted_at), (receipt["seq"], receipt["accepted_at"]), "an entry's place")
