"""The envelope and its intent: their form, their digests (PROTOCOL.md 4 to 6)."""
from . import digest
from .codes import is_department, is_domain
from .page import KINDS, WORDS
from .wire import Form, decode

MAX_BYTES, INTENT_MAX, CONTROL_BODY_MAX = 983040, 16384, 262144
SIGNATURES_MAX, BODY_FIELDS_MAX = 4, 24576
DIGESTS = ("view", "filter_digest", "secrecy_review", "request", "grant", "records_root", "key_id", "stream", "prev_digest", "in_reply_to", "object")
WORDED = {"channel": "channel", "method": "share_method", "medium": "medium", "use_class": "use_class"}
WITHOUT_BODY = ("VIEW_EPOCH", "UPDATE")


def need(condition, why):
    if not condition:
        raise Form(why)


def is_uuid7_of(raw, created_at):
    return len(raw) == 16 and int.from_bytes(raw[:6], "big") == created_at and raw[6] >> 4 == 7 and raw[8] >> 6 == 2


def check_intent(i):
    need(i.suite == 1, "suite")
    need(is_uuid7_of(i.id, i.created_at), "id")
    need(i.kind in KINDS, "kind")
    need(is_domain(i.domain), "domain")
    for name in ("from", "to", "via_dept", "on_behalf_of"):
        code = getattr(i, name)
        need(code == "" or is_department(code), name)
    for name in DIGESTS:
        need(len(getattr(i, name)) in (0, 32), name)
    need(len(i.agent) in (0, 16), "agent")
    for name, words in WORDED.items():
        need(getattr(i, name) == 0 or getattr(i, name) in WORDS[words], name)
    need(len(i.items) <= 1024 and all(a < b for a, b in zip([0] + i.items, i.items)), "items")
    need(len(i.resource.encode()) <= 32 and len(i.purpose.encode()) <= 512 and len(i.incident.encode()) <= 512, "a text that is too long")
    need(i.emergency in (0, 1), "emergency")
    need(i.expires_at == 0 or i.expires_at > i.created_at, "expires_at")
    need(i.seen is None or i.seen.epoch >= 1 and len(i.seen.root) == 32, "seen")


def read_header(raw):
    """Header of good form; its intent is decoded and checked as well: (header, intent)."""
    header = decode("Header", raw)
    need(len(header.body_digest) == 32, "body_digest")
    need(len(header.intent) <= INTENT_MAX, "size of the intent")
    intent = decode("Intent", header.intent)
    check_intent(intent)
    return header, intent


class Claim:
    """An envelope of good form: header, intent, kind, body; `body` is None where it was left out."""
    def __init__(self, raw):
        need(len(raw) <= MAX_BYTES, "size of the envelope")
        e = decode("Envelope", raw)
        need(not e.unknown and not any(s.unknown for s in e.signatures), "unknown field outside the signatures")
        self.header, self.intent = read_header(e.header)
        self.kind = KINDS[self.intent.kind]
        self.digest = digest.plain(e.header)
        self.signatures = e.signatures
        self._check_signatures()
        self._read_body(e.body)
        self.envelope_digest = digest.within("shuyi/envelope-digest/v1", self.digest,
                                             *(s.credential + digest.u8(s.capacity) + s.signature for s in e.signatures))

    def _check_signatures(self):
        need(1 <= len(self.signatures) <= SIGNATURES_MAX, "number of signatures")
        for s in self.signatures:
            need(len(s.credential) == 32 and len(s.signature) == 64 and s.capacity in WORDS["role"], "a signature")
        need(len({(s.credential, s.capacity) for s in self.signatures}) == len(self.signatures), "one signer twice")

    def _read_body(self, body):
        name, bytes_said = self.kind.name, self.header.body_bytes
        self.body = self.body_message = None
        if name == "VIEW_EPOCH":
            need(body == b"", "a VIEW_EPOCH with its body")
            return
        if name in WITHOUT_BODY and body == b"" and bytes_said:
            return
        need(len(body) == bytes_said and digest.plain(body) == self.header.body_digest, "body is not the header's")
        need(self.kind.klass != "control" or len(body) <= CONTROL_BODY_MAX, "size of the body")
        self.body = body
        if self.kind.body and self.kind.body != "none":
            self.body_message = decode(self.kind.body, body, BODY_FIELDS_MAX)
        elif not self.kind.sealed and not self.kind.reserved:
            need(body == b"", "a body where none is")

    def signed_bytes(self, s):
        return (b"shuyi/envelope/v1\0" + digest.u16(self.intent.suite) + digest.u8(s.capacity) + s.credential + self.digest)
