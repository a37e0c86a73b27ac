"""Heads of the log: a C2SP signed note with the log's line and witnesses' cosignatures (PROTOCOL.md 11)."""
import hashlib, re

from . import digest
from .textfile import base64_exact
from .wire import Form

BYTES_MAX, LINES_MAX = 16384, 40
TIME_MAX = 2**63 - 1


class Note:
    """text: what the log signed; lines: (name, id, rest) of each signature."""
    def __init__(self, note):
        raw = note.encode()
        if len(raw) > BYTES_MAX:
            raise Form("the checkpoint is too large")
        head, gap, tail = note.partition("\n\n")
        parts = head.split("\n")
        if not gap or len(parts) != 3 or not tail.endswith("\n"):
            raise Form("no checkpoint")
        self.origin, size, root = parts
        if not is_name(self.origin) or not re.fullmatch(r"[1-9][0-9]{0,19}", size, re.ASCII) or int(size) >= 2**64:
            raise Form("no checkpoint")
        self.size, self.root = int(size), base64_exact(root.encode())
        if len(self.root) != 32:
            raise Form("the root has another width")
        self.text = (head + "\n").encode()
        self.lines = [_line(row) for row in tail[:-1].split("\n")]
        if len(self.lines) > LINES_MAX:
            raise Form("too many signatures")


def is_name(name):
    return bool(name) and not any(c == "+" or c.isspace() for c in name)


def _line(row):
    m = re.fullmatch("— ([^ ]+) ([A-Za-z0-9+/=]+)", row)
    if not m or not is_name(m[1]):
        raise Form("no line of a signature")
    raw = base64_exact(m[2].encode())
    if len(raw) < 5:
        raise Form("a signature that is too short")
    return m[1], raw[:4], raw[4:]


def _key_id(name, kind, key):
    return hashlib.sha256(name.encode() + b"\n" + digest.u8(kind) + key).digest()[:4]


def is_of_log(line, log):
    return line[0] == log.origin and line[1] == _key_id(log.origin, 1, log.key)


def is_of_witness(line, witness):
    return line[0] == witness.name and line[1] == _key_id(witness.name, 4, witness.key)


def log_holds(note, line, log):
    return digest.holds(log.key, note.text, line[2])


def witness_holds(note, line, witness):
    if len(line[2]) != 72:
        return False
    time = int.from_bytes(line[2][:8], "big")
    if not 1 <= time <= TIME_MAX:
        return False
    return digest.holds(witness.key, b"cosignature/v1\ntime %d\n" % time + note.text, line[2][8:])
