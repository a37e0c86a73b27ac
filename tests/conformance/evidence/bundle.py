"""The form of a bundle (PROTOCOL.md 17.2): what any breach of refuses the whole."""
from . import textfile
from .envelope import Claim
from .page import NUMBERS
from .wire import Form, decode

MAX_BYTES, FIELDS_MAX = 6000000, 400000
UPDATE, DECISION, RECORD = (NUMBERS["bundle"][w] for w in ("UPDATE", "DECISION", "RECORD"))
ENTRIES_MAX, LINKS_MAX, RECORDS_MAX, PATH_MAX = 1024, 255, 256, 64
STREAM_KINDS = ("UPDATE", "VIEW_EPOCH", "DELIVERY_RECEIPT")


def need(condition, why):
    if not condition:
        raise Form(why)


def _hashes(path):
    return len(path) <= PATH_MAX and all(len(p) == 32 for p in path)


class Entry:
    """An entry with its envelope read: n is its seq, t its accepted_at."""
    def __init__(self, e, domain):
        need(not e.unknown, "unknown field in an entry")
        need(e.epoch >= 1 and e.seq >= 1 and e.accepted_at >= 1, "epoch, seq or time")
        need(len(e.effects_digest) == 32 and _hashes(e.path) and _hashes(e.row_path), "a digest of another width")
        self.raw, self.n, self.t, self.epoch, self.code, self.lookups = e, e.seq, e.accepted_at, e.epoch, e.code, e.lookups
        self.claim = Claim(e.envelope)
        self.name, self.d, self.intent = self.claim.kind.name, self.claim.digest, self.claim.intent
        need(not self.claim.kind.reserved and self.claim.kind.klass != "read", "a kind that is no entry")
        need(self.intent.domain == domain, "another domain")
        self._check_row(e)
        self._check_lookups(e)

    @property
    def body(self):
        return self.claim.body_message

    def _check_row(self, e):
        if self.name == "VIEW_EPOCH":
            need(e.row != b"", "a VIEW_EPOCH without row")
        else:
            need(e.row == b"" and e.row_index == 0 and not e.row_path, "a row that is not a VIEW_EPOCH's")

    def _check_lookups(self, e):
        need(not e.lookups or self.name == "TRUST_HEAD", "lookups that are not a TRUST_HEAD's")
        for leaf in e.lookups:
            need(not leaf.unknown and len(leaf.object) == 32, "a lookup")
        need(all(a.object < b.object for a, b in zip(e.lookups, e.lookups[1:])), "lookups out of order")


class Bundle:
    """entries are in order of seq; `act` is one of them, `last` the TRUST_HEAD behind all."""
    def __init__(self, data, domain):
        content = textfile.unwrap("shuyi-bundle-v1", data)
        need(len(content) <= MAX_BYTES, "size of the bundle")
        b = decode("Bundle", content, FIELDS_MAX)
        need(not b.unknown and b.version == 1 and b.kind in (UPDATE, DECISION, RECORD), "version or kind")
        need(2 <= len(b.entries) <= ENTRIES_MAX and len(b.links) <= LINKS_MAX, "number of entries or links")
        need(1 <= len(b.records) <= RECORDS_MAX if b.kind == RECORD else not b.records, "number of records")
        need(not b.links or b.kind != DECISION, "links of a decision")
        self.kind, self.checkpoint, self.links, self.records = b.kind, b.checkpoint, b.links, b.records
        given = [Entry(e, domain) for e in b.entries]
        self.act = given[0]
        self.entries = sorted(given, key=lambda e: e.n)
        self._check_act()
        self._check_order(given)
        self._check_streams()
        self._check_records()
        resources = {e.intent.resource for e in given if e.intent.resource}
        need(len(resources) <= 1, "two resources")
        self.resource = "".join(resources)

    def _check_act(self):
        if self.kind == DECISION:
            need(self.act.claim.kind.klass == "control", "the act is of no control kind")
        else:
            need(self.act.name == "UPDATE" and self.act.code == 0, "the act is no UPDATE that was taken")

    def _check_order(self, given):
        others = given[1:]
        need(all(a.n < b.n for a, b in zip(others, others[1:])), "entries out of order")
        need(all(e.n != self.act.n and e.code == 0 for e in others), "an entry twice, or refused")
        need(all(a.epoch <= b.epoch and a.t <= b.t for a, b in zip(self.entries, self.entries[1:])), "time or epoch falls")
        self.last = self.entries[-1]
        need(self.last is given[-1] and self.last.name == "TRUST_HEAD", "no TRUST_HEAD at the end")

    def _check_streams(self):
        n = {name: [e for e in self.entries if e.name == name] for name in STREAM_KINDS}
        if self.kind == DECISION:
            need(not n["UPDATE"] and not n["VIEW_EPOCH"] and all(e is self.act for e in n["DELIVERY_RECEIPT"]), "a stream in a decision")
            return
        need(len(n["UPDATE"]) == 1 and len(n["VIEW_EPOCH"]) == 1 and len(n["DELIVERY_RECEIPT"]) <= 1, "one transfer, not more")
        self.epoch = n["VIEW_EPOCH"][0]
        self.receipt = n["DELIVERY_RECEIPT"][0] if n["DELIVERY_RECEIPT"] else None

    def _check_records(self):
        before = -1
        for r in self.records:
            need(not r.unknown and before < r.index < self.act.intent.record_count, "index of a record")
            need(len(r.salt) == 16 and _hashes(r.path), "salt or path of a record")
            before = r.index
