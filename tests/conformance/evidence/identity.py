"""Credentials, key requests and anchors (PROTOCOL.md 7)."""
from . import digest
from .codes import is_department, is_domain
from .note import is_name
from .page import NUMBERS, WORDS
from .wire import Form, decode

PERSON, AGENT, BROKER = (NUMBERS["subject_kind"][w] for w in ("PERSON", "AGENT", "BROKER"))
SUITE = 1
PART_MAX = 4096                         # a credential, a key request, a staff record
DEPTH_MAX = 8
ROLES_OF_PERSONS = range(1, 10)
NO_KEY = bytes(32)


class Wrong(Exception):
    """It does not hold; the text says why."""


def need(condition, why):
    if not condition:
        raise Wrong(why)


def credential_id(raw):
    return digest.within("shuyi/credential/v1", raw)


def root_key_id(root):
    return digest.within("shuyi/root-key/v1", digest.u16(root.suite), root.key)


def _is_key(key):
    return len(key) == 32 and key != NO_KEY


def _ascending(numbers):
    return all(a < b for a, b in zip(numbers, numbers[1:]))


def _check_subject(s):
    need(s.kind in WORDS["subject_kind"], "kind of subject")
    need(is_domain(s.domain), "domain of subject")
    need(s.department == "" if s.kind == BROKER else is_department(s.department), "department of subject")
    need(len(s.id) == (0 if s.kind == BROKER else 16), "id of subject")
    need(_ascending(s.roles) and all(r in ROLES_OF_PERSONS for r in s.roles), "roles")
    need(bool(s.roles) == (s.kind == PERSON), "roles")
    need(_is_key(s.sign_key), "sign_key")
    need(s.link_key == b"" if s.kind == PERSON else _is_key(s.link_key), "link_key")


def read_key_request(raw, signature):
    """A KeyRequest that its own key signed."""
    need(len(raw) <= PART_MAX, "size of the key request")
    try:
        q = decode("KeyRequest", raw)
    except Form as why:
        raise Wrong(str(why)) from None
    need(q.suite == SUITE and q.subject_kind in WORDS["subject_kind"] and is_domain(q.domain), "key request")
    need(q.department == "" if q.subject_kind == BROKER else is_department(q.department), "department of the key request")
    need(len(q.agent_id) == (16 if q.subject_kind == AGENT else 0), "agent_id")
    need(_is_key(q.sign_key), "sign_key")
    need(q.link_key == b"" if q.subject_kind == PERSON else _is_key(q.link_key), "link_key")
    need(q.created_at > 0, "created_at of the key request")
    need(digest.signed(q.sign_key, "shuyi/key-request/v1", digest.plain(raw), signature), "signature of the key request")
    return q


class Held:
    """A credential that was read: its id, what it says, and how it came and went in the register."""
    def __init__(self, signed):
        need(len(signed.credential) <= PART_MAX, "size of the credential")
        try:
            self.says = decode("Credential", signed.credential)
        except Form as why:
            raise Wrong(str(why)) from None
        self.id, self.signature = credential_id(signed.credential), signed.signature
        c = self.says
        need(c.suite == SUITE and c.subject is not None, "suite or subject")
        self.subject = c.subject
        _check_subject(self.subject)
        need(0 < c.not_before < c.not_after and 0 < c.issued_at < c.not_after, "validity")
        need(len(c.issuer) == 32, "issuer")
        self.request = read_key_request(signed.key_request, signed.key_request_signature)
        self._same_as_request()
        self.since = self.ended = None

    def _same_as_request(self):
        s, q = self.subject, self.request
        need((s.kind, s.domain, s.department, s.sign_key, s.link_key) == (q.subject_kind, q.domain, q.department, q.sign_key, q.link_key), "not as requested")
        need(s.kind != AGENT or s.id == q.agent_id, "not the agent's id")

    def issued_by(self, key):
        return digest.signed(key, "shuyi/credential/v1", self.id, self.signature)


def within_reach(issuer, credential):
    """Does the credential lie inside its issuer's may_issue (7, Chain)?"""
    may, c, s = issuer.says.may_issue, credential.says, credential.subject
    if may is None or s.kind not in may.kinds or any(r not in may.roles for r in s.roles) or s.domain not in may.domains:
        return False
    if may.departments and s.department not in may.departments:
        return False
    if c.not_before < issuer.says.not_before or c.not_after > issuer.says.not_after:
        return False
    further = c.may_issue
    if further is None:
        return True
    lists = all(x in getattr(may, name) for name in ("kinds", "roles", "domains") for x in getattr(further, name))
    departments = not may.departments or further.departments and all(d in may.departments for d in further.departments)
    return bool(further.depth < may.depth and lists and departments)


class Anchor:
    """An anchor that holds: `raw` are the bytes of Anchor, `says` what stands there."""
    def __init__(self, signed):
        try:
            self.says = decode("Anchor", signed.anchor)
        except Form as why:
            raise Wrong(str(why)) from None
        self.raw, self.signatures = signed.anchor, signed.signatures
        a = self.says
        need(a.version >= 1 and is_domain(a.domain), "version or domain")
        need(1 <= len(a.roots) <= 16 and all(r.suite == SUITE and _is_key(r.key) for r in a.roots), "roots")
        self.roots = {root_key_id(r): r.key for r in a.roots}
        need(len(self.roots) == len(a.roots), "roots are not distinct")
        need(1 <= a.threshold <= len(a.roots), "threshold")
        need(1 <= len(a.logs) <= 16 and all(is_name(x.origin) and _is_key(x.key) for x in a.logs), "logs")
        need(len({x.origin for x in a.logs}) == len(a.logs), "origins are not distinct")
        need(len(a.witnesses) <= 32 and all(is_name(w.name) and _is_key(w.key) for w in a.witnesses), "witnesses")
        need(len({w.name for w in a.witnesses}) == len(a.witnesses) == len({w.key for w in a.witnesses}), "witnesses are not distinct")
        need(a.witness_quorum <= len(a.witnesses), "witness_quorum")
        need(_ascending(a.suites), "suites")
        need(a.demo or a.threshold > 1 and a.witness_quorum > 0, "only a demo anchor goes without threshold or quorum")
        need(self.signed_by(self), "its own roots have not signed it")

    def signed_by(self, other):
        """Did `other`'s threshold of roots sign this one, none twice?"""
        seen = set()
        for s in self.signatures:
            if s.root_key in other.roots:
                if s.root_key in seen or not digest.signed(other.roots[s.root_key], "shuyi/anchor/v1", digest.plain(self.raw), s.signature):
                    return False
                seen.add(s.root_key)
        return len(seen) >= other.says.threshold

    def follows(self, before):
        return self.says.domain == before.says.domain and self.says.version == before.says.version + 1 and self.signed_by(before)


def read_anchor(raw):
    """The Anchor out of SignedAnchor bytes."""
    try:
        return Anchor(decode("SignedAnchor", raw))
    except Form as why:
        raise Wrong(str(why)) from None
