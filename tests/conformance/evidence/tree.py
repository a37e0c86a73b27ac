"""Trees as RFC 9162 shapes them (PROTOCOL.md 9, 11, 17.1): does a path lead from a leaf to a root?"""
import hashlib

from . import digest


def log_leaf(data):
    return hashlib.sha256(b"\0" + data).digest()


def log_node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def record_node(left, right):
    return digest.within("shuyi/node/v1", left, right)


def included(leaf, index, size, path, root, node=log_node):
    """RFC 9162 2.1.3.2."""
    if index >= size or len(root) != 32 or any(len(p) != 32 for p in path):
        return False
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


BUCKETS = 256
STEPS_MAX = 64


def in_map(leaf, root):
    """Does a MapLeaf lead to the root of the trust map?"""
    if len(leaf.object) != 32 or len(leaf.bucket_path) > STEPS_MAX or len(leaf.map_path) != 8:
        return False
    h = log_leaf(leaf.object + digest.le32(leaf.status) + digest.le64(leaf.since_seq))
    for step in leaf.bucket_path:
        if len(step) != 33 or step[0] > 1:
            return False
        h = log_node(h, step[1:]) if step[0] else log_node(step[1:], h)
    return included(log_leaf(h), leaf.object[0], BUCKETS, leaf.map_path, root)


def map_object(kind, name):
    """How the trust map calls what has this name."""
    return name if len(name) == 32 else digest.within("shuyi/trust-map/v1", digest.u8(kind), name)
