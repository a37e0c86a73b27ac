"""Evidence out of a running town, checked offline: with nothing but a file and an anchor; and what is spoilt proves nothing.

Usage: evidence.py SHUYI SHUYI_BROKER SHUYI_AGENT"""
import base64, hashlib, importlib.util, json, pathlib, random, shutil, sys, tempfile

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "deploy" / "demo.d")]
import tap
from city import City, wait_for
from data import now
from foundation import AUTHORITY, CIVIL, HEALTH, Foundation

BUILD = pathlib.Path(sys.argv[1]).resolve().parents[2]
ITEMS = ("included", "witnessed", "signed", "authorised", "status proven", "delivered", "opened")
KEY = "442000999001"


class Town(Foundation):
    def __init__(self):
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix="shuyi-evidence-"))
        super().__init__(City(BUILD, str(self.tmp)))
        self.resource, self.grant = self.build()
        self.n = 0
        self.push(KEY)
        self.push("442000999002")
        self.link = wait_for("the use on record", lambda: [r for r in self.uses() if r["record_count"]])[0]
        self.auditor = self.file_and_accept("auditor", "审计己", AUTHORITY, self.center, self.people["center_officer"], "AUDIT_OFFICER")
        self.move()

    def push(self, code):
        before = len(self.health.lines())
        values = {"code": code, "name": "某村", "level": "village", "parent": code[:9]}
        self.civil.call("POST", f"/v1/resources/{self.resource}/records", {"records": [{"op": "UPSERT", "changed_at": now(), "values": values}]})
        wait_for("the record to arrive", lambda: len(self.health.lines()) > before)

    def uses(self):
        return self.health.call("GET", f"/v1/uses/{self.grant}")[1]["uses"]

    def move(self):
        """Trust records, so that a trust head follows at once instead of within a minute."""
        for verb in ("suspend", "resume"):
            self.city.act(self.civil, self.people["civil_approver"], "grant", verb, self.grant)

    def export(self, *what, agent=None, expect=0):
        self.n += 1
        path = self.tmp / f"{self.n}.bundle"
        command = [self.city.bin("agent/cli/shuyi"), "audit", "export", *map(str, what), "--out", str(path)]
        done = []

        def settled():
            done[:] = self.city.run(command, agent or self.health)
            return "ask again" not in done[2]

        wait_for("a published head behind the act", settled)
        tap.equal(done[0], expect, done)
        return path

    def check(self, path, *more, anchor=None):
        code, out, err = self.city.run([self.city.bin("agent/cli/shuyi"), "audit", "check", str(path), "--anchor", str(anchor or self.anchor), *more, "--json"], None)
        report = json.loads(out) if out else {}
        self.check_again(path, more, anchor, code, report)
        return code, report, err

    def check_again(self, path, more, anchor, code, report):
        """The second checker (tests/conformance) says the same, item by item."""
        command = [sys.executable, "-B", str(ROOT / "tests" / "conformance" / "check"), str(path), "--anchor", str(anchor or self.anchor), *more, "--json"]
        if not importlib.util.find_spec("nacl"):
            return
        second_code, out, err = self.city.run(command, None)
        second = json.loads(out) if out else {}
        told = [[(i["item"], i["state"], i.get("reason", ""), i.get("seq", 0)) for i in r.get("items", [])] for r in (report, second)]
        tap.equal((second_code, told[1]), (code, told[0]), f"{path}: {err}")

    def proven(self, path, *more):
        code, report, err = self.check(path, *more)
        tap.equal((code, report.get("proven")), (0, True), json.dumps(report.get("items", report), ensure_ascii=False) + err)
        return {i["item"]: i["state"] for i in report["items"]}, report


def test_a_transfer_is_proven_to_who_has_the_anchor_alone(t):
    t.update = t.export("--grant", t.grant, "--stream-seq", t.link["stream_seq"])
    items, report = t.proven(t.update)
    tap.equal(items, dict.fromkeys(ITEMS[:6], "OK") | {"opened": "DOES_NOT_APPLY"})
    tap.equal((report["grant"]["consumer"], report["grant"]["provider"], report["grant"]["grant"]), (HEALTH, CIVIL, t.grant))
    tap.equal(report["act"]["digest"], t.link["record_id"])
    t.proven(t.export("--grant", t.grant, "--id", t.link["record_id"]))
    t.proven(t.export("--grant", t.grant, "--stream-seq", t.link["stream_seq"], agent=t.civil))


def test_a_record_is_opened_by_the_consumers_agent_and_by_no_other(t):
    record = t.export("--grant", t.grant, "--stream-seq", t.link["stream_seq"], "--record", KEY)
    items, report = t.proven(record)
    tap.equal(items, dict.fromkeys(ITEMS, "OK"))
    tap.equal([r["key"] for r in report["records"]], [KEY])
    t.export("--grant", t.grant, "--stream-seq", t.link["stream_seq"], "--record", "no such key", expect=3)
    t.export("--grant", t.grant, "--stream-seq", t.link["stream_seq"], "--record", KEY, agent=t.civil, expect=3)


def test_decisions_are_proven(t):
    t.decision = t.export("--act", t.grant)
    items, report = t.proven(t.decision)
    tap.equal(report["act"]["kind"], "GET")
    last = t.city.shuyi("ping", agent=t.center)["center"]["seq"]
    kinds = set()
    for seq in range(1, last):
        path = t.tmp / f"seq-{seq}.bundle"
        code, out, err = t.city.run([t.city.bin("agent/cli/shuyi"), "audit", "export", "--seq", str(seq), "--out", str(path)], t.center)
        if code == 0:
            code, report, err = t.check(path)
            if "wrong" in report:                           # no control act: nothing to decide
                continue
            tap.equal((code, report["proven"]), (0, True), json.dumps(report["items"]) + report["act"]["kind"])
            kinds.add(report["act"]["kind"])
    tap.equal(kinds >= {"ANCHOR", "DEPARTMENT", "FILE", "ACCEPT", "POLICY_SET", "CALENDAR_SET", "CAT_SUBMIT", "CAT_APPROVE", "GET", "GRANT_SUSPEND", "GRANT_RESUME"}, True, kinds)


def fields(message):
    """A message's fields by number: bytes and numbers, in a list each."""
    found, i = {}, 0

    def varint():
        nonlocal i
        value = shift = 0
        while True:
            value |= (message[i] & 127) << shift
            i, shift = i + 1, shift + 7
            if message[i - 1] < 128:
                return value

    while i < len(message):
        tag = varint()
        value = varint()
        if tag & 7 == 2:
            value, i = message[i:i + value], i + value
        found.setdefault(tag >> 3, []).append(value)
    return found


def root_of(leaf):
    """PROTOCOL.md 17.1: a MapLeaf's way to the map root."""
    sha = lambda b: hashlib.sha256(b).digest()
    f = fields(leaf)
    obj, h = f[1][0], sha(b"\0" + f[1][0] + f[2][0].to_bytes(4, "little") + f[3][0].to_bytes(8, "little"))
    for step in f.get(4, []):
        h = sha(b"\1" + (step[1:] + h if step[0] == 0 else h + step[1:]))
    h, at = sha(b"\0" + h), obj[0]
    for sibling in f[5]:
        h, at = sha(b"\1" + (sibling + h if at & 1 else h + sibling)), at >> 1
    return h


def test_the_trust_map_answers_for_what_is_there_and_what_is_not(t):
    grant = bytes.fromhex(t.grant)
    for obj, there in ((grant, True), (grant[:31] + bytes([grant[31] ^ 1]), False), (bytes(32), False)):
        status, page = t.health.call("POST", "/v1/read", {"what": "LOOKUP", "key": (b"\x0a\x20" + obj).hex()})
        tap.equal((status, page["code"], len(page["rows"])), (200, 0, 1), page)
        row = fields(base64.b64decode(page["rows"][0]))
        tap.equal(3 in row, there)
        for n in (3, 4, 5):
            if n in row:
                tap.equal(root_of(row[n][0]), row[2][0])
        if there:
            tap.equal((fields(row[3][0])[1][0], fields(row[3][0])[2][0]), (grant, 1))
        else:
            tap.equal(4 in row or 5 in row or 6 in row, True)


def test_only_parties_are_given_it_and_the_auditor(t):
    t.proven(t.export("--grant", t.grant, "--stream-seq", t.link["stream_seq"], "--key", t.auditor.key, agent=t.center))
    t.export("--grant", t.grant, "--stream-seq", t.link["stream_seq"], "--key", t.people["center_officer"].key, agent=t.center, expect=3)
    t.export("--grant", t.grant, "--stream-seq", t.link["stream_seq"], agent=t.center, expect=3)
    t.export("--seq", "99999999", expect=3)
    t.export("--grant", "00" * 32, "--stream-seq", "1", expect=3)


def test_a_spoilt_bundle_proves_nothing(t):
    for good in (t.update, t.decision):
        lines = good.read_text().split("\n")
        content = base64.b64decode("".join(lines[1:]))
        rng = random.Random(7)
        for bit in [rng.randrange(len(content) * 8) for _ in range(25)]:
            bad = bytearray(content)
            bad[bit // 8] ^= 1 << bit % 8
            text = base64.b64encode(bytes(bad)).decode()
            spoilt = t.tmp / "spoilt.bundle"
            spoilt.write_text("\n".join([lines[0], *(text[i:i + 76] for i in range(0, len(text), 76))]) + "\n")
            code, report, err = t.check(spoilt)
            tap.equal((code, report.get("proven")), (6, False), f"bit {bit}: {report}")
            tap.equal(t.check(spoilt, "--unwitnessed")[0], 6)


def test_another_towns_anchor_proves_nothing(t):
    (t.tmp / "other").mkdir()
    other = Foundation(City(BUILD, str(t.tmp / "other")))
    other.make_genesis()
    code, report, err = t.check(t.update, anchor=other.anchor)
    tap.equal((code, report["proven"]), (6, False), report)
    code, report, err = t.check(t.update, anchor=t.update)
    tap.equal(code, 1)


def close(t):
    t.city.stop()
    shutil.rmtree(t.tmp)


tap.run(globals(), Town, close)
