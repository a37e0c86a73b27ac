"""Both checkers of evidence say the same of every bundle: good ones of each kind, spoilt ones, and each with a single bit turned.

Usage: conformance.py BUNDLES JUDGE.  EVERY_BIT=1 turns each bit of the small bundle and of its file, instead of a sample; SEED=n takes another sample."""
import json, os, pathlib, random, shutil, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib")]
import tap

try:
    import nacl.signing
except ImportError:                     # python3-nacl is a package of tests/lib/packages
    print("1..0 # SKIP no python3-nacl")
    sys.exit(0)
import both, spoilt
from evidence import textfile
from forge import City, encode
from evidence.wire import decode

EVERY_BIT = bool(os.environ.get("EVERY_BIT"))
SEED = int(os.environ.get("SEED", "20261122"))


class Bench:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="shuyi-conformance-"))
        subprocess.run([sys.argv[1], str(self.dir)], check=True)
        self.judge = both.Judge(sys.argv[2])
        self.small, self.transfer, self.decided = (City(self.dir / name) for name in ("small", "transfer", "decided"))

    def same(self, what, text, anchor, unwitnessed=False):
        """What both say of it."""
        library, own = self.judge.ask(text, anchor, unwitnessed), both.own_report(text, anchor, unwitnessed)
        tap.equal(both.differences(library, own), [], what)
        return own

    def none_proven(self, texts, anchor, unwitnessed=False):
        for what, text in texts:
            tap.equal(self.same(what, text, anchor, unwitnessed)["proven"], False, what)

    def close(self):
        self.judge.close()
        shutil.rmtree(self.dir)


def bits_of(content, n, whole=False):
    """Numbers of bits to turn: all of them, or n of a seeded sample."""
    total = len(content) * 8
    return range(total) if whole and EVERY_BIT else random.Random(SEED).sample(range(total), min(n, total))


def turned(content, bits):
    for bit in bits:
        bad = bytearray(content)
        bad[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(bad)


def test_every_kind_of_act_is_proven_by_both(b):
    kinds = set()
    for city in (b.small, b.transfer, b.decided):
        for path in sorted(city.path.glob("*.bundle")):
            report = b.same(path.name, path.read_bytes(), city.anchor, True)
            tap.equal(report["proven"], True, path.name)
            kinds.add(path.stem.split("-")[1])
    tap.equal(len(kinds) >= 26, True, kinds)


def test_both_judge_the_rules_alike_whoever_signed_and_proved_anew(b):
    for what, where, change, proven in spoilt.CASES:
        city, text = spoilt.run(b.dir, where, change)
        report = b.same(f"{what} ({where})", text, city.anchor, where == spoilt.SMALL)
        tap.equal(report["proven"], proven, f"{what} ({where})")


def test_no_bit_of_a_small_bundle_may_be_turned(b):
    text = b.small.file("ANCHOR").read_bytes()
    content = textfile.unwrap("shuyi-bundle-v1", text)
    b.none_proven(((f"bit {bit}", textfile.wrap("shuyi-bundle-v1", bad)) for bit, bad in turned(content, bits_of(content, 2000, True))), b.small.anchor, True)
    b.none_proven(((f"bit {bit} of the file", bad) for bit, bad in turned(text, bits_of(text, 500, True))), b.small.anchor, True)


def test_no_bit_of_a_transfer_or_of_a_decision_may_be_turned(b):
    for city, name, n in ((b.transfer, "UPDATE", 300), (b.decided, "027-CONSENT", 100), (b.decided, "REVOKE", 100), (b.decided, "032-CONSENT", 100)):
        content = textfile.unwrap("shuyi-bundle-v1", city.file(name).read_bytes())
        b.none_proven(((f"{name} bit {bit}", textfile.wrap("shuyi-bundle-v1", bad)) for bit, bad in turned(content, bits_of(content, n))), city.anchor)


def test_no_byte_may_be_left_out_or_put_in(b):
    content = textfile.unwrap("shuyi-bundle-v1", b.small.file("ANCHOR").read_bytes())
    rng = random.Random(SEED)
    places = [rng.randrange(len(content)) for _ in range(300)]
    shorter = ((f"without byte {i}", content[:i] + content[i + 1:]) for i in places)
    longer = ((f"a byte more at {i}", content[:i] + bytes([rng.randrange(256)]) + content[i:]) for i in places)
    b.none_proven(((what, textfile.wrap("shuyi-bundle-v1", bad)) for what, bad in [*shorter, *longer]), b.small.anchor, True)


def test_what_is_left_out_is_missed_alike(b):
    """Each entry, and each lookup: a transfer needs all of them but an earlier trust head, a decision has some to spare."""
    for city, name in ((b.transfer, "UPDATE"), (b.decided, "027-CONSENT"), (b.decided, "REVOKE"), (b.decided, "GRANT_END")):
        whole = decode("Bundle", textfile.unwrap("shuyi-bundle-v1", city.file(name).read_bytes()))
        entries = whole.entries
        for i in range(len(entries)):
            whole.entries = entries[:i] + entries[i + 1:]
            report = b.same(f"{name} without entry {i}", textfile.wrap("shuyi-bundle-v1", encode(whole)), city.anchor)
            tap.equal(report["proven"] and name == "UPDATE" and not entries[i].lookups, False, f"{name} without entry {i}")
        whole.entries = entries
        lookups = entries[-1].lookups
        for i in range(len(lookups)):
            entries[-1].lookups = lookups[:i] + lookups[i + 1:]
            report = b.same(f"{name} without lookup {i}", textfile.wrap("shuyi-bundle-v1", encode(whole)), city.anchor)
            tap.equal(report["proven"] and name == "UPDATE", False, f"{name} without lookup {i}")


def noted(city, more):
    """The small bundle with these cosignatures: (name, whose key, time)."""
    f = city.open("ANCHOR")
    text = f.bundle.checkpoint.split("\n\n")[0] + "\n"
    f.bundle.checkpoint += "".join(f.cosignature(text, name, city.seeds[key], time) for name, key, time in more)
    return f.text()


def test_the_quorum_of_witnesses_is_counted_alike(b):
    one, two, again = ("witness-0", "witness-0", 1770000000), ("witness-1", "witness-1", 1770000001), ("witness-0", "witness-0", 1770000009)
    stranger, false, never = ("stranger", "log", 1), ("witness-1", "log", 1), ("witness-1", "witness-1", 0)
    renamed, late = ("witness-0", "witness-1", 1), ("witness-1", "witness-1", 2**63)
    rows = (([one, two], (True, True)), ([two, one], (True, True)), ([one], (False, True)), ([], (False, True)), ([one, again], (False, False)),
            ([one, one], (False, False)), ([one, stranger], (False, False)), ([one, two, stranger], (False, False)), ([one, false], (False, False)),
            ([one, renamed], (False, False)), ([one, never], (False, False)), ([one, late], (False, False)))
    for signed, proven in rows:
        for unwitnessed in (False, True):
            report = b.same(f"{signed}", noted(b.small, signed), b.small.anchor, unwitnessed)
            tap.equal(report["proven"], proven[unwitnessed], f"{signed} {unwitnessed}")
    tap.equal(b.same("", noted(b.small, [one, two]), b.small.anchor)["witnesses"], 2)


def test_the_anchor_that_is_given_decides(b):
    text = b.transfer.file("UPDATE").read_bytes()
    report = b.same("anchor of another city", text, b.small.anchor, True)
    tap.equal((report["proven"], [i["fault"] for i in report["items"] if i["item"] == "signed"]), (False, ["ANCHOR"]))
    for bit, bad in turned(b.transfer.anchor, bits_of(b.transfer.anchor, 400)):
        report = b.same(f"bit {bit} of the anchor", text, bad)
        tap.equal(report.get("proven", False), False, bit)


def command(b, *arguments):
    done = subprocess.run([sys.executable, str(HERE / "check"), *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_the_command_says_it_with_its_exit_status(b):
    bundle, anchor = b.small.file("ANCHOR"), b.dir / "anchor.shuyi"
    anchor.write_bytes(textfile.wrap("shuyi-anchor-v1", b.small.anchor))
    code, out = command(b, bundle, "--anchor", anchor, "--unwitnessed", "--json")
    tap.equal((code, json.loads(out)["proven"]), (0, True))
    code, out = command(b, bundle, "--anchor", anchor)
    tap.equal((code, "NOT PROVEN" in out, "QUORUM" in out), (6, True, True))
    tap.equal(command(b, anchor, "--anchor", anchor)[0], 6)
    tap.equal(command(b, bundle, "--anchor", bundle)[0], 1)
    tap.equal(command(b, bundle)[0], 2)


tap.run(globals(), Bench, Bench.close)
