"""One bundle, two checkers: the library's (judge.c, one process for all) and the one of evidence/."""
import json, subprocess

from evidence import check, identity, report


class Judge:
    def __init__(self, program):
        self.process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, text, anchor, unwitnessed=False):
        for block in (anchor, text):
            self.process.stdin.write(len(block).to_bytes(4, "big") + block + (bytes([unwitnessed]) if block is anchor else b""))
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("the library's checker has ended")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def own_report(text, anchor, unwitnessed=False):
    """What evidence/ says, in the same form."""
    try:
        trusted = identity.read_anchor(anchor)
    except identity.Wrong:
        return {"anchor": False}
    r = check.check_bundle(text, trusted, unwitnessed)
    items = [{"item": name, "state": f.state, "fault": f.fault, "seq": f.seq} for name, f in r.items.items()]
    return {"wrong": bool(r.wrong), "proven": r.proven, "witnesses": r.witnesses, "quorum": r.quorum, "acquired_at": r.acquired_at, "items": items,
            **({"grant": report.grant_facts(r)} if r.grant else {})}


def differences(library, own):
    """What the two do not agree on, a line each."""
    if "anchor" in library or "anchor" in own:
        return [] if library == own else [f"{library} != {own}"]
    if library["wrong"] and own["wrong"]:
        return []
    found = [f"{key}: {library.get(key)} != {own.get(key)}" for key in {**library, **own} if key != "items" and library.get(key) != own.get(key)]
    for a, b in zip(library.get("items", []), own.get("items", [])):
        if {k: v for k, v in a.items() if k != "code"} != b:
            found.append(f"{a} != {b}")
    return found
