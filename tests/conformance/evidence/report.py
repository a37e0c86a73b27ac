"""What the check found, for people and for programs."""
import datetime

NOT_PROVEN = (
    "The outcome codes and effects digests are stated by the log; a mirror or a check of the whole log re-derives them.",
    "The number in a resource code was counted by the log over all entries of its class.",
    "The content of a transfer is sealed; only records that were opened are compared with it.",
    "That no other act stands in the log beside these; a mirror of the whole log shows it.",
    "Times are the log's clock, bracketed by the witnesses' alone.",
    "What happened outside the exchange, or to the data after they were received.")


def time_text(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def grant_facts(r):
    g, names = r.grant, r.register.names
    return {"id": g.id.hex(), "consumer": g.consumer, "provider": g.provider, "resource": g.resource,
            "user": names.get(g.user, ""), "approver": names.get(g.approver, "")}


def as_values(r, unwitnessed):
    """The report as one JSON object."""
    if r.wrong:
        return {"proven": False, "unwitnessed": unwitnessed, "wrong": r.wrong}
    act = r.bundle.act
    found = {"proven": r.proven, "unwitnessed": unwitnessed, "witnesses": r.witnesses, "quorum": r.quorum,
             "act": {"seq": act.n, "kind": act.name, "accepted_at": act.t, "code": act.code, "digest": act.d.hex()}}
    if r.head:
        found["head"] = {"origin": r.head.origin, "size": r.head.size, "root": r.head.root.hex()}
    if r.grant:
        found["grant"] = grant_facts(r)
    if r.acquired_at:
        found["acquired_at"] = r.acquired_at
    found["items"] = [{"item": name, **{{"fault": "reason"}.get(k, k): v for k, v in vars(f).items() if v}} for name, f in r.items.items()]
    found["not_proven"] = list(NOT_PROVEN)
    return found


def as_lines(r, unwitnessed):
    """The report as text, a line each."""
    if r.wrong:
        return [f"NOT PROVEN: no bundle: {r.wrong}"]
    act = r.bundle.act
    lines = ["*** CHECKED WITHOUT WITNESSES ***"] if unwitnessed else []
    lines += [("PROVEN" if r.proven else "NOT PROVEN") + f": {act.name}, entry {act.n} of {time_text(act.t)}, outcome code {act.code}"]
    for name, f in r.items.items():
        where = f" at entry {f.seq}" if f.seq else ""
        why = f" ({' '.join(x for x in (f.fault, f.code, f.detail) if x)}{where})" if f.fault else ""
        lines.append(f"  {name:14} {f.state}{why}")
    if r.head:
        lines.append(f"Head of {r.head.origin}, {r.head.size} entries; {r.witnesses} witnesses of {r.quorum} asked for")
    if r.grant:
        lines += [f"  {k:10} {v}" for k, v in grant_facts(r).items()]
    if r.acquired_at:
        lines.append(f"  acquired   {time_text(r.acquired_at)}")
    return lines + ["What it does not prove:"] + [f"  - {x}" for x in NOT_PROVEN]
