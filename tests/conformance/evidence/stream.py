"""The transfer itself: VIEW_EPOCH with the consumer's row, UPDATE, DELIVERY_RECEIPT (PROTOCOL.md 17.3, Stream)."""
from . import digest, tree
from .grant import NETWORK, find_grant
from .register import Breach, needs
from .wire import Form, decode

RECORDS_MAX = 256


def stream_id(agent, view):
    return digest.within("shuyi/stream/v1", agent, view)


def review_digest(entry):
    return digest.within("shuyi/secrecy-review/v1", entry.secrecy_review.raw) if entry.secrecy_review else b""


def _check_link(e, g):
    """What VIEW_EPOCH and UPDATE have in common: who sent it, and that it is the grant's view."""
    i = e.intent
    needs(e.signers[0].id == g.catalog.agent and getattr(i, "from") == g.provider, "E_ROLE")
    needs((i.resource, i.resource_version, i.items, i.view) == (g.resource, g.version, g.items, g.view), "G_ITEMS")
    needs(i.stream == stream_id(g.catalog.agent, g.view), "E_NOT_FOUND")
    needs(i.secrecy_review == review_digest(g.catalog.entry), "G_SECRECY")
    needs(g.runs_at(e.t), "G_PERIOD")
    needs(not g.ended, "E_STATE")
    needs(not g.suspended, "E_SUSPENDED")


def _read_row(e):
    try:
        return decode("AudienceRow", e.raw.row)
    except Form as why:
        raise Breach("", str(why)) from None


def view_epoch(e, register):
    i, row = e.intent, _read_row(e)
    register.row = row
    g = register.grants.get(row.grant)
    needs(g is not None, "E_NOT_FOUND")
    _check_link(e, g)
    leaf = digest.within("shuyi/row-leaf/v1", e.raw.row)
    needs(tree.included(leaf, e.raw.row_index, i.record_count, e.raw.row_path, i.records_root, tree.record_node), "", "row")
    same = ("channel", "consumer", "purpose", "user", "approver", "method", "agent")
    needs(all(getattr(row, name) == getattr(g, name) for name in same), "G_PURPOSE", "row")
    register.epoch, register.epoch_grant = e, g


def update(e, register):
    i = e.intent
    epoch = register.epoch
    needs(epoch is not None, "STALE_EPOCH")
    _check_link(e, register.epoch_grant)
    needs((i.stream, i.view_epoch, i.key_id) == (epoch.intent.stream, epoch.intent.view_epoch, epoch.intent.key_id), "STALE_EPOCH")
    needs(i.stream_seq > epoch.intent.stream_seq, "E_STATE")
    needs(i.medium == NETWORK, "G_MEDIUM")
    needs(1 <= i.record_count <= RECORDS_MAX, "G_FIELD")


def delivery_receipt(e, register):
    g = find_grant(e, register)
    needs(not register.transfer or register.row and register.row.grant == g.id, "E_NOT_FOUND", "another grant")
    needs(e.signers[0].id == g.agent and getattr(e.intent, "from") == g.consumer, "E_ROLE")
    needs(e.intent.stream == stream_id(g.catalog.agent, g.view), "E_NOT_FOUND")
    register.receipt_holds = True


ACTS = {"VIEW_EPOCH": view_epoch, "UPDATE": update, "DELIVERY_RECEIPT": delivery_receipt}
