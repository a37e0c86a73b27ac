"""Did the consumer's agent acknowledge the UPDATE, and what was opened of it (PROTOCOL.md 17.3, items 6 and 7)?"""
from . import digest, envelope, tree
from .wire import Form, decode


def _links_lead(links, update, last_digest, last):
    """Headers of stream_seq + 1 to last, each naming the one before."""
    before, seq = update.d, update.intent.stream_seq
    for raw in links:
        try:
            _, i = envelope.read_header(raw)
        except Form:
            return False
        seq += 1
        if (i.stream, i.stream_seq, i.prev_digest) != (update.intent.stream, seq, before):
            return False
        before = digest.plain(raw)
    return seq == last and before == last_digest


def covers(bundle):
    """Is the UPDATE among the links that the receipt names?"""
    body, seq = bundle.receipt.body, bundle.act.intent.stream_seq
    if not body.first <= seq <= body.last or len(body.deltas) != body.last - body.first:
        return False
    return _links_lead(bundle.links, bundle.act, body.last_digest, body.last)


def acquired_at(bundle):
    body = bundle.receipt.body
    return body.acquired_at + sum(body.deltas[:bundle.act.intent.stream_seq - body.first])


def is_nacked(bundle):
    return any(x.stream_seq == bundle.act.intent.stream_seq for x in bundle.receipt.body.nacks)


def records_hold(bundle):
    i = bundle.act.intent
    for r in bundle.records:
        leaf = digest.within("shuyi/record-leaf/v1", r.salt, r.record)
        if not tree.included(leaf, r.index, i.record_count, r.path, i.records_root, tree.record_node):
            return False
        try:
            decode("Record", r.record)
        except Form:
            return False
    return True
