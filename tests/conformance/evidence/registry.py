"""Acts of the registry: anchors, credentials, departments, staff, keys (PROTOCOL.md 17.3, Registry)."""
from . import identity, policy
from .codes import is_department
from .identity import AGENT, BROKER, PERSON, Wrong
from .page import NUMBERS
from .register import needs

SEAL_KEY_MAX_MS = 30 * 86400000
COMPROMISED = NUMBERS["revoke_reason"]["COMPROMISED"]


def _read(signed, register):
    """A credential that holds by 7 and is of this domain."""
    needs(signed is not None, "G_FIELD")
    try:
        held = identity.Held(signed)
    except Wrong as why:
        needs(False, "E_CRED", str(why))
    needs(held.subject.domain == register.domain, "E_DOMAIN")
    return held


def _issued_by_root(held, register):
    key = register.anchor.roots.get(held.says.issuer)
    needs(key is not None and held.issued_by(key), "E_CRED", "not issued by a root")
    may = held.says.may_issue
    needs(may is None or may.depth <= identity.DEPTH_MAX, "E_CRED", "depth")


def anchor(e, register):
    needs(e.body.anchor is not None, "G_FIELD")
    try:
        new = identity.Anchor(e.body.anchor)
    except Wrong as why:
        needs(False, "E_CRED", str(why))
    needs(new.says.domain == register.domain, "E_DOMAIN")
    needs(new.follows(register.anchor) if register.anchor else new.says.version == 1, "E_CRED", "does not follow")
    register.anchors.append((new, e.n))


def credential(e, register):
    held = _read(e.body.credential, register)
    _issued_by_root(held, register)
    needs(held.subject.kind == BROKER, "G_FIELD")
    for old in register.of_subject(BROKER, b""):
        register.end(old, e.n)
    register.admit(held, e.n)


def _check_staff(staff):
    needs(staff.office and staff.name and staff.phone and staff.roles, "G_FIELD")
    needs(all(a < b for a, b in zip(staff.roles, staff.roles[1:])) and all(r in identity.ROLES_OF_PERSONS for r in staff.roles), "G_FIELD")


def department(e, register):
    d = e.body.department
    needs(d is not None and is_department(d.code) and d.name, "G_FIELD")
    needs(d.authority == (register.authority() is None), "G_FIELD")
    needs(d.code not in register.departments, "E_STATE")
    register.departments[d.code] = d
    for a in e.body.admissions:
        needs((a.staff is None) != (a.agent is None), "G_FIELD")
        held = _read(a.credential, register)
        _issued_by_root(held, register)
        needs(held.subject.department == d.code, "G_FIELD")
        needs(held.subject.kind == (PERSON if a.staff else AGENT), "G_FIELD")
        if a.staff:
            _check_staff(a.staff)
            needs(a.staff.roles == held.subject.roles, "G_FIELD")
            register.names[held.subject.id] = a.staff.name
        register.admit(held, e.n)


def file(e, register):
    b = e.body
    needs((b.staff is None) != (b.agent is None), "G_FIELD")
    try:
        q = identity.read_key_request(b.key_request, b.key_request_signature)
    except Wrong as why:
        needs(False, "E_CRED", str(why))
    needs(q.domain == register.domain, "E_DOMAIN")
    needs(q.department == getattr(e.intent, "from"), "G_FIELD")
    needs(q.subject_kind == (PERSON if b.staff else AGENT), "G_FIELD")
    needs(not {q.sign_key, q.link_key} & register.keys, "E_CRED", "a key appears twice")
    if b.staff:
        _check_staff(b.staff)
    if e.name == "STAFF_CHANGE":
        old = register.credentials.get(e.intent.object)
        needs(old is not None, "E_NOT_FOUND")
        needs(old.ended is None, "E_STATE")
        needs(old.subject.department == q.department and old.subject.kind == q.subject_kind, "E_NOT_FOUND")
    register.filings[e.d] = e


def accept(e, register):
    filing = register.filings.get(e.intent.object)
    needs(filing is not None, "E_NOT_FOUND")
    held = _read(e.body.credential, register)
    s, b, signer = held.subject, filing.body, e.signers[0]
    issuer = signer.held
    needs(held.says.issuer == issuer.id and held.issued_by(issuer.subject.sign_key), "E_CRED", "issuer")
    needs(identity.within_reach(issuer, held), "E_CRED", "outside may_issue")
    needs(e.body.credential.key_request == b.key_request, "E_CRED", "another key request")
    needs(s.department == getattr(filing.intent, "from") and s.kind == (PERSON if b.staff else AGENT), "G_FIELD")
    needs(not b.staff or s.roles == b.staff.roles, "G_FIELD")
    needs(signer.id != filing.signers[0].id, "G_SEPARATION")
    if filing.name == "STAFF_CHANGE":
        old = register.credentials[filing.intent.object]
        needs(old.ended is None, "E_STATE")
        needs(old.subject.id == s.id, "G_FIELD", "another subject")
        register.end(old, e.n)
    register.admit(held, e.n)
    del register.filings[e.intent.object]
    if b.staff:
        register.names[s.id] = b.staff.name


def revoke(e, register):
    held = register.credentials.get(e.intent.object)
    needs(held is not None, "E_NOT_FOUND")
    needs(held.ended is None, "E_STATE")
    signer = e.signers[0]
    needs(signer.capacity != "DATA_OFFICER" or signer.department == held.subject.department, "E_ROLE")
    needs(e.body.reason and (e.body.reason == COMPROMISED or not e.body.suspect_since_seq), "G_REASON")
    s = held.subject
    for c in register.of_subject(PERSON, s.id, s.department) if s.kind == PERSON else [held]:
        register.end(c, e.n)


def seal_key(e, register):
    needs(len(e.body.seal_key) == 32 and e.t < e.body.not_after <= e.t + SEAL_KEY_MAX_MS + 300000, "G_FIELD")


def policy_set(e, register):
    new = policy.parse_policy(e.body.canonical)
    needs(new is not None and new["standing"] != "COMPARE", "G_FIELD")
    needs(new["division_code"] == register.domain, "E_DOMAIN")
    if register.policy:
        needs(int(new["profile_version"]) == int(register.policy["profile_version"]) + 1, "G_FIELD")
    register.policy = new


def calendar_set(e, register):
    needs(policy.is_calendar(e.body.canonical), "G_FIELD")
    register.calendar = e.body.canonical


ACTS = {"ANCHOR": anchor, "CREDENTIAL": credential, "DEPARTMENT": department, "FILE": file, "STAFF_CHANGE": file, "ACCEPT": accept,
        "REVOKE": revoke, "SEAL_KEY": seal_key, "POLICY_SET": policy_set, "CALENDAR_SET": calendar_set}
