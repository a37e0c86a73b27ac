"""Acts on catalog matters: submission, publication, freezing (PROTOCOL.md 17.3, Catalog)."""
import re

from .identity import AGENT
from .register import needs


class Version:
    """An entry in force: its matter, the agent that may push it, the seq of the CAT_APPROVE."""
    def __init__(self, matter, entry, agent, since):
        self.matter, self.entry, self.agent, self.since = matter, entry, agent, since


def has_code(entry, resource):
    return bool(re.fullmatch(re.escape(entry.resource_code) + "/[1-9][0-9]{0,18}", resource))


def is_agent_of(register, agent, department, t):
    return any(register.standing(c, t) for c in register.of_subject(AGENT, agent, department))


def matter_of(submission):
    return submission.intent.object or submission.d


def submit(e, register):
    entry = e.body.entry
    needs(entry is not None and entry.provider_code == getattr(e.intent, "from"), "C-003")
    needs(is_agent_of(register, e.intent.agent, getattr(e.intent, "from"), e.t), "G_FIELD", "agent")
    register.submissions[e.d] = e


def approve(e, register):
    submission = register.submissions.get(e.body.submit_digest)
    needs(submission is not None and matter_of(submission) == e.intent.object, "E_NOT_FOUND")
    needs(e.signers[0].id not in [s.id for s in submission.signers], "G_SEPARATION")
    needs(register.version is None, "E_STATE")
    needs(not register.resource or has_code(submission.body.entry, register.resource), "C-002")
    register.version = Version(e.intent.object, submission.body.entry, submission.intent.agent, e.n)


ACTS = {"CAT_SUBMIT": submit, "CAT_APPROVE": approve}
