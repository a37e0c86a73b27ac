"""What a keeper of the log, or who puts a bundle together, may try: cases of forge.py.

Each row: what is done | which bundle | how | whether the bundle is a whole one all the same."""
import copy

from evidence import digest
from evidence.page import NUMBERS
from forge import City, make

ROLE, STATUS, KIND = NUMBERS["role"], NUMBERS["trust_status"], NUMBERS["trust_kind"]
UPDATE, GET, RECEIPT, CONSENT, PART = "transfer/UPDATE", "transfer/GET", "transfer/DELIVERY_RECEIPT", "decided/027-CONSENT", "decided/029-CONSENT_PART"
APPLY, REFUSE, WITHDRAW, SUSPEND, RESUME, END = ("decided/026-REQ_SUBMIT", "decided/REFUSE", "decided/WITHDRAW", "decided/036-GRANT_SUSPEND",
                                                 "decided/GRANT_RESUME", "decided/GRANT_END")
POLICY, ACCEPT, REVOKE, DEPARTMENT, SMALL = "decided/POLICY_SET", "decided/042-ACCEPT", "decided/REVOKE", "decided/007-DEPARTMENT", "small/ANCHOR"
DAY, YEAR = 86400000, 366 * 86400000
CASES = []


def case(what, where, proven=False):
    def keep(function):
        CASES.append((what, where, function, proven))
        return function
    return keep


def intent(what, where, entry, proven=False, **fields):
    """A row that sets fields of one entry's intent."""
    def change(f):
        for name, value in fields.items():
            setattr(f.one(entry).intent, name, value)
    case(what, where, proven)(change)


def body(what, where, entry, proven=False, **fields):
    def change(f):
        for name, value in fields.items():
            setattr(f.one(entry).body, name, value)
    case(what, where, proven)(change)


def row(what, **fields):
    def change(f):
        for name, value in fields.items():
            setattr(f.one("VIEW_EPOCH").row, name, value)
    case(what, UPDATE)(change)


def policy(what, where, proven=False, **values):
    """A row that publishes other values."""
    def change(f):
        b = f.one("POLICY_SET").body
        lines = [line.partition(" = ") for line in b.canonical.decode().split("\n")[:-1]]
        b.canonical = "".join(f"{k} = {values.get(k, v)}\n" for k, _, v in lines).encode()
    case(what, where, proven)(change)


def sign_as(e, f, *pairs):
    """New signers: (name of the city's, role)."""
    e.envelope.signatures = [make("Signature", credential=f.city.ids[name], capacity=ROLE[role], signature=bytes(64)) for name, role in pairs]


def signers(what, where, entry, *pairs, proven=False, at=0):
    case(what, where, proven)(lambda f: sign_as(f.one(entry, at), f, *pairs))


# ---- nothing changed: what is forged like that is whole ----

for where in (UPDATE, GET, RECEIPT, CONSENT, PART, APPLY, REFUSE, WITHDRAW, SUSPEND, RESUME, END, POLICY, ACCEPT, REVOKE, DEPARTMENT, SMALL):
    case("signed and proved anew", where, True)(lambda f: None)

# ---- who must sign ----

signers("applicant alone", GET, "GET", ("zhang", "USER"))
signers("approver first", GET, "GET", ("li", "APPROVER"), ("zhang", "USER"))
signers("three where two must", GET, "GET", ("zhang", "USER"), ("li", "APPROVER"), ("health-officer", "DATA_OFFICER"))
signers("approver is no approver", GET, "GET", ("zhang", "USER"), ("health-officer", "APPROVER"))
signers("relabelled: a data officer for the approver", GET, "GET", ("zhang", "USER"), ("health-officer", "DATA_OFFICER"))
signers("relabelled: a person as an agent", GET, "GET", ("zhang", "AGENT"), ("li", "APPROVER"))
signers("relabelled: a person as the center", GET, "GET", ("zhang", "SYSTEM"), ("li", "APPROVER"))
signers("an agent as a person", GET, "GET", ("health-agent", "USER"), ("li", "APPROVER"))
signers("approver of another department", GET, "GET", ("zhang", "USER"), ("chen", "APPROVER"))
signers("both of another department", GET, "GET", ("civil-officer", "USER"), ("chen", "APPROVER"))
signers("sharing head instead", GET, "GET", ("zhang", "USER"), ("li", "SHARING_HEAD"))
signers("roots for a grant", GET, "GET", ("root-0", "ROOT"), ("root-1", "ROOT"))
signers("one root of two", DEPARTMENT, "DEPARTMENT", ("root-0", "ROOT"), at=1)
signers("three roots where two do", DEPARTMENT, "DEPARTMENT", ("root-0", "ROOT"), ("root-1", "ROOT"), ("root-2", "ROOT"), proven=True, at=1)
signers("SEC_ADMIN instead of the roots", DEPARTMENT, "DEPARTMENT", ("authority-security", "SEC_ADMIN"), at=1)
signers("the center for a person", SUSPEND, "GRANT_SUSPEND", ("broker", "SYSTEM"))
signers("consent: handler and approver the wrong way round", CONSENT, "CONSENT", ("chen", "APPROVER"), ("civil-officer", "DATA_OFFICER"))
signers("consent by the consumer", CONSENT, "CONSENT", ("health-officer", "DATA_OFFICER"), ("li", "APPROVER"))
signers("consent by one", CONSENT, "CONSENT", ("chen", "APPROVER"))
signers("consent by the authority's operator", CONSENT, "CONSENT", ("authority-operator", "DATA_OPERATOR"), ("chen", "APPROVER"))
signers("refusal by one", REFUSE, "REFUSE", ("civil-officer", "DATA_OFFICER"))
signers("withdrawn by the user", WITHDRAW, "WITHDRAW", ("zhang", "USER"))
signers("suspended by a data officer", SUSPEND, "GRANT_SUSPEND", ("civil-officer", "DATA_OFFICER"))
signers("policy by one", POLICY, "POLICY_SET", ("authority-security", "SEC_ADMIN"))
signers("policy in the other order", POLICY, "POLICY_SET", ("authority-operator", "DATA_OPERATOR"), ("authority-security", "SEC_ADMIN"), proven=True)
signers("first policy by officer and operator", POLICY, "POLICY_SET", ("authority-operator", "DATA_OPERATOR"), ("authority-officer", "DATA_OFFICER"))
signers("published by SEC_ADMIN", GET, "CAT_APPROVE", ("authority-security", "SEC_ADMIN"))
signers("submitted by the officer alone", GET, "CAT_SUBMIT", ("civil-officer", "DATA_OFFICER"))
signers("accepted by the operator", ACCEPT, "ACCEPT", ("authority-operator", "DATA_OPERATOR"), at=-1)
signers("filed by an approver", ACCEPT, "FILE", ("li", "APPROVER"), at=-1)
signers("update by the consumer's agent", UPDATE, "UPDATE", ("health-agent", "AGENT"))
signers("update by a person", UPDATE, "UPDATE", ("civil-officer", "DATA_OFFICER"))
signers("receipt by the provider's agent", UPDATE, "DELIVERY_RECEIPT", ("civil-agent", "AGENT"))
signers("trust head by an agent", UPDATE, "TRUST_HEAD", ("civil-agent", "AGENT"))
signers("nobody known", GET, "GET", ("log", "USER"), ("li", "APPROVER"))


@case("a signature of another header", UPDATE)
def _(f):
    f.one("UPDATE").bad_signature = True


@case("the approver's signature does not hold", GET)
def _(f):
    f.one("GET").bad_signature = True


@case("refused act with a signature that does not hold", "decided/032-CONSENT")
def _(f):
    f.act.bad_signature = True


# ---- times ----

@case("forward-dated by a year: credentials have run out", UPDATE)
def _(f):
    for e in f.entries:
        if e.raw.seq >= f.one("GET").raw.seq:
            e.raw.accepted_at += 5 * YEAR


@case("back-dated: before the credentials", UPDATE)
def _(f):
    for e in f.entries:
        e.raw.accepted_at -= 5 * YEAR


@case("back-dated by six minutes", GET)
def _(f):
    for e in f.entries:
        e.raw.accepted_at -= 360000


@case("forward-dated beyond expires_at", GET)
def _(f):
    for e in f.entries:
        if e.raw.seq >= f.one("GET").raw.seq:
            e.raw.accepted_at = f.one("GET").intent.expires_at
    f.last.raw.accepted_at += 1


@case("taken at the last moment before expires_at", GET, True)
def _(f):
    at = f.one("GET").intent.expires_at - 1
    for e in f.entries:
        if e.raw.seq >= f.one("GET").raw.seq:
            e.raw.accepted_at = at


def times(what, where, entry, proven, change):
    def run(f):
        change(f.one(entry).intent)
    case(what, where, proven)(run)


times("a person's act that never expires", GET, "GET", False, lambda i: setattr(i, "expires_at", 0))
times("a person's act that expires in 31 days", GET, "GET", False, lambda i: setattr(i, "expires_at", i.created_at + 31 * DAY))
times("a person's act that expires in 30 days", GET, "GET", True, lambda i: setattr(i, "expires_at", i.created_at + 30 * DAY))
times("an agent's act that expires in 31 days", UPDATE, "UPDATE", False, lambda i: setattr(i, "expires_at", i.created_at + 31 * DAY))
times("an agent's act that never expires", UPDATE, "UPDATE", True, lambda i: setattr(i, "expires_at", 0))
times("a root's act that never expires", SMALL, "ANCHOR", False, lambda i: setattr(i, "expires_at", 0))
times("a policy that never expires", POLICY, "POLICY_SET", False, lambda i: setattr(i, "expires_at", 0))
times("a consent that never expires", CONSENT, "CONSENT", False, lambda i: setattr(i, "expires_at", 0))
times("an application that never expires", APPLY, "REQ_SUBMIT", False, lambda i: setattr(i, "expires_at", 0))
times("a refusal that never expires", REFUSE, "REFUSE", False, lambda i: setattr(i, "expires_at", 0))
times("a submission that never expires", GET, "CAT_SUBMIT", False, lambda i: setattr(i, "expires_at", 0))
times("a freeze that never expires", "decided/FREEZE", "FREEZE", False, lambda i: setattr(i, "expires_at", 0))
times("the center's act that expires", GET, "TRUST_HEAD", True, lambda i: setattr(i, "expires_at", i.created_at + DAY))


# ---- the application and the decision ----

intent("purpose is empty", GET, "GET", purpose="")
intent("purpose of 300 bytes", GET, "GET", True, purpose="P" * 300)
intent("purpose of 301 bytes", GET, "GET", purpose="P" * 301)
intent("no items", GET, "GET", items=[])
intent("items that the entry has not", GET, "GET", items=[1, 2, 9])
intent("no use class", GET, "GET", use_class=0)
intent("another method", GET, "GET", method=1)
intent("no method", GET, "GET", method=0)
intent("on paper", GET, "GET", medium=3)
intent("another version", GET, "GET", resource_version=2)
intent("another resource", GET, "GET", resource="999001/1")
intent("number with a leading zero", GET, "GET", resource="130001/01")
intent("number zero", GET, "GET", resource="130001/0")
intent("another number of the same class", GET, "GET", True, resource="130001/77")
intent("no resource", GET, "GET", resource="")
intent("an agent that nobody knows", GET, "GET", agent=b"A" * 16)
intent("a filter", GET, "GET", filter_digest=b"F" * 32)
intent("a mask", GET, "GET", mask_version=1)
intent("a period that has passed", GET, "GET", period_to=1)
intent("a period that ends before it begins", GET, "GET", period_from=1970861600000, period_to=1970861599999)
intent("from another department", GET, "GET", **{"from": "11442000007332040W"})
intent("from nobody", GET, "GET", **{"from": ""})
intent("an UNCONDITIONAL way to conditional data", APPLY, "REQ_SUBMIT", purpose="")
intent("an application without items", APPLY, "REQ_SUBMIT", items=[])
intent("items not asked for", CONSENT, "CONSENT", items=[1, 2, 3, 4])
intent("a consent to fewer items", CONSENT, "CONSENT", items=[1, 2])
intent("a partial consent to all", PART, "CONSENT_PART", items=[1, 2, 3])
intent("a partial consent to none", PART, "CONSENT_PART", items=[])
intent("a refusal with items", REFUSE, "REFUSE", items=[1])
intent("a reply to another request", CONSENT, "CONSENT", request=b"R" * 32)
intent("in reply to another", CONSENT, "CONSENT", in_reply_to=b"R" * 32)
intent("a withdrawal of another request", WITHDRAW, "WITHDRAW", request=b"R" * 32)
intent("a suspension of another grant", SUSPEND, "GRANT_SUSPEND", grant=b"R" * 32)
intent("a submission for an agent of nobody", GET, "CAT_SUBMIT", agent=b"A" * 16)
intent("another matter approved", GET, "CAT_APPROVE", object=b"M" * 32)
body("another submission approved", GET, "CAT_APPROVE", submit_digest=b"M" * 32)
intent("a second filing accepted", ACCEPT, "ACCEPT", object=b"M" * 32)
intent("another credential revoked", REVOKE, "REVOKE", object=b"M" * 32)
body("revoked without reason", REVOKE, "REVOKE", reason=0)


@case("the entry is CONDITIONAL, the way is not", GET)
def _(f):
    f.one("CAT_SUBMIT").body.entry.share_type = 2


@case("an item is CONDITIONAL", GET)
def _(f):
    f.one("CAT_SUBMIT").body.entry.items[1].item_share_type = 2


@case("an item that is not asked for is CONDITIONAL", GET, True)
def _(f):
    f.one("CAT_SUBMIT").body.entry.items[3].item_share_type = 2


@case("an item is WITHHELD", APPLY)
def _(f):
    f.one("CAT_SUBMIT").body.entry.items[1].item_share_type = 3


@case("no DB_PUSH in the entry", GET)
def _(f):
    f.one("CAT_SUBMIT").body.entry.share_methods = [1]


@case("an entry of another provider", GET)
def _(f):
    f.one("CAT_SUBMIT").body.entry.provider_code = "1144200000733381X8"


def scoped(what, text, proven=False):
    def change(f):
        f.one("CAT_SUBMIT").body.entry.share_scope = text
    case("scope: " + what, APPLY, proven)(change)


scoped("all", "ALL : ANY : ALL", True)
scoped("the code", "code 1144200000733381X8 : ANY : 1-3", True)
scoped("another code", "code 11442000007332040W : ANY : ALL")
scoped("one item too few", "ALL : ANY : 1-2")
scoped("items of two lines", "ALL : ANY : 1-2; class GOV_DEPT : ANY : 3", True)
scoped("another class", "class TOWNSHIP : ANY : ALL")
scoped("another use", "ALL : OTHER_USE : ALL")
scoped("the uses", "ALL : ADMIN_BASIS,BUSINESS_COOPERATION,DATA_CHECK,WORK_REFERENCE : ALL", True)
scoped("uses out of order", "ALL : WORK_REFERENCE,ADMIN_BASIS,DATA_CHECK : ALL")
scoped("ranges that touch", "ALL : ANY : 1-2,3-9")
scoped("a word that is no class", "class GOV_DEPT,NOBODY : ANY : ALL")
scoped("region of the city", "region 442000 : ANY : ALL", True)
scoped("region of the province", "region 440000 : ANY : ALL", True)
scoped("another region", "region 410000 : ANY : ALL")
scoped("the authority alone", "role AUTHORITY : ANY : ALL")
scoped("a role that is none", "role DATA_OFFICER : ANY : ALL")
scoped("malformed", "everybody")
scoped("malformed behind a line that fits", "ALL : ANY : ALL; nonsense")
scoped("items backwards", "ALL : ANY : 3-1")

# ---- policy ----

policy("only by request", GET, uncond_mode="REQUEST_REPLY", uncond_reply_wd="1")
policy("unconditional by request, decided", CONSENT, True, uncond_mode="REQUEST_REPLY", uncond_reply_wd="1")
policy("the authority decides", CONSENT, cond_decider="AUTHORITY")
policy("the authority decides with the provider", CONSENT, cond_decider="AUTHORITY_WITH_PROVIDER")
policy("the sharing head approves the application", GET, consumer_internal_approval="SHARING_HEAD")
policy("the sharing head approves the reply", CONSENT, provider_internal_approval="SHARING_HEAD")
policy("the head approves submissions", GET, catalog_pre_assessment="SECRECY_REVIEW, HEAD_APPROVAL")
policy("fields that the application has not", APPLY, request_fields="LEGAL_BASIS, PERIOD")
policy("of another place", POLICY, division_code="440000")
policy("for comparison alone", POLICY, standing="COMPARE")
policy("a value out of its list", POLICY, uncond_mode="SOMETIMES")
policy("a number out of range", POLICY, trust_max_age_s="59")
policy("values that do not go together", POLICY, refuse_basis="NO")
policy("younger heads asked for", UPDATE, True, trust_max_age_s="60")
policy("version 7 first", POLICY, True, profile_version="7")


@case("a policy with a comment", POLICY)
def _(f):
    f.one("POLICY_SET").body.canonical += b"# a comment\n"


@case("a calendar without header", POLICY)
def _(f):
    b = f.one("CALENDAR_SET").body
    b.canonical = b.canonical.split(b"\n", 1)[1]


@case("a calendar with a working Monday", POLICY)
def _(f):
    b = f.one("CALENDAR_SET").body
    b.canonical = b.canonical.replace(b"2020-01-19,workday", b"2020-01-13,workday")


# ---- the transfer ----

row("another consumer in the row", consumer="11442000007332040W")
row("another purpose in the row", purpose="ANOTHER")
row("another user in the row", user=b"U" * 16)
row("another approver in the row", approver=b"U" * 16)
row("another agent in the row", agent=b"U" * 16)
row("another channel in the row", channel=2)
row("another method in the row", method=1)
row("another grant in the row", grant=b"G" * 32)
intent("an update of another epoch", UPDATE, "UPDATE", view_epoch=2)
intent("an update under another key", UPDATE, "UPDATE", key_id=b"K" * 32)
intent("an update of another stream", UPDATE, "UPDATE", stream=b"S" * 32)
intent("an update of another view", UPDATE, "UPDATE", view=b"S" * 32)
intent("an update with other items", UPDATE, "UPDATE", items=[1, 2])
intent("an update of another version", UPDATE, "UPDATE", resource_version=2)
intent("an update without medium", UPDATE, "UPDATE", medium=0)
intent("an update without records", UPDATE, "UPDATE", record_count=0)
intent("an update of 257 records", UPDATE, "UPDATE", record_count=257)
intent("an update that is the epoch's own number", UPDATE, "UPDATE", stream_seq=1)
intent("an update without secrecy review", UPDATE, "UPDATE", secrecy_review=b"")
intent("an epoch of another review", UPDATE, "VIEW_EPOCH", secrecy_review=b"R" * 32)
intent("an epoch with more rows", UPDATE, "VIEW_EPOCH", record_count=2)
intent("a receipt of another grant", UPDATE, "DELIVERY_RECEIPT", grant=b"G" * 32)
intent("a receipt of another stream", UPDATE, "DELIVERY_RECEIPT", stream=b"S" * 32)
intent("a receipt of another stream, by itself", RECEIPT, "DELIVERY_RECEIPT", stream=b"S" * 32)
intent("a receipt of another grant, by itself", RECEIPT, "DELIVERY_RECEIPT", grant=b"G" * 32)
intent("a grant that has ended when it is served", UPDATE, "GET", period_to=1770861600900)
intent("a grant that begins later", UPDATE, "GET", period_from=1770861700000)
body("a receipt of earlier links", UPDATE, "DELIVERY_RECEIPT", first=1, last=2)
body("a receipt of later links", UPDATE, "DELIVERY_RECEIPT", first=4)
body("a receipt with another last link", UPDATE, "DELIVERY_RECEIPT", last_digest=b"L" * 32)
body("a receipt with too few deltas", UPDATE, "DELIVERY_RECEIPT", deltas=[1])
body("a receipt that refuses it", UPDATE, "DELIVERY_RECEIPT", nacks=[make("Nack", stream_seq=3, code=17, count=1)])
body("a receipt that refuses another", UPDATE, "DELIVERY_RECEIPT", True, nacks=[make("Nack", stream_seq=2, code=17, count=1)])


@case("no receipt", UPDATE)
def _(f):
    f.entries.remove(f.one("DELIVERY_RECEIPT"))
    f.bundle.links = []


@case("no receipt, but its links", UPDATE)
def _(f):
    f.entries.remove(f.one("DELIVERY_RECEIPT"))


@case("links left out", UPDATE)
def _(f):
    f.bundle.links = []


@case("a link too many", UPDATE)
def _(f):
    f.bundle.links.append(f.bundle.links[-1])


@case("a link that is no header", UPDATE)
def _(f):
    f.close()
    f.bundle.links = [b"\1\2\3"]
    f.closed = True


# ---- status ----

def standing(what, object_of, status, since_of, where=UPDATE, proven=False, head=-1):
    """Another status or since_seq of one object in a trust head (the last one)."""
    def change(f):
        x = f.lookup(object_of(f), f.all("TRUST_HEAD")[head])
        x.status = STATUS[status] if status else x.status
        x.since_seq = since_of(f) if since_of else x.since_seq
    case("status: " + what, where, proven)(change)


def of(name):
    return lambda f: f.city.ids[name]


def named(kind):
    return lambda f: digest.within("shuyi/trust-map/v1", digest.u8(KIND[kind]), b"442000")


def the_grant(f):
    return f.one("GET").digest


def the_matter(f):
    return f.one("CAT_APPROVE").intent.object


def seq_of(name, more=0):
    return lambda f: f.one(name).raw.seq + more


standing("the provider's agent was revoked before", of("civil-agent"), "REVOKED", seq_of("GET"))
standing("the user was revoked before", of("zhang"), "REVOKED", seq_of("CAT_SUBMIT"))
standing("the user was revoked afterwards, the revocation is left out", of("zhang"), "REVOKED", seq_of("DELIVERY_RECEIPT", 1))
standing("a credential since another entry", of("zhang"), None, seq_of("CAT_SUBMIT"))
standing("a credential superseded afterwards", of("civil-agent"), "SUPERSEDED", seq_of("UPDATE", 1))
standing("the grant was suspended before", the_grant, "SUSPENDED", seq_of("UPDATE", -1))
standing("the grant was suspended afterwards", the_grant, "SUSPENDED", seq_of("UPDATE", 1), proven=True)
standing("the grant ended in this very entry", the_grant, "ENDED", seq_of("UPDATE"))
standing("the grant is older than its decision", the_grant, None, seq_of("GET", -1))
standing("the grant was resumed before", the_grant, None, seq_of("VIEW_EPOCH"), proven=True)
standing("the matter was frozen before", the_matter, "FROZEN", seq_of("VIEW_EPOCH"))
standing("the matter is retired now", the_matter, "RETIRED", seq_of("UPDATE", 1), proven=True)
standing("the matter is older than its approval", the_matter, None, seq_of("CAT_SUBMIT"))
standing("another anchor is in force", named("ANCHOR"), None, seq_of("UPDATE"))
standing("another policy is in force", named("POLICY"), None, seq_of("UPDATE"))
standing("the calendar is superseded", named("CALENDAR"), "SUPERSEDED", None)


def without(what, object_of, where=UPDATE):
    def change(f):
        x = f.lookup(object_of(f))
        f.last.raw.lookups.remove(x)
    case("lookup left out: " + what, where)(change)


without("the anchor", named("ANCHOR"))
without("the policy", named("POLICY"))
without("a signer", of("li"))
without("the broker", of("broker"))
without("the grant", the_grant)
without("the matter", the_matter)
without("a signer, of a decision", of("li"), GET)


@case("a path of the map is cut", UPDATE)
def _(f):
    f.close()
    f.last.raw.lookups[3].map_path = f.last.raw.lookups[3].map_path[:-1]
    f.closed = True


@case("an earlier trust head's lookups", UPDATE)
def _(f):
    f.close()
    first = f.one("TRUST_HEAD")
    first.raw.lookups, f.last.raw.lookups = f.last.raw.lookups, first.raw.lookups
    f.closed = True


@case("an older trust head at the end", UPDATE)
def _(f):
    f.close()
    f.bundle.entries.remove(f.last.raw)
    older = f.one("TRUST_HEAD").raw
    f.bundle.entries.remove(older)
    f.bundle.entries.append(older)
    f.closed = True


@case("the trust head before, told as the last one", UPDATE)
def _(f):
    f.close()
    older, last = f.one("TRUST_HEAD").raw, f.last.raw
    last.envelope = older.envelope
    f.closed = True


def _changed_later(f, seq):
    """The grant is suspended by the last head; the head before the UPDATE shows it ACTIVE."""
    x, before = f.lookup(the_grant(f)), f.all("TRUST_HEAD")[0]
    x.status, x.since_seq = STATUS["SUSPENDED"], seq
    return before


@case("the grant was suspended afterwards, as the head before shows", UPDATE, True)
def _(f):
    _changed_later(f, f.one("UPDATE").raw.seq + 1)


@case("the grant was suspended afterwards, the head before is as old as allowed", UPDATE, True)
def _(f):
    before = _changed_later(f, f.one("UPDATE").raw.seq + 1)
    for e in f.entries:
        if e.raw.seq > before.raw.seq:
            e.raw.accepted_at = before.raw.accepted_at + 300000


@case("the grant was suspended afterwards, the head before is too old", UPDATE)
def _(f):
    before = _changed_later(f, f.one("UPDATE").raw.seq + 1)
    for e in f.entries:
        if e.raw.seq > before.raw.seq:
            e.raw.accepted_at = before.raw.accepted_at + 300001


@case("the grant was suspended afterwards, by the head before as well", UPDATE)
def _(f):
    before = _changed_later(f, f.one("UPDATE").raw.seq + 1)
    x = f.lookup(the_grant(f), before)
    x.status = STATUS["SUSPENDED"]


# ---- who puts it together ----

@case("two entries change places", UPDATE)
def _(f):
    f.close()
    e = f.bundle.entries
    e[3], e[4] = e[4], e[3]
    f.closed = True


@case("two envelopes change places", UPDATE)
def _(f):
    f.close()
    a, b = f.one("GET").raw, f.one("CAT_SUBMIT").raw
    a.envelope, b.envelope = b.envelope, a.envelope
    f.closed = True


@case("the path of another leaf", UPDATE)
def _(f):
    f.close()
    f.one("GET").raw.path = f.one("CAT_SUBMIT").raw.path
    f.closed = True


@case("the seq of another leaf", UPDATE)
def _(f):
    f.close()
    f.one("GET").raw.seq += 1
    f.closed = True


def relabel(what, **fields):
    def change(f):
        f.close()
        for name, value in fields.items():
            setattr(f.one("GET").raw, name, value)
        f.closed = True
    case(what, GET)(change)


relabel("an outcome told otherwise", code=0 + 11)
relabel("other effects", effects_digest=b"E" * 32)
relabel("a time that the log did not write", accepted_at=1770861600001)
relabel("another epoch", epoch=2)


@case("an act that was refused, told as taken", "decided/032-CONSENT")
def _(f):
    f.close()
    f.act.raw.code = 0
    f.closed = True


@case("an entry that was refused beside the act", UPDATE)
def _(f):
    f.one("GET").raw.code = 11


@case("an entry twice", UPDATE)
def _(f):
    f.close()
    f.bundle.entries.insert(4, f.bundle.entries[3])
    f.closed = True


@case("time falls", UPDATE)
def _(f):
    f.one("VIEW_EPOCH").raw.accepted_at -= 2000


@case("the checkpoint of another tree", UPDATE)
def _(f):
    f.close()
    f.bundle.checkpoint = f.note(int(f.bundle.checkpoint.split("\n")[1]), b"R" * 32)
    f.closed = True


@case("a checkpoint that is smaller", UPDATE)
def _(f):
    f.close()
    import base64
    f.bundle.checkpoint = f.note(20, base64.b64decode(f.bundle.checkpoint.split("\n")[2]))
    f.closed = True


@case("a checkpoint of another origin", UPDATE)
def _(f):
    f.close()
    f.bundle.checkpoint = f.bundle.checkpoint.replace("shuyi/442000", "shuyi/440000")
    f.closed = True


@case("the log's line twice", UPDATE)
def _(f):
    f.close()
    f.bundle.checkpoint += f.bundle.checkpoint.split("\n\n")[1]
    f.closed = True


@case("a line of a stranger", UPDATE)
def _(f):
    f.close()
    f.bundle.checkpoint += f.cosignature("x", "stranger", f.city.seeds["zhang"], 1)
    f.closed = True


@case("the kind of another bundle", UPDATE)
def _(f):
    f.close()
    f.bundle.kind = 2
    f.closed = True


@case("records promised, none there", UPDATE)
def _(f):
    f.close()
    f.bundle.kind = 3
    f.closed = True


@case("the epoch's row of nobody", UPDATE)
def _(f):
    f.close()
    f.one("VIEW_EPOCH").raw.row = b"\xff"
    f.closed = True


@case("another row index", UPDATE)
def _(f):
    f.close()
    f.one("VIEW_EPOCH").raw.row_index = 1
    f.closed = True


@case("lookups of an entry that is no trust head", UPDATE)
def _(f):
    f.one("GET").raw.lookups = [copy.deepcopy(f.last.raw.lookups[0])]


# ---- two grants in one bundle: it is about one of them ----

def two_grants(f):
    """A GET for another purpose stands before the one that the transfer is about."""
    first = f.one("GET")
    second = copy.deepcopy(first)
    first.intent.purpose = "ANOTHER"
    second.raw.seq += 1
    f.entries.insert(f.entries.index(first) + 1, second)
    for head in f.all("TRUST_HEAD"):
        for x in head.raw.lookups:
            x.since_seq += x.object == first.digest
    return first, second


@case("two grants", UPDATE, True)
def _(f):
    two_grants(f)


@case("two grants, the act opens the second", GET, True)
def _(f):
    f.act = two_grants(f)[1]


@case("two grants, the receipt is of the first", UPDATE)
def _(f):
    first, _second = two_grants(f)
    f.before_close["DELIVERY_RECEIPT"] = lambda e: setattr(e.intent, "grant", first.digest)


# ---- entries of other kinds ----

def signed_now(f, *names):
    """The act as one that was taken: the last head shows its signers' credentials."""
    f.act.raw.code = 0
    for name in names:
        admitted = next(e.raw.seq for e in f.entries if _admits(e, f.city.ids[name]))
        if all(x.object != f.city.ids[name] for x in f.last.raw.lookups):
            f.last.raw.lookups.append(make("MapLeaf", object=f.city.ids[name], status=STATUS["ACTIVE"], since_seq=admitted))


def _admits(e, credential):
    signed = [a.credential for a in e.body.admissions] if e.name == "DEPARTMENT" else [e.body.credential] if e.name == "ACCEPT" else []
    return any(digest.within("shuyi/credential/v1", s.credential) == credential for s in signed)


@case("a PURGE", "decided/PURGE", True)
def _(f):
    signed_now(f, "authority-operator", "auditor")


@case("a PURGE the wrong way round", "decided/PURGE")
def _(f):
    signed_now(f, "authority-operator", "auditor")
    sign_as(f.act, f, ("auditor", "AUDIT_OFFICER"), ("authority-operator", "DATA_OPERATOR"))


@case("a refused application told as taken, by who holds the log's key", "decided/032-CONSENT")
def _(f):
    f.act.raw.code = 0



def also(what, where, proven, fields, *pairs, kind, body_message=None, after="GET"):
    """A further entry behind the one named."""
    def change(f):
        e = f.one(after)
        new = copy.deepcopy(f.one("TRUST_HEAD"))
        seq = next(n for n in range(e.raw.seq + 1, f.last.raw.seq) if n not in [x.raw.seq for x in f.entries])
        new.raw.seq, new.raw.accepted_at, new.raw.lookups = seq, max(x.raw.accepted_at for x in f.entries if x.raw.seq < seq), []
        new.kind = [k for k in __import__("evidence.page", fromlist=["KINDS"]).KINDS.values() if k.name == kind][0]
        new.intent.kind, new.body = new.kind.number, body_message
        new.intent.expires_at = new.intent.created_at + DAY
        for name, value in fields.items():
            setattr(new.intent, name, value)
        if body_message is None:
            new.envelope.body, new.header.body_bytes, new.header.body_digest = b"", 0, digest.plain(b"")
        sign_as(new, f, *pairs)
        f.entries.append(new)
        f.entries.sort(key=lambda x: x.raw.seq)
    case(what, where, proven)(change)


CIVIL, HEALTH, AUTHORITY = "11442000007332040W", "1144200000733381X8", "11442000007331101A"
also("a NO_CHANGE beside it", UPDATE, False, {"from": CIVIL}, ("civil-agent", "AGENT"), kind="NO_CHANGE")
also("an AUDIT_READ beside it", UPDATE, False, {"from": AUTHORITY}, ("authority-officer", "DATA_OFFICER"), kind="AUDIT_READ")
also("a TICK beside it", UPDATE, True, {"from": ""}, ("broker", "SYSTEM"), kind="TICK", body_message=make("TickBody", fired=1))
also("a TICK by a person", UPDATE, False, {"from": AUTHORITY}, ("authority-security", "SEC_ADMIN"), kind="TICK", body_message=make("TickBody", fired=1))
also("a CLOCK beside it", UPDATE, True, {"from": AUTHORITY}, ("authority-security", "SEC_ADMIN"), kind="CLOCK", body_message=make("ClockBody", stated=1770861600000))
also("a PURGE by one", UPDATE, False, {"from": AUTHORITY}, ("authority-operator", "DATA_OPERATOR"), kind="PURGE", body_message=make("PurgeBody", what=1, to=5))
also("a FREEZE beside it", UPDATE, True, {"from": AUTHORITY, "object": b"M" * 32}, ("authority-security", "SEC_ADMIN"), kind="FREEZE",
     body_message=make("FreezeBody", reason=5))
also("a CAT_RETURN beside it", UPDATE, True, {"from": AUTHORITY, "object": b"M" * 32}, ("authority-operator", "DATA_OPERATOR"), kind="CAT_RETURN",
     body_message=make("ReturnBody", defects=[make("Defect", code="C-021")]))
also("a kind of later parts beside it", UPDATE, False, {"from": AUTHORITY}, ("authority-security", "SEC_ADMIN"), kind="ANNUL")


def run(city_path, where, change):
    """(city, text) of one case."""
    city_name, _, name = where.partition("/")
    city = City(f"{city_path}/{city_name}")
    f = city.open(name)
    f.closed = False
    change(f)
    if not f.closed:
        f.close()
    return city, f.text()
