"""Applications, decisions and the grant that follows from them; what is done to a grant (PROTOCOL.md 17.3, Grant)."""
from . import catalog, digest, scope
from .page import NUMBERS
from .policy import values_of
from .register import needs

UNCONDITIONAL, CONDITIONAL, WITHHELD = (NUMBERS["share_type"][w] for w in ("UNCONDITIONAL", "CONDITIONAL", "WITHHELD"))
DB_PUSH, NETWORK = NUMBERS["share_method"]["DB_PUSH"], NUMBERS["medium"]["NETWORK"]
CHANNEL = NUMBERS["channel"]
FIELDS = {"LEGAL_BASIS": "legal_basis", "DUTY_BASIS": "duty_basis", "NEED": "need", "SCENE": "scene", "USE_SCOPE": "use_scope"}


class Grant:
    def __init__(self, application, decision, version, items):
        i = application.intent
        self.id, self.since, self.matter = decision.d, decision.n, version.matter
        self.consumer, self.provider = getattr(i, "from"), version.entry.provider_code
        self.resource, self.version, self.items = i.resource, i.resource_version, items
        self.purpose, self.method, self.agent, self.rate = i.purpose, i.method, i.agent, i.rate
        self.period_from, self.period_to = i.period_from, i.period_to
        self.user, self.approver = (s.id for s in application.signers)
        self.channel = CHANNEL["UNCONDITIONAL"] if decision.name == "GET" else CHANNEL["CONDITIONAL"]
        self.catalog, self.request = version, b"" if decision.name == "GET" else application.d
        self.view = view_id(self.resource, self.version, items, self.rate)
        self.suspended = self.ended = False

    def runs_at(self, t):
        return self.period_from <= t and (not self.period_to or t < self.period_to)


def view_id(resource, version, items, rate):
    return digest.within("shuyi/view/v1", digest.u32(version), digest.u32(0), digest.u32(rate), digest.u32(len(items)),
                         *map(digest.u32, items), b"\0", bytes(32), resource.encode())


def _share_type(entry, items):
    own = [i.item_share_type or entry.share_type for i in entry.items if i.item_no in items]
    least = UNCONDITIONAL if entry.share_type == UNCONDITIONAL else CONDITIONAL
    return max(own + [entry.share_type, least])


def _check_path(e, entry, policy):
    kind = _share_type(entry, e.intent.items)
    direct = policy["uncond_mode"] == "DIRECT"
    if e.name == "GET":
        needs(direct, "G_PATH")
        needs(kind == UNCONDITIONAL, "G_TYPE")
        return
    needs(kind != UNCONDITIONAL or not direct, "G_TYPE")
    needs(kind != WITHHELD or policy["withheld_path"] == "AUTHORITY_DECIDES", "G_PATH")


def check_application(e, register, t):
    """Is this GET or REQ_SUBMIT one that the register allows at t?  Answers the catalog version."""
    i, policy = e.intent, register.policy
    needs(policy is not None, "E_NO_POLICY")
    version = register.version
    needs(version is not None and i.resource and i.resource_version == 1, "E_NOT_FOUND")
    entry = version.entry
    _check_path(e, entry, policy)
    numbers = {x.item_no for x in entry.items}
    needs(i.items and all(n in numbers for n in i.items), "G_ITEMS")
    needs(1 <= len(i.purpose.encode()) <= 300, "G_PURPOSE")
    needs(i.use_class, "G_FIELD")
    needs(i.method == DB_PUSH and DB_PUSH in entry.share_methods, "G_METHOD")
    needs(i.medium == NETWORK, "G_MEDIUM")
    needs(catalog.is_agent_of(register, i.agent, getattr(i, "from"), t), "G_FIELD", "agent")
    needs(not i.period_to or i.period_to > i.period_from and i.period_to > t, "G_PERIOD")
    needs(not i.filter_digest and not i.mask_version, "E_NOT_YET")
    if e.name == "REQ_SUBMIT":
        for field in values_of(policy, "request_fields"):
            needs(i.period_to if field == "PERIOD" else getattr(e.body, FIELDS[field]), "G_FIELD")
    department = register.departments[getattr(i, "from")]
    needs(scope.allows(entry.share_scope, department, i.use_class, i.items), "G_SCOPE")
    return version


def get(e, register):
    version = check_application(e, register, e.t)
    register.grants[e.d] = Grant(e, e, version, e.intent.items)


def submit(e, register):
    check_application(e, register, e.t)
    register.requests[e.d] = e


def reply(e, register):
    request = register.requests.get(e.intent.request)
    needs(request is not None, "E_NOT_FOUND")
    version = check_application(request, register, e.t)
    for s in request.signers:
        needs(s.held.says.not_before <= request.intent.created_at < s.held.says.not_after, "E_CRED")
    decider = {"PROVIDER": version.entry.provider_code, "AUTHORITY": register.authority()}.get(register.policy["cond_decider"])
    needs(decider is not None, "G_PATH")
    needs(getattr(e.intent, "from") == decider, "E_ROLE")
    needs(len({s.id for s in e.signers + request.signers}) == 4, "G_SEPARATION")
    needs(e.intent.in_reply_to in (b"", request.d), "G_FIELD")
    asked, items = request.intent.items, e.intent.items
    needs({"CONSENT": items == asked, "CONSENT_PART": 0 < len(items) < len(asked) and set(items) < set(asked), "REFUSE": not items}[e.name], "G_ITEMS")
    if e.name != "REFUSE":
        register.grants[e.d] = Grant(request, e, version, items)


def withdraw(e, register):
    request = register.requests.get(e.intent.request)
    needs(request is not None, "E_NOT_FOUND")
    needs(getattr(e.intent, "from") == getattr(request.intent, "from"), "E_ROLE")


def find_grant(e, register):
    g = register.grants.get(e.intent.grant)
    needs(g is not None, "E_NOT_FOUND")
    return g


def stop_or_go(e, register):
    """GRANT_SUSPEND, GRANT_RESUME, GRANT_TERMINATE, GRANT_END."""
    needs(register.policy is not None and register.calendar is not None, "E_NO_POLICY")
    g, signer = find_grant(e, register), e.signers[0]
    needs(not g.ended, "E_STATE")
    who = g.consumer if e.name == "GRANT_END" else g.provider
    needs(signer.capacity == "SEC_ADMIN" or signer.department == who, "E_ROLE")
    if e.name in ("GRANT_SUSPEND", "GRANT_RESUME"):
        needs(g.suspended == (e.name == "GRANT_RESUME"), "E_STATE")
        g.suspended = e.name == "GRANT_SUSPEND"
    else:
        g.ended = True


def subscribe(e, register):
    g, signer = find_grant(e, register), e.signers[0]
    needs(signer.department == g.consumer, "E_ROLE")
    needs(signer.capacity != "AGENT" or signer.id == g.agent, "E_ROLE")


ACTS = {"GET": get, "REQ_SUBMIT": submit, "CONSENT": reply, "CONSENT_PART": reply, "REFUSE": reply, "WITHDRAW": withdraw, "SUBSCRIBE": subscribe,
        "GRANT_SUSPEND": stop_or_go, "GRANT_RESUME": stop_or_go, "GRANT_TERMINATE": stop_or_go, "GRANT_END": stop_or_go}
