"""What the acts of a bundle have established so far (PROTOCOL.md 17.3): the state that each next entry is judged by."""
from .identity import PERSON
from .page import NUMBERS

ROLE = NUMBERS["role"]
EXCLUSIVE = {ROLE["SEC_ADMIN"], ROLE["DATA_OPERATOR"], ROLE["AUDIT_OFFICER"]}


class Breach(Exception):
    """An act that is not by the rules: the refusal's code where one fits, and what it is about."""
    def __init__(self, code, detail=""):
        super().__init__(code, detail)
        self.code, self.detail = code, detail


def needs(condition, code="", detail=""):
    if not condition:
        raise Breach(code, detail)


class Register:
    def __init__(self, domain, resource, transfer):
        self.transfer = transfer        # of an UPDATE or RECORD
        self.domain, self.resource = domain, resource      # the one resource that the bundle's intents name, "" if none does
        self.anchors = []               # (Anchor, seq), oldest first
        self.credentials = {}           # id: Held
        self.departments = {}           # code: Department
        self.keys = set()               # every sign_key and link_key that ever entered
        self.filings = {}               # header digest: entry of FILE or STAFF_CHANGE, until it was accepted
        self.names = {}                 # person_id: name as filed
        self.policy = self.calendar = None
        self.submissions = {}           # header digest: entry of CAT_SUBMIT
        self.version = None             # catalog.Version
        self.requests = {}              # header digest: entry of REQ_SUBMIT
        self.grants = {}                # grant id: Grant
        self.row = self.epoch = self.epoch_grant = None     # AudienceRow; the VIEW_EPOCH that it stands under, and its grant
        self.receipt_holds = False

    @property
    def anchor(self):
        return self.anchors[-1][0] if self.anchors else None

    def authority(self):
        return next((code for code, d in self.departments.items() if d.authority), None)

    def standing(self, held, t):
        """May this credential sign at time t?"""
        return held is not None and held.ended is None and held.says.not_before <= t < held.says.not_after

    def of_subject(self, kind, subject_id, department=None):
        """Credentials of a person or agent that were not ended."""
        return [c for c in self.credentials.values() if c.subject.kind == kind and c.subject.id == subject_id and c.ended is None and
                department in (None, c.subject.department)]

    def admit(self, held, n):
        """A new credential: its keys were never seen, nobody gets two exclusive hats."""
        keys = {k for k in (held.subject.sign_key, held.subject.link_key) if k}
        needs(not keys & self.keys, "E_CRED", "a key appears twice")
        needs(held.id not in self.credentials, "E_CRED", "a credential appears twice")
        if held.subject.kind == PERSON:
            roles = set(held.subject.roles).union(*(c.subject.roles for c in self.of_subject(PERSON, held.subject.id)))
            needs(len(roles & EXCLUSIVE) <= 1, "G_SEPARATION")
        self.keys |= keys
        held.since = n
        self.credentials[held.id] = held

    def end(self, held, n):
        held.ended = n
