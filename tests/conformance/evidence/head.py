"""The signed head, the paths to it, and who has seen it (PROTOCOL.md 17.3, items 1 and 2)."""
from . import digest, note, tree
from .wire import Form

LOG = object()


def read(bundle, anchor):
    """(the note or None, its log key or None) of the bundle's checkpoint."""
    try:
        head = note.Note(bundle.checkpoint)
    except Form:
        return None, None
    return head, next((log for log in anchor.says.logs if log.origin == head.origin), None)


def log_signed(head, log):
    """The log's own line stands once and holds."""
    own = [x for x in head.lines if note.is_of_log(x, log)]
    return len(own) == 1 and note.log_holds(head, own[0], log)


def leaf_of(entry, domain):
    record = (domain.encode().ljust(8, b"\0") + digest.u64(entry.epoch) + digest.u64(entry.n) + digest.u64(entry.t) +
              entry.claim.envelope_digest + digest.u32(entry.code) + entry.raw.effects_digest)
    return tree.log_leaf(record)


def missing_entry(bundle, head, domain):
    """The first entry that is not under the head, None if all are."""
    return next((e for e in bundle.entries if not tree.included(leaf_of(e, domain), e.n - 1, head.size, e.raw.path, head.root)), None)


def count_witnesses(head, log, anchor):
    """(how many of the anchor's witnesses cosigned, whether every line is the log's or such a one and holds, none twice)"""
    seen, good = set(), True
    for line in head.lines:
        if note.is_of_log(line, log):
            who, holds = LOG, note.log_holds(head, line, log)
        else:
            w = next((w for w in anchor.says.witnesses if note.is_of_witness(line, w)), None)
            who, holds = (w.name, note.witness_holds(head, line, w)) if w else (None, False)
        good = good and holds and who not in seen
        seen |= {who} if holds else set()
    return len(seen - {LOG}), good
