"""Who signed an entry: do the signatures hold, does each signer stand, are they those of the table (PROTOCOL.md 17.3, items 3 and 4)."""
from . import digest, identity
from .identity import AGENT, BROKER, PERSON, Wrong
from .page import NUMBERS, WORDS
from .register import ROLE, Breach, needs

OF_AUTHORITY = {ROLE["SEC_ADMIN"], ROLE["DATA_OPERATOR"], ROLE["AUDIT_OFFICER"]}
DAY_MS, AHEAD_MS = 86400000, 300000
DOCUMENT_SIGNERS = {ROLE[r] for r in ("SEC_ADMIN", "DATA_OPERATOR", "APPROVER", "AUDIT_OFFICER", "DATA_OFFICER", "DEPT_HEAD")}


class Unsigned(Exception):
    """A signature that proves nothing: SIGNER is unknown, or the SIGNATURE does not hold."""


class Signer:
    """capacity's word; held: the credential, None for a root."""
    def __init__(self, capacity, held, root=None):
        self.capacity, self.held, self.root = capacity, held, root

    @property
    def id(self):
        return self.held.subject.id

    @property
    def department(self):
        return self.held.subject.department if self.held else ""


def anchor_of(entry, register):
    """The anchor whose roots sign this entry: of the first ANCHOR its own."""
    if register.anchor or entry.name != "ANCHOR":
        return register.anchor
    try:
        return identity.Anchor(entry.body.anchor)
    except (Wrong, AttributeError):
        return None


def verify(entry, register):
    """The signers, all signatures holding; raises Unsigned."""
    signers = []
    for s in entry.claim.signatures:
        held = root = None
        if s.capacity == ROLE["ROOT"]:
            anchor = anchor_of(entry, register)
            root, key = s.credential, anchor.roots.get(s.credential) if anchor else None
        else:
            held = register.credentials.get(s.credential)
            key = held.subject.sign_key if held else None
        if key is None or held and held.says.suite != entry.intent.suite:
            raise Unsigned("SIGNER")
        if not digest.holds(key, entry.claim.signed_bytes(s), s.signature):
            raise Unsigned("SIGNATURE")
        signers.append(Signer(WORDS["role"][s.capacity], held, root))
    return signers


def check_times(entry, signers):
    i = entry.intent
    needs(i.created_at <= entry.t + AHEAD_MS, "E_FORM", "created_at")
    needs(i.expires_at == 0 or entry.t < i.expires_at <= i.created_at + 30 * DAY_MS, "E_FORM", "expires_at")
    if any(s.capacity not in ("AGENT", "SYSTEM") for s in signers):
        needs(i.expires_at, "E_FORM", "must expire")


def check_standing(entry, signers, register):
    """Each signer's credential is in force and allows the capacity, in a department that is registered."""
    sender = getattr(entry.intent, "from")
    for s in signers:
        if s.capacity == "ROOT":
            needs(sender == "", "E_ROLE")
            continue
        subject = s.held.subject
        needs(register.standing(s.held, entry.t), "E_CRED")
        needs(subject.department == sender, "E_ROLE")
        if s.capacity == "SYSTEM":
            needs(subject.kind == BROKER, "E_ROLE")
            continue
        needs(sender in register.departments, "E_ROLE")
        if s.capacity == "AGENT":
            needs(subject.kind == AGENT, "E_ROLE")
        else:
            needs(subject.kind == PERSON and ROLE[s.capacity] in subject.roles, "E_ROLE")
            needs(ROLE[s.capacity] not in OF_AUTHORITY or register.departments[sender].authority, "E_ROLE")


def _by_policy(register, key):
    return register.policy[key] if register.policy else "APPROVER"


def rows(entry, register):
    """The rows of capacities that may stand on this kind, each in order."""
    name = entry.name
    if name == "CAT_SUBMIT":
        head = register.policy and "HEAD_APPROVAL" in register.policy["catalog_pre_assessment"]
        return [["DATA_OFFICER", "APPROVER"] + (["DEPT_HEAD"] if head else [])]
    if name in ("GET", "REQ_SUBMIT"):
        return [["USER", _by_policy(register, "consumer_internal_approval")]]
    if name in ("CONSENT", "CONSENT_PART", "REFUSE"):
        if register.policy and register.policy["cond_decider"] == "AUTHORITY":
            return [["DATA_OPERATOR", "APPROVER"]]
        return [["DATA_OFFICER", _by_policy(register, "provider_internal_approval")]]
    return FIXED.get(name, [])


FIXED = {
    "FILE": [["DATA_OFFICER"]], "STAFF_CHANGE": [["DATA_OFFICER"]],
    "ACCEPT": [["SEC_ADMIN"]], "STAFF_RETURN": [["SEC_ADMIN"]],
    "REVOKE": [["SEC_ADMIN"], ["DATA_OFFICER"]],
    "SEAL_KEY": [["AGENT"]],
    "CLOCK": [["SEC_ADMIN"]],
    "PURGE": [["DATA_OPERATOR", "AUDIT_OFFICER"]],
    "CAT_APPROVE": [["DATA_OPERATOR"]], "CAT_RETURN": [["DATA_OPERATOR"]],
    "FREEZE": [["SEC_ADMIN"]], "UNFREEZE": [["SEC_ADMIN"]],
    "WITHDRAW": [["APPROVER"]],
    "GRANT_SUSPEND": [["SEC_ADMIN"], ["APPROVER"]], "GRANT_RESUME": [["SEC_ADMIN"], ["APPROVER"]], "GRANT_TERMINATE": [["SEC_ADMIN"], ["APPROVER"]],
    "GRANT_END": [["APPROVER"]],
    "SUBSCRIBE": [["AGENT"], ["DATA_OFFICER"]],
    "VIEW_EPOCH": [["AGENT"]], "UPDATE": [["AGENT"]], "DELIVERY_RECEIPT": [["AGENT"]],
    **{name: [["SYSTEM"]] for name in ("TICK", "TRUST_HEAD", "REFUSED", "HANDOVER", "OUTAGE", "ENGINE", "EPOCH")},
}


def check_row(entry, signers, register):
    """The signers are those of the table, in that order, different persons."""
    capacities = [s.capacity for s in signers]
    if "ROOT" in capacities:
        return _check_roots(entry, signers, register)
    if entry.name in ("POLICY_SET", "CALENDAR_SET"):
        _check_documents(entry, signers, register)
    else:
        allowed = rows(entry, register)
        needs(allowed, "E_ROLE")
        if capacities not in allowed:
            needs(all(c in {x for row in allowed for x in row} for c in capacities), "E_ROLE")
            raise Breach("G_SIGNERS")
    same = len({s.id for s in signers}) < len(signers)
    alone = entry.name in ("GET", "REQ_SUBMIT") and register.policy and register.policy["self_approval"] == "ALLOWED"
    needs(not same or alone, "G_SEPARATION")


def _check_roots(entry, signers, register):
    needs(entry.name in ("ANCHOR", "CREDENTIAL", "DEPARTMENT", "REVOKE"), "E_ROLE")
    needs(all(s.capacity == "ROOT" for s in signers), "E_ROLE")
    needs(len({s.root for s in signers}) >= anchor_of(entry, register).says.threshold, "G_SIGNERS")


def _check_documents(entry, signers, register):
    """POLICY_SET, CALENDAR_SET: two persons of the authority."""
    first = (register.policy if entry.name == "POLICY_SET" else register.calendar) is None
    capacities = {s.capacity for s in signers}
    needs(all(ROLE.get(c) in DOCUMENT_SIGNERS for c in capacities), "E_ROLE")
    needs(register.departments[signers[0].department].authority, "E_ROLE")
    needs(len(signers) == 2, "G_SIGNERS")
    needs(not first or capacities == {"SEC_ADMIN", "DATA_OPERATOR"}, "G_SIGNERS")


def check(entry, signers, register):
    check_times(entry, signers)
    check_standing(entry, signers, register)
    check_row(entry, signers, register)
