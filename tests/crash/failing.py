"""Every allocation, file, LMDB and ZeroMQ call of broker and agents fails in turn, in a city at work.

A first life of each program tells the places it comes to (tests/lib/failing.c).  Then for each place the program is started with the first
call from there failing: it goes on, or it ends by itself and says why.  Afterwards, without faults, all that was acknowledged is
there once and in order, receipts stand, and at the end the log derives again.

    failing.py BUILD [--seed S] [--sites N | --all] [WORD ...]

Without --all a sample, drawn by the seed; with words only the places whose line has one of them."""
import argparse, os, random, re, sys, threading, time

from town import Failed, Town, equal, wait_for
import tap

NAMED = re.compile(r'"level":"(error|critical)"|^shuyi-|: |fault', re.M)
PATIENCE = 20                           # for a place to be come to: what has not been by then is not counted


class Programs:
    """The three programs under test, by name."""

    def __init__(self, town):
        self.town = town
        self.by_name = {"broker": town.city.broker, "provider": town.civil, "consumer": town.health}

    def start(self, process, **env):
        os.environ.update(LD_PRELOAD=str(library), **env)
        try:
            process.start()
        finally:
            for name in ("LD_PRELOAD", *env):
                del os.environ[name]


def survey(town):
    """What each program comes to from its start over a while of work to its end in order."""
    programs, found = Programs(town), {}
    for name, process in programs.by_name.items():
        path = town.directory / f"{name}.sites"
        town.wait_up()
        process.stop()
        programs.start(process, FAILING_SURVEY=str(path))
        town.wait_up()
        before = town.prepare_act(town.civil), town.prepare_act(town.health)
        town.feed.go()
        for act in before:
            town.receipted(*town.act(act))
        town.settle()
        process.stop()
        found[name] = [line.split() for line in path.read_text().splitlines()]
        town.wait_up()
    return found


def said(process, since):
    return process.log.read_text(errors="replace")[since:]


def hit(process, since):
    return "failing: " in said(process, since)


def quiet(call, *arguments):
    """A command beside the failing program: it may be refused, and is then not acknowledged."""
    try:
        return call(*arguments)
    except (Failed, OSError):
        return None


def end_was_clean(process, since):
    """It ended by itself with a status of its own, and its log says why."""
    code, text = process.process.returncode, said(process, since)
    if code < 0:
        raise Failed(f"{process.name} was ended by signal {-code}:\n{text[-1500:]}")
    after = text[text.index("failing: "):].split("\n", 1)[1]
    if not NAMED.search(after):
        raise Failed(f"{process.name} ended with {code} and did not say why:\n{text[-1500:]}")


def fail_at(town, name, offset):
    programs = Programs(town)
    process = programs.by_name[name]
    town.wait_up()
    actor = town.civil if name == "consumer" else town.health
    before, during = town.prepare_act(actor), town.prepare_act(actor)
    town.feed.go()
    town.receipted(*town.act(before))
    process.stop()
    since = process.log.stat().st_size
    programs.start(process, FAILING=f"{offset}:1")
    sent = []
    acting = threading.Thread(target=lambda: sent.append(quiet(town.act, during)))
    acting.start()
    end = time.monotonic() + PATIENCE
    while not hit(process, since) and process.alive() and time.monotonic() < end and not (len(sent) and time.monotonic() > end - PATIENCE + 4):
        time.sleep(0.02)
    acting.join()
    time.sleep(0.2)
    was_hit, lived = hit(process, since), process.alive()
    if lived:                           # it went on: it works, or says that it does not, and ends in order
        process.stop()
        if process.process.returncode < 0:
            raise Failed(f"{name} did not end when asked to ({process.process.returncode}):\n{said(process, since)[-1500:]}")
        was_hit = was_hit or hit(process, since)
    elif was_hit:
        end_was_clean(process, since)
    else:
        raise Failed(f"{name} ended without a fault:\n{said(process, since)[-1500:]}")
    town.must_live(but=process)
    town.wait_up()
    town.settle()
    if sent and sent[0]:
        town.receipted(*sent[0])
    town.receipts_stand(list(town.standing)[-3:])
    outcome = "went on" if lived else f"ended with {process_code(said(process, since))}"
    print(f"# {name} {offset}: {'not come to' if not was_hit else outcome}", flush=True)


def process_code(text):
    found = re.findall(r'"event":"([a-z_.]+)"', text[text.index("failing: "):])
    return found[0] if found else "a message"


def case(name, kind, call, offset):
    def run(town):
        try:
            fail_at(town, name, offset)
        except Exception:
            town.tails()
            raise
    run.__name__ = f"test_{name},_{kind}:_{call}()_at_{offset}_fails_and_nothing_is_lost"
    return run.__name__, run


def test_at_the_end_all_is_there_and_the_log_derives_again(town):
    town.wait_up()
    town.settle()
    town.compare_all()
    town.receipts_stand()
    town.log_holds()


def main():
    global library
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seed", type=int, default=20260212)
    parser.add_argument("--sites", type=int, default=18)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    library = os.path.join(os.path.abspath(options.build), "tests/lib/libshuyi-test-failing.so")
    town = Town(options.build)
    town.feed.again = (0, 429, 500, 503, 507)
    try:
        places = [(name, *site) for name, sites in survey(town).items() for site in sites]
    except BaseException:
        town.tails()
        town.end()
        raise
    count = {kind: sum(p[1] == kind for p in places) for kind in ("alloc", "file", "lmdb", "socket")}
    print(f"# {len(places)} places: {count}, seed {options.seed}", flush=True)
    if options.words:
        places = [p for p in places if any(w in " ".join(p) for w in options.words)]
    elif not options.all:
        # as many of each class and program, so that the many allocations do not hide the few files
        random.Random(options.seed).shuffle(places)
        groups = {}
        for p in places:
            groups.setdefault(p[:2], []).append(p)
        turn, chosen = list(groups.values()), []
        while len(chosen) < options.sites and any(turn):
            for g in turn:
                if g and len(chosen) < options.sites:
                    chosen.append(g.pop())
        places = chosen
    tests = dict(case(*p) for p in places)
    tests["test_at_the_end"] = test_at_the_end_all_is_there_and_the_log_derives_again
    tap.run(tests, before=lambda: town, after=lambda t: t.end())


if __name__ == "__main__":
    main()
