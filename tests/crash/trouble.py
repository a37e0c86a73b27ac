"""What may go wrong on a bad day, one trouble a class: begun, and ended after a while.  All of one town's are begun and ended by one thread."""
import signal, time

from points import BROKER, CONSUMER, PROVIDER, WITNESS, failpoints
from space import Filled, agent_setting, replace, used
from storm import YOUNG
from town import Failed

BROKERS_SHARE = 3                       # how many times an agent's share of the troubles the broker has


class Trouble:
    """`target` is a process or None; two troubles with one key do not happen at a time."""

    def __init__(self, storm, random, target=None):
        self.storm, self.random, self.target = storm, random, target

    def key(self):
        return type(self).__name__, self.target

    def name(self):
        return type(self).__name__ + (f" {self.target.name}" if self.target else "") + self.detail()

    def detail(self):
        return ""

    def seconds(self):
        return self.random.uniform(0.2, 3)

    def begin(self):
        pass

    def end(self):
        pass

    @staticmethod
    def targets(storm):
        return storm.running()


class Held(Trouble):
    """A trouble that takes its process whole: killed and stopped do not go together."""

    def key(self):
        return "process", self.target


class Killed(Held):
    """SIGKILL; started again after a while, at times at once."""

    def seconds(self):
        return self.random.choice((0, 0, self.random.uniform(0, 4)))

    def begin(self):
        self.storm.down.add(self.target)
        self.storm.doomed.pop(self.target, None)
        self.target.kill()

    def end(self):
        if self.target not in self.storm.retired:
            self.storm.up(self.target)
        self.storm.down.discard(self.target)


class Doomed(Killed):
    """Killed, and started so that it dies again at a failpoint; after that it is started as usual."""

    def __init__(self, storm, random, target):
        super().__init__(storm, random, target)
        self.point = f"{random.choice(storm.points[target.name.split('-')[0]])}:{random.randint(1, 25)}"

    def detail(self):
        return f" at {self.point}"

    def seconds(self):
        return 0

    def end(self):
        if self.target not in self.storm.retired:
            self.storm.doomed[self.target] = self.point
            self.target.env["SHUYI_FAILPOINT"] = self.point
            try:
                self.storm.up(self.target)
            finally:
                del self.target.env["SHUYI_FAILPOINT"]
        self.storm.down.discard(self.target)

    @staticmethod
    def targets(storm):
        return [p for p in storm.running() if p.name.split("-")[0] in storm.points]


class Ended(Killed):
    """SIGTERM, as an operator would: it must end in order."""

    def begin(self):
        self.storm.down.add(self.target)
        self.storm.doomed.pop(self.target, None)
        self.target.process.send_signal(signal.SIGTERM)
        self.target.process.wait(60)
        code = self.target.process.returncode
        young = code == -signal.SIGTERM and time.monotonic() < self.storm.started.get(self.target, 0) + YOUNG
        if code not in (0, -signal.SIGKILL) and not young:      # a failpoint may have been quicker
            raise Failed(f"{self.target.name}, asked to end, ended with {code}")


class Frozen(Held):
    """SIGSTOP for seconds: to all others it is silent."""

    def begin(self):
        self.target.process.send_signal(signal.SIGSTOP)

    def end(self):
        self.target.process.send_signal(signal.SIGCONT)


class SlowDisk(Trouble):
    """Each sync takes so much longer."""

    def __init__(self, storm, random, target):
        super().__init__(storm, random, target)
        self.ms = random.choice((5, 20, 100, 400))

    def detail(self):
        return f" by {self.ms} ms"

    def begin(self):
        self.storm.disks[self.target].set(self.ms)

    def end(self):
        self.storm.disks[self.target].set(0)

    @staticmethod
    def targets(storm):
        return [p for p in storm.running() if p in storm.disks] if storm.rigged else []


class WrongClock(Trouble):
    """A step that the rules allow for: an agent's minutes, seconds of the broker."""

    def __init__(self, storm, random, target):
        super().__init__(storm, random, target)
        self.ms = random.randint(-2000, 2000) if target is storm.city.broker else random.randint(-200000, 200000)

    def key(self):
        return "clock", self.target

    def detail(self):
        return f" by {self.ms} ms"

    def begin(self):
        self.storm.clocks[self.target].set(self.ms)

    def end(self):
        self.storm.clocks[self.target].set(0)

    @staticmethod
    def targets(storm):
        return [p for p in storm.running() if p in storm.clocks] if storm.rigged else []


class FarClock(WrongClock):
    """An agent's clock is wrong by hours: it trusts nothing meanwhile, and goes on when it is set right."""

    def __init__(self, storm, random, target):
        super().__init__(storm, random, target)
        self.ms = random.choice((-1, 1)) * random.randint(1, 5) * 3600000

    @staticmethod
    def targets(storm):
        return [p for p in WrongClock.targets(storm) if p is not storm.city.broker]


class LyingClock(WrongClock):
    """A step of the broker's clock that nobody may believe: it stops stamping until it is started with the right time."""

    def __init__(self, storm, random, target):
        super().__init__(storm, random, target)
        self.ms = random.choice((-3600000, 40 * 86400000))

    def end(self):
        super().end()
        self.storm.restart(self.target)

    @staticmethod
    def targets(storm):
        return [storm.city.broker] if storm.rigged and storm.city.broker in storm.running() else []


class Link(Trouble):
    @staticmethod
    def targets(storm):
        return [p for p in storm.running() if p in storm.wire_of]

    def key(self):
        return "link", self.target

    def wire(self):
        return self.storm.wire_of[self.target]

    def end(self):
        self.wire().mend()


class LinkReset(Link):
    def seconds(self):
        return 0

    def begin(self):
        self.wire().cut()


class LinkAway(Link):
    def begin(self):
        self.wire().close()


class LinkSilent(Link):
    """Nothing passes and nothing is closed; then what was held arrives, or the link is given up before."""

    def seconds(self):
        return self.random.choice((1, 3, 8))

    def begin(self):
        self.wire().hold()


class LinkSlow(Link):
    def begin(self):
        self.wire().slow(self.random.choice((0.01, 0.05, 0.3)))


class LinkHalfClosed(Link):
    def begin(self):
        self.wire().half_close(self.random.random() < 0.5)

    def end(self):
        self.wire().cut()


class LittleSpace(Trouble):
    """The broker's disk is counted as nearly full."""

    def __init__(self, storm, random, target=None):
        super().__init__(storm, random, target)
        self.percent = random.choice((85, 92, 97))

    def detail(self):
        return f", {self.percent} %"

    def begin(self):
        limit = used(self.storm.directory / "broker" / "store") * 100 // self.percent
        self.storm.configure(space=f"space:\n  limit_bytes: {limit}\n")

    def end(self):
        self.storm.configure(space=None)

    @staticmethod
    def targets(storm):
        return [None]


class SmallQuota(Trouble):
    """The provider's outbox takes little: pushes are answered 429."""

    def begin(self):
        self.set("quota: 64KiB")

    def end(self):
        self.set("quota: ")

    def set(self, line):
        agent_setting(self.target, "outbox", line)
        if self.target.alive() and time.monotonic() > self.storm.started.get(self.target, 0) + YOUNG:
            self.target.process.send_signal(signal.SIGHUP)

    @staticmethod
    def targets(storm):
        return [storm.civil]


class FullDisk(Trouble):
    """No byte is left under a program's store.  A broker that uses up what it keeps back may end, and say so."""

    PLACES = {"broker": "broker/store", "civil": "civil/state", "health": "health"}

    def begin(self):
        self.filled = Filled(self.storm.directory / self.PLACES[self.target.name], 100)
        self.filled.__enter__()
        self.storm.may_end.add(self.target)

    def end(self):
        self.filled.__exit__()
        if not self.target.alive() and self.target not in self.storm.down:
            self.storm.up(self.target)
        self.storm.may_end.discard(self.target)

    @staticmethod
    def targets(storm):
        return [p for p in storm.running() if p.name in FullDisk.PLACES] if storm.mounted else []


class Reload(Trouble):
    """SIGHUP: a good change, or a file with a fault, which must change nothing."""

    def seconds(self):
        return 0.3

    def begin(self):
        good = self.random.random() < 0.5
        self.storm.configure(link="link.:\n  nonsense: 1\n" if not good else None)
        if good:
            text = self.storm.good_config.replace("link:\n", f"link:\n  credit_frames: {self.random.choice((8, 64, 256))}\n")
            replace(self.storm.city.broker_config, text)
            self.storm.hang_up()

    def end(self):
        self.storm.configure(link=None)

    @staticmethod
    def targets(storm):
        return [storm.city.broker] if storm.city.broker in storm.running() else []


# How often each, by weight.
TROUBLES = {Killed: 8, Doomed: 8, Ended: 3, Frozen: 4, SlowDisk: 3, WrongClock: 3, FarClock: 1, LyingClock: 1, LinkReset: 4, LinkAway: 2, LinkSilent: 2, LinkSlow: 2,
            LinkHalfClosed: 2, LittleSpace: 2, SmallQuota: 1, FullDisk: 2, Reload: 2}


def points_by_name():
    """Failpoints by the first word of a process' name; the witness' points are its own."""
    words = {"broker": BROKER, "civil": PROVIDER, "health": CONSUMER}
    found = {name: [p for p in failpoints() if p.split(".")[0] in of] for name, of in words.items()}
    for name in ("archive", "audit", "court"):
        found[name] = [p for p in failpoints() if p.split(".")[0] in WITNESS]
    found["health"].append("turn.before_commit")
    return found


class Weather:
    """Begins and ends troubles by a seed until the time is up; every process that ends by itself ends the storm."""

    def __init__(self, storm, random, at_once=3):
        self.storm, self.random, self.at_once, self.active, self.counts = storm, random, at_once, [], {}
        storm.down, storm.doomed, storm.may_end = set(), {}, set()
        storm.points = points_by_name()
        if b"SHUYI_FAILPOINT" not in storm.city.bin("broker/shuyi-broker").read_bytes():
            storm.points = {}
        storm.running = lambda: [p for p in list(storm.city.processes) if p not in storm.down and p.alive()]
        storm.restart, storm.up = self.restart, self.up

    def up(self, process):
        """Starts it; a broker with a file that is right, for another would be an operator's mistake."""
        if process is self.storm.city.broker:
            self.storm.configure(link=None)
        process.start()
        self.storm.started[process] = time.monotonic()

    def restart(self, process):
        """By hand, whatever it is doing."""
        if process not in self.storm.down and process.process:
            self.storm.doomed.pop(process, None)
            process.kill()
            self.storm.up(process)

    def rage(self, seconds):
        start = time.monotonic()
        looked = 0
        try:
            while (now := time.monotonic()) < start + seconds:
                for t in [t for t in self.active if t.until <= now]:
                    self.finish(t)
                self.watch()
                if len(self.active) < self.at_once and self.random.random() < 0.5:
                    self.another(now, now - start)
                if now > looked + 2:
                    self.storm.look()
                    looked = now
                time.sleep(self.random.uniform(0.05, 0.4))
        finally:
            for t in list(self.active):
                self.finish(t)
        self.watch()

    def another(self, now, elapsed):
        kind = self.random.choices(list(TROUBLES), TROUBLES.values())[0]
        targets = kind.targets(self.storm)
        if not targets:
            return
        if kind is Doomed and not self.storm.points:
            return
        t = kind(self.storm, self.random, self.random.choices(targets, [BROKERS_SHARE if p is self.storm.city.broker else 1 for p in targets])[0])
        if any(t.key() == other.key() for other in self.active):
            return
        t.until = now + t.seconds()
        print(f"# {elapsed:6.1f} s: {t.name()}", flush=True)
        self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + 1
        self.active.append(t)
        t.begin()

    def finish(self, t):
        self.active.remove(t)
        if t.target is None or t.target not in self.storm.retired or isinstance(t, (FullDisk, Killed)):
            t.end()

    def watch(self):
        """Who does not run has been ended by us, or by its failpoint."""
        for p in list(self.storm.city.processes):
            if p.alive() or p in self.storm.down or p in self.storm.retired:
                continue
            code = p.process.returncode
            if p in self.storm.doomed and code == -signal.SIGKILL:
                print(f"#          {p.name} died at {self.storm.doomed.pop(p)}", flush=True)
                self.storm.up(p)
            elif p in self.storm.may_end:
                if code <= 0:
                    raise Failed(f"{p.name} on a full disk ended with {code}")
            elif p not in self.storm.retired:
                raise Failed(f"{p.name} ended by itself with {code}")
        for feed in self.storm.feeds:
            if feed.fault:
                raise feed.fault
