"""kill -9 at every failpoint of broker and agents, in a city at work.

Each case starts the program that has the point anew with SHUYI_FAILPOINT set, waits until it died of it, starts it again and checks
that what was acknowledged is there, once and in order, and that every receipt stands."""
import re, sys, threading

from town import HERE, Failed, Town, equal, wait_for
import tap

# Whose point it is, by the word before the dot.
BROKER = ("apply", "group", "sync", "state", "deliver", "segment", "tiles")
PROVIDER = ("outbox", "sealed", "settled")
CONSUMER = ("inbox", "sink")
# Points that the broker does not come to in a town of today: test_segment.c, test_rewrite.c and test_witness.c kill there.
ELSEWHERE = ("segment.after_retire", "rewrite.half_written", "rewrite.before_sync", "rewrite.before_rename", "rewrite.after_rename",
             "witness.before_state", "witness.before_rename", "witness.after_rename", "witness.after_state",
             "base.half_written", "base.before_sync", "base.before_rename", "base.after_rename")
# Points of a new log file or of a tile filled up: to come to the next one takes more data.
NEW_FILE = ("segment.before_rename", "segment.after_rename", "tiles.before_upper")
COUNTS = (1, 12)


def failpoints():
    """Every name in the sources."""
    root, names = HERE.parents[2], set()
    for folder in ("broker", "agent", "common"):
        for path in (root / folder).rglob("*.c"):
            names.update(re.findall(r'FAILPOINT\("([a-z_.]+)"\)', path.read_text()))
    return sorted(n for n in names if not n.startswith(ELSEWHERE))


def owner(town, name):
    word = name.split(".")[0]
    for words, process in ((BROKER, town.city.broker), (PROVIDER, town.civil), (CONSUMER, town.health)):
        if word in words:
            return process
    raise Failed(f"{name}: whose failpoint is this?")


def kill_at(town, name, count):
    process = owner(town, name)
    actor = town.civil if process is town.health else town.health
    town.wait_up()
    before, during = town.prepare_act(actor), town.prepare_act(actor)
    town.feed.go(100 if name in NEW_FILE else 10)
    town.receipted(*town.act(before))
    process.kill()
    town.start_doomed(process, f"{name}:{count}")
    sent = []
    acting = threading.Thread(target=lambda: sent.append(town.act(during)))
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


def case(name, count):
    def run(town):
        try:
            kill_at(town, name, count)
        except Exception:
            town.tails()
            raise
    run.__name__ = f"test_killed_at_{name}:{count}_nothing_is_lost_doubled_or_out_of_order"
    return run


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
    tests = {f"test_{n}:{c}": case(n, c) for n in points for c in COUNTS if c == 1 or n not in NEW_FILE}
    tap.run({**tests, **last}, before=lambda: Town(sys.argv[1]), after=lambda town: town.end())
