"""Digests and signatures with their contexts (PROTOCOL.md 3)."""
import hashlib

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

BYTES = 32


def plain(data):
    """H(b)"""
    return hashlib.blake2b(data, digest_size=BYTES).digest()


def within(context, *parts):
    """H(context; a | b | …)"""
    return plain(context.encode() + b"\0" + b"".join(parts))


def u8(n):
    return n.to_bytes(1, "big")


def u16(n):
    return n.to_bytes(2, "big")


def u32(n):
    return n.to_bytes(4, "big")


def u64(n):
    return n.to_bytes(8, "big")


def le32(n):
    return n.to_bytes(4, "little")


def le64(n):
    return n.to_bytes(8, "little")


def holds(key, message, signature):
    """Is it an Ed25519 signature (suite 1) by this key?  Keys of small order and a non-canonical S are refused by libsodium."""
    if len(key) != 32 or len(signature) != 64:
        return False
    try:
        VerifyKey(key).verify(message, signature)
    except (BadSignatureError, ValueError):
        return False
    return True


def signed(key, context, digest, signature):
    """Is `signature` S(context; digest) by this key?"""
    return holds(key, context.encode() + b"\0" + digest, signature)
