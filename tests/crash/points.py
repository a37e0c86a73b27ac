"""kill -9 at every failpoint of broker, agents and witness, in a city at work.

Each case starts the program that has the point anew with SHUYI_FAILPOINT set, waits until it died of it, starts it again and checks
that what was acknowledged is there, once and in order, and that every receipt stands."""
import re, sys, threading, time

from town import HERE, SLOW, Failed, Town, equal, wait_for
from city import Witness
from tap import contains
import tap

# Whose point it is, by the word before the dot.
BROKER = ("apply", "group", "sync", "state", "deliver", "segment", "tiles", "base", "published", "index")
PROVIDER = ("outbox", "sealed", "settled", "acts", "turn")
CONSUMER = ("inbox", "sink")
WITNESS = ("witness",)
# Points that the broker does not come to in a town of today, and who kills there.
REWRITE = "integration/test_broker_retention.c"
ELSEWHERE = {"segment.after_retire": "crash/test_segment.c", "rewrite.half_written": REWRITE, "rewrite.before_sync": REWRITE, "rewrite.before_rename": REWRITE,
             "rewrite.after_rename": REWRITE}
# Points of a new log file or of a tile filled up: to come to the next one takes more data.
NEW_FILE = ("segment.before_rename", "segment.after_rename", "tiles.before_upper")
# Points that come once a second or less often.
RARE = ("base", "published", "index", "witness")
COUNTS = (1, 12)
BASE = "base:\n  every_entries: 100\n"


def named():
    """Every name in the sources."""
    root, names = HERE.parents[2], set()
    for folder in ("broker", "agent", "common"):
        for path in (root / folder).rglob("*.c"):
            names.update(re.findall(r'FAILPOINT\("([^"]*)"\)', path.read_text()))
    return names


def failpoints():
    """Those that a town comes to."""
    return sorted(named() - ELSEWHERE.keys())


class PointsTown(Town):
    """With a witness, so that heads are published, and state images now and then."""

    def build(self):
        self.witness = Witness(self.city, "archive")
        self.anchor_more = {"witnesses": [self.witness.vkey], "witness_quorum": 1}
        return super().build(BASE)

    def start_center(self, more=""):
        self.city.add(self.witness.serve(self.anchor))
        super().start_center(f"{more}witnesses:\n  - name: {self.witness.full_name}\n    url: {self.witness.url}\n")


def owner(town, name):
    word = name.split(".")[0]
    for words, process in ((BROKER, town.city.broker), (PROVIDER, town.civil), (CONSUMER, town.health), (WITNESS, town.witness)):
        if word in words:
            return process
    raise Failed(f"{name}: whose failpoint is this?")


def kill_at(town, name, count):
    process = owner(town, name)
    actor = town.civil if process is town.health else town.health
    town.wait_up()
    if name.startswith("acts"):
        actor = process
    before, during = town.prepare_act(actor), town.prepare_act(actor)
    town.feed.go(100 if name in NEW_FILE else 10)
    town.receipted(*town.act(before))
    process.kill()
    town.start_doomed(process, f"{name}:{count}")
    sent = []
    acting = threading.Thread(target=lambda: sent.append(town.act(during) if actor is not process else act_at_last(town, during)))
    acting.start()
    town.wait_died(process, name)
    town.must_live(but=process)
    town.wait_up()
    pushed = len(town.feed.expected)
    wait_for("more to be pushed", lambda: town.feed.fault or len(town.feed.expected) > pushed + 20)
    town.settle()
    acting.join()
    equal(len(sent), 1, "acts sent while it died")
    town.receipted(*sent[0])
    town.receipts_stand(list(town.standing)[-4:])
    town.must_live()


def act_at_last(town, prepared):
    """Given again until the agent says that it has it: the first time it dies before it answers."""
    end = time.monotonic() + SLOW
    while True:
        try:
            return town.act(prepared)
        except Failed:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def case(name, count):
    def run(town):
        try:
            kill_at(town, name, count)
        except Exception:
            town.tails()
            raise
    run.__name__ = f"test_killed_at_{name}:{count}_nothing_is_lost_doubled_or_out_of_order"
    return run


def test_every_failpoint_of_the_sources_is_driven_here_or_where_it_is_said(_):
    names = named()
    equal(sorted(ELSEWHERE.keys() - names), [], "failpoints driven elsewhere that are in no source")
    for name in sorted(names):
        equal(re.fullmatch(r"[a-z]+\.[a-z_]+", name) is not None, True, name)
        if name in ELSEWHERE:
            contains((HERE.parents[1] / ELSEWHERE[name]).read_text(), f'"{name}"')
        else:
            equal(name.split(".")[0] in (*BROKER, *PROVIDER, *CONSUMER, *WITNESS), True, f"{name}: whose failpoint is this?")


def test_at_the_end_every_record_is_at_the_consumer_as_at_the_source(town):
    town.wait_up()
    town.settle()
    town.compare_all()
    equal({town.push_state(i) for i in range(0, len(town.feed.pushes), 7)}, {"received"}, "states of pushes")


def test_at_the_end_every_receipt_stands(town):
    town.receipts_stand()


def test_at_the_end_the_log_derives_again_and_no_number_is_used_twice(town):
    try:
        town.log_holds()
    except Exception:
        town.tails()
        raise


if __name__ == "__main__":
    only = sys.argv[2:]
    points = [n for n in failpoints() if not only or any(o in n for o in only)]
    last = {k: v for k, v in globals().items() if k.startswith("test_")}
    tests = {f"test_{n}:{c}": case(n, c) for n in points for c in COUNTS
             if c == 1 or (n not in NEW_FILE and not n.startswith((*RARE, "acts")))}
    tap.run({**tests, **last}, before=lambda: PointsTown(sys.argv[1]), after=lambda town: town.end())
