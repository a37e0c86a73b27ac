"""The check of a record of the log's files, as whoever owns the machine can make it: PROTOCOL.md 14."""
import hashlib, struct

PRIME, CLAMP = (1 << 130) - 5, 0x0ffffffc0ffffffc0ffffffc0fffffff


def poly1305(key, message):
    """RFC 8439."""
    r, total = int.from_bytes(key[:16], "little") & CLAMP, 0
    for at in range(0, len(message), 16):
        total = (total + int.from_bytes(message[at:at + 16] + b"\1", "little")) * r % PRIME
    return (total + int.from_bytes(key[16:], "little") & (1 << 128) - 1).to_bytes(16, "little")


def record_check(kind, payload, epoch, seq):
    key = hashlib.blake2b(b"shuyi/segment-record/v1\0" + struct.pack("<QQ", epoch, seq), digest_size=32).digest()
    return poly1305(key, struct.pack("<BI", kind, len(payload)) + payload)
