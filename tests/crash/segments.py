"""Reads the broker's segment files as PROTOCOL 14 describes them, by nothing of ours: what stands in the log, entry by entry."""
import hashlib, struct

from record_check import record_check

HEADER_BYTES = 4096
OVERHEAD = 21                           # length, type, check
ENTRY, HEAD = 1, 2
PREFIX = struct.Struct("<QQQIBQQ")      # epoch, seq, accepted_at, link, lane, outbox_epoch, outbox_seq


def fields(message):
    """The fields of a protobuf message by number; of a repeated one the last."""
    found, at = {}, 0
    while at < len(message):
        key, at = varint(message, at)
        if key & 7 == 0:
            found[key >> 3], at = varint(message, at)
        elif key & 7 == 2:
            size, at = varint(message, at)
            found[key >> 3], at = message[at:at + size], at + size
        else:
            raise ValueError(f"wire type {key & 7}")
    return found


def varint(message, at):
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


class Entry:
    def __init__(self, payload):
        self.epoch, self.seq, self.accepted_at, self.link, self.lane, self.outbox_epoch, self.outbox_seq = PREFIX.unpack_from(payload)
        self.header = fields(payload[PREFIX.size:])[1]
        self.digest = hashlib.blake2b(self.header, digest_size=32).hexdigest()
        intent = fields(fields(self.header)[1])
        self.kind, self.stream, self.stream_seq = intent[3], intent.get(30, b"").hex(), intent.get(31, 0)


def records(data):
    """(type, payload) of each good record of one file; ends where what follows is not of this log."""
    at, last = HEADER_BYTES, None
    while at + OVERHEAD <= len(data):
        length, kind = struct.unpack_from("<IB", data, at)
        payload = data[at + OVERHEAD:at + OVERHEAD + length]
        if kind == ENTRY and len(payload) == length >= PREFIX.size:
            last = payload[:16]
        elif kind != HEAD or last is None:
            return
        if record_check(kind, payload, *struct.unpack("<QQ", last)) != data[at + 5:at + OVERHEAD]:
            return
        yield kind, payload
        at += (OVERHEAD + length + 7) // 8 * 8


def entries(log_dir):
    """All entries that a HEAD covers, in order."""
    covered, open_group = [], []
    for path in sorted(log_dir.glob("*.seg")):
        for kind, payload in records(path.read_bytes()):
            if kind == ENTRY:
                open_group.append(Entry(payload))
            else:
                covered += open_group
                open_group = []
    return covered
