"""What the parts allow: ceilings and sums of parts (LIMITS.md), from the calibration of the same minute.

A ceiling counts processor time alone, on all cores: what is missing to it is wake-ups, small groups, cache, copies.  A latency
stands beside the sum of its parts on an idle pipeline.  Times in us."""
import collections, os

Cost = collections.namedtuple("Cost", "provider broker consumer ceiling")       # of a consumer: of each

GROUP_GAP_US = 4000             # between syncs under load


def between(one, many, n):
    """A cost measured at 1 KiB and at 64 KiB, for n KiB."""
    return one + (many - one) * (n - 1) / 63


def cores(parts, stores):
    """Processors left when each store syncs every 4 ms."""
    return (os.cpu_count() or 1) - stores * parts["segment_sync_cpu"] / GROUP_GAP_US


def envelope(parts, e, readers=1):
    """(provider, broker, one consumer) for one envelope of e records of 1 KiB; a hop is shared by its two ends."""
    body, sealed = between(parts["blake2b_1k"], parts["blake2b_64k"], e), between(parts["seal_1k"], parts["seal_64k"], e)
    hop, leaves = between(parts["curve_hop_1k"], parts["curve_hop_64k"], e), e * parts["record_leaf_1k"]
    return (parts["ed25519_sign"] + sealed + body + leaves + hop / 2,
            parts["ed25519_verify"] + body + (1 + readers) * hop / 2,
            parts["ed25519_verify"] + body + sealed + leaves + hop / 2)


def cost(sides, e, readers, available):
    provider, broker, consumer = sides
    return Cost(provider / e, broker / e, consumer / e, available * 1e6 * e / (provider + broker + readers * consumer))


def core(parts, e, readers=1):
    return cost(envelope(parts, e, readers), e, readers, cores(parts, 2 + readers))


FULL_RECORDS = 256              # an envelope of the agent's, under load


def full(parts):
    """And at both ends JSON, encryption at rest in and out, and two passes through the agent's store (taken and sealed; link and opened)."""
    e = FULL_RECORDS
    edge = e * (parts["json_record_1k"] / 2 + 2 * parts["seal_1k"] + 2 * parts["store_record"])
    provider, broker, consumer = envelope(parts, e)
    return cost((provider + edge, broker, consumer + edge), e, 1, cores(parts, 4))


def acknowledgement(parts):
    """From frame sent to receipt: there and back, verified, synced, the receipt signed."""
    return parts["segment_sync"] + parts["curve_round_trip"] + parts["ed25519_sign"] + parts["ed25519_verify"]


def delivery(parts):
    """From push to sink: outbox, log, inbox, two round trips, signed and sealed, verified twice, opened."""
    return (2 * parts["store_commit"] + parts["segment_sync"] + 2 * parts["curve_round_trip"] + parts["ed25519_sign"] + 2 * parts["ed25519_verify"] +
            2 * parts["seal_1k"])


def core_delivery(parts):
    """The same between the load programs, whose outbox and inbox are files."""
    return delivery(parts) - 2 * parts["store_commit"] + 2 * parts["segment_sync"]


def taken(parts):
    """Push to its answer: one durable commit."""
    return parts["store_commit"] + parts["json_record_1k"]


ROWS_AN_ENTRY = 8               # of an UPDATE: seven effects and its outcome


def replayed(parts):
    """An entry applied again: read and checked; the digests of its envelope, of its effects (1.5 KiB together) and of its leaf in the
    tree; the rows that it writes."""
    return parts["segment_read_1k"] + 1.5 * parts["blake2b_1k"] + parts["tree_leaf"] + ROWS_AN_ENTRY * parts["state_row"]
