"""What was in force when: lookups in the trust map (PROTOCOL.md 17.3, item 5)."""
from . import policy, tree
from .bundle import DECISION
from .page import NUMBERS
from .register import ROLE
from .registry import COMPROMISED

STATUS, KIND = NUMBERS["trust_status"], NUMBERS["trust_kind"]
ACTIVE, REVOKED = STATUS["ACTIVE"], STATUS["REVOKED"]
HEAD_AGE_MS = 300000
NAMED = (("ANCHOR", "ANCHOR"), ("POLICY", "POLICY_SET"), ("CALENDAR", "CALENDAR_SET"))


class Status:
    """`tell(fault, seq)` takes each thing that is wrong, "MISSING" what the bundle lacks."""
    def __init__(self, bundle, register, tell):
        self.bundle, self.register, self.tell = bundle, register, tell
        self.taken = [e for e in bundle.entries if e.code == 0]
        self.heads = [e for e in bundle.entries if e.name == "TRUST_HEAD"]
        self.last = {x.object: x for x in bundle.last.lookups}

    def check(self):
        for e in self.heads:
            if not all(tree.in_map(leaf, e.body.map_root) for leaf in e.lookups) or len(e.body.map_root) != 32:
                self.tell("LOOKUP", e.n)
        for kind, entry_name in NAMED:
            self._check_newest(kind, entry_name)
        for e in self.taken:
            for s in e.claim.signatures:
                if s.capacity != ROLE["ROOT"]:
                    held = self.register.credentials.get(s.credential)
                    self._check_object(e, s.credential, lambda since, at=held.since if held else 0: since == at)
                    self._check_revocation(e, self.last.get(s.credential))
        if self.bundle.kind != DECISION:
            self._check_transfer()

    def _check_newest(self, kind, entry_name):
        """The last ANCHOR, POLICY_SET, CALENDAR_SET of the bundle is the one in force."""
        entries = [e for e in self.taken if e.name == entry_name]
        if not entries and kind != "ANCHOR" and self.bundle.kind == DECISION:
            return
        leaf = self.last.get(tree.map_object(KIND[kind], self.register.domain.encode()))
        seq = entries[-1].n if entries else 0
        if leaf is None or not entries:
            self.tell("MISSING", seq)
        elif leaf.status != ACTIVE or leaf.since_seq != seq:
            self.tell("NOT_ACTIVE", seq)

    def _check_object(self, e, object_id, begins):
        """Was it ACTIVE when e was taken?  `begins`: may it have become so at that seq?"""
        def active(leaf):
            return leaf.status == ACTIVE and leaf.since_seq < e.n and begins(leaf.since_seq)

        now = self.last.get(object_id)
        if now is None:
            return self.tell("MISSING", e.n)
        if active(now):
            return None
        before = [h for h in self.heads if h.n < e.n]
        then = {x.object: x for x in before[-1].lookups}.get(object_id) if before else None
        if now.since_seq <= e.n or then is not None and not active(then):
            return self.tell("NOT_ACTIVE", e.n)
        if then is None:
            return self.tell("MISSING", e.n)
        if e.t - before[-1].t > self._head_age_ms(e):
            self.tell("HEAD_AGE", e.n)
        return None

    def _head_age_ms(self, e):
        """As the last policy before e has it."""
        age = HEAD_AGE_MS
        for x in self.taken:
            values = policy.parse_policy(x.body.canonical) if x.name == "POLICY_SET" and x.n < e.n else None
            age = int(values["trust_max_age_s"]) * 1000 if values else age
        return age

    def _check_revocation(self, e, leaf):
        """Of a credential that was revoked later: is it suspect from before e on?"""
        if leaf is None or leaf.status != REVOKED:
            return
        revocation = next((x for x in self.taken if x.name == "REVOKE" and x.n == leaf.since_seq), None)
        if revocation is None:
            self.tell("MISSING", e.n)
        elif revocation.body.reason == COMPROMISED and revocation.body.suspect_since_seq <= e.n:
            self.tell("SUSPECT", e.n)

    def _check_transfer(self):
        update, row = self.bundle.act, self.register.row
        g = self.register.grants.get(row.grant) if row else None
        if g is None:
            self.tell("MISSING", update.n)
        else:
            self._check_object(update, g.id, lambda since: since >= g.since)
        version = self.register.version
        if version is None:
            self.tell("MISSING", update.n)
        else:
            self._check_object(update, version.matter, lambda since: since >= version.since)
