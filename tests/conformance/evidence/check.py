"""The check of a bundle (PROTOCOL.md 17.3): seven items, each told apart."""
from . import catalog, delivery, grant, head, identity, registry, signers, stream, textfile
from .bundle import DECISION, RECORD, Bundle
from .register import Breach, Register
from .status import Status
from .wire import Form

ITEMS = INCLUDED, WITNESSED, SIGNED, AUTHORISED, STATUS, DELIVERED, OPENED = (
    "included", "witnessed", "signed", "authorised", "status proven", "delivered", "opened")
OK, FAILED, NOT_IN_BUNDLE, DOES_NOT_APPLY = "OK", "FAILED", "NOT_IN_BUNDLE", "DOES_NOT_APPLY"
ACTS = {**registry.ACTS, **catalog.ACTS, **grant.ACTS}
GRANTING = ("GET", "CONSENT", "CONSENT_PART")


class Finding:
    """An item's answer: the first thing that is wrong with it.  seq: the entry, 0 for none in particular."""
    def __init__(self, state=OK, fault="", seq=0, code="", detail=""):
        self.state, self.fault, self.seq, self.code, self.detail = state, fault, seq, code, detail


class Report:
    """wrong: why the file is no bundle at all, "" if it is one."""
    def __init__(self, anchor):
        self.anchor, self.wrong, self.bundle, self.register, self.head = anchor, "", None, None, None
        self.items = {name: Finding() for name in ITEMS}
        self.witnesses = self.acquired_at = 0

    @property
    def quorum(self):
        return self.anchor.says.witness_quorum

    @property
    def grant(self):
        """The grant that the bundle is about: of the transfer's row, the one that the act opened, or the one that it names; None."""
        if self.wrong:
            return None
        act, row = self.bundle.act, self.register.row
        if self.bundle.kind != DECISION:
            return self.register.grants.get(row.grant) if row else None
        return self.register.grants.get(act.d if act.name in GRANTING else act.intent.grant)

    @property
    def proven(self):
        return not self.wrong and all(f.state in (OK, DOES_NOT_APPLY) for f in self.items.values())

    def tell(self, item, fault, seq=0, code="", detail=""):
        """Keeps the first failure; what only is missing gives way to it."""
        state = NOT_IN_BUNDLE if fault == "MISSING" else FAILED
        before = self.items[item].state
        if before != FAILED and before != state:
            self.items[item] = Finding(state, fault, seq, code, detail)

    def spare(self, item):
        if self.items[item].state == OK:
            self.items[item] = Finding(DOES_NOT_APPLY)


def _check_head(report, unwitnessed):
    note, log = head.read(report.bundle, report.anchor)
    good = log is not None and head.log_signed(note, log)
    if good:
        seen, good = head.count_witnesses(note, log, report.anchor)
    if not good:
        report.tell(INCLUDED, "CHECKPOINT")
        report.tell(WITNESSED, "CHECKPOINT")
        return
    report.head, report.witnesses = note, seen
    missing = head.missing_entry(report.bundle, note, report.anchor.says.domain)
    if missing:
        report.tell(INCLUDED, "PATH", missing.n)
    if report.witnesses < report.quorum:
        report.tell(WITNESSED, "QUORUM")
        if unwitnessed:
            report.items[WITNESSED].state = DOES_NOT_APPLY


def _walk(report):
    """All entries in order of seq, each judged by what those before it established."""
    for e in report.bundle.entries:
        try:
            e.signers = signers.verify(e, report.register)
        except signers.Unsigned as why:
            report.tell(SIGNED, str(why), e.n)
            if e.code == 0:
                report.tell(AUTHORISED, "SIGNATURE", e.n)
            continue
        if e.code == 0:
            _judge(report, e)
    if report.bundle.act.code:
        report.spare(AUTHORISED)
    anchors = [e.body.anchor for e in report.bundle.entries if e.name == "ANCHOR" and e.code == 0]
    if not any(a and a.anchor == report.anchor.raw for a in anchors):
        report.tell(SIGNED, "ANCHOR")


def _judge(report, e):
    fault = "GRANT" if e.name in GRANTING else "ACT"
    try:
        signers.check(e, e.signers, report.register)
        if e.name in ACTS:
            ACTS[e.name](e, report.register)
        fault = "STREAM"
        if e.name in stream.ACTS:
            stream.ACTS[e.name](e, report.register)
    except Breach as b:
        report.tell(AUTHORISED, fault, e.n, b.code, b.detail)


def _check_delivery(report):
    bundle = report.bundle
    if bundle.kind == DECISION:
        report.spare(DELIVERED)
    elif bundle.receipt is None:
        report.tell(DELIVERED, "RECEIPT" if bundle.links else "MISSING")
    elif not report.register.receipt_holds or not delivery.covers(bundle):
        report.tell(DELIVERED, "RECEIPT", bundle.receipt.n)
    else:
        report.acquired_at = delivery.acquired_at(bundle)
        if delivery.is_nacked(bundle):
            report.tell(DELIVERED, "NACK", bundle.receipt.n)


def _check_opened(report):
    if report.bundle.kind != RECORD:
        report.spare(OPENED)
    elif not delivery.records_hold(report.bundle):
        report.tell(OPENED, "RECORD", report.bundle.act.n)


def check_bundle(data, anchor, unwitnessed=False):
    """The report on the bytes of a bundle's file, by an identity.Anchor that the caller trusts."""
    report = Report(anchor)
    try:
        report.bundle = Bundle(data, anchor.says.domain)
    except Form as why:
        report.wrong, report.items = str(why), {}
        return report
    report.register = Register(anchor.says.domain, report.bundle.resource, report.bundle.kind != DECISION)
    _check_head(report, unwitnessed)
    _walk(report)
    Status(report.bundle, report.register, lambda fault, seq: report.tell(STATUS, fault, seq)).check()
    _check_delivery(report)
    _check_opened(report)
    return report


def read_anchor_file(data):
    """The anchor out of a file; raises Form or Wrong."""
    return identity.read_anchor(textfile.unwrap("shuyi-anchor-v1", data))
