"""Bundles spoilt by somebody who holds every key of a city: each head, path, lookup and signature holds again, only the rules are broken.

So it is the rules themselves that the two checkers are compared by, not their hashes."""
import base64, hashlib, pathlib

from nacl.signing import SigningKey

from evidence import digest, textfile, tree
from evidence.page import KINDS, MESSAGES
from evidence.wire import Message, decode


# ---- writing messages ----

def _varint(n):
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def _field(number, content):
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _content(field, value):
    if field.is_message:
        return encode(value)
    return value.encode() if field.type == "string" else value


def encode(message):
    """The canonical bytes of a message as `decode` gives it."""
    out = []
    for number, field in sorted(MESSAGES[message.message].items()):
        value = getattr(message, field.name)
        if field.repeated and field.is_number:
            out.append(_field(number, b"".join(map(_varint, value))) if value else b"")
        elif field.repeated:
            out += [_field(number, _content(field, v)) for v in value]
        elif field.is_number:
            out.append(_varint(number << 3) + _varint(int(value)) if value else b"")
        elif value is not None and (field.is_message or value):
            out.append(_field(number, _content(field, value)))
    return b"".join(out)


def make(name, **fields):
    message = Message(name, b"")
    for key, value in fields.items():
        setattr(message, key, value)
    return message


def replace_digests(message, renamed):
    """Every 32-byte field that names something which has another digest now."""
    for field in MESSAGES[message.message].values():
        value = getattr(message, field.name)
        if field.is_message:
            for sub in value if field.repeated else [value] if value else []:
                replace_digests(sub, renamed)
        elif field.type == "bytes" and not field.repeated and value in renamed:
            setattr(message, field.name, renamed[value])


# ---- trees ----

def _split(n):
    return 1 << (n - 1).bit_length() - 1


def root_of(leaves, node=tree.log_node):
    if len(leaves) == 1:
        return leaves[0]
    k = _split(len(leaves))
    return node(root_of(leaves[:k], node), root_of(leaves[k:], node))


def path_of(leaves, index, node=tree.log_node):
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return path_of(leaves[:k], index, node) + [root_of(leaves[k:], node)]
    return path_of(leaves[k:], index - k, node) + [root_of(leaves[:k], node)]


def root_up(leaf, index, size, path, node):
    """The root that a path leads to."""
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    return r


def _bucket_path(leaves, index):
    """Steps with their sides: what MapLeaf.bucket_path holds."""
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return _bucket_path(leaves[:k], index) + [b"\1" + root_of(leaves[k:])]
    return _bucket_path(leaves[k:], index - k) + [b"\0" + root_of(leaves[:k])]


def prove_map(lookups):
    """A trust map of these objects alone: fills their paths; its root."""
    lookups.sort(key=lambda x: x.object)
    buckets = [[x for x in lookups if x.object[0] == b] for b in range(256)]
    leaves = [[tree.log_leaf(x.object + digest.le32(x.status) + digest.le64(x.since_seq)) for x in bucket] for bucket in buckets]
    roots = [tree.log_leaf(root_of(own) if own else hashlib.sha256(b"").digest()) for own in leaves]
    for b, bucket in enumerate(buckets):
        for i, x in enumerate(bucket):
            x.bucket_path, x.map_path = _bucket_path(leaves[b], i), path_of(roots, b)
    return root_of(roots)


# ---- entries ----

class Entry:
    """An entry taken apart: change `intent`, `body`, `row`, `raw` (BundleEntry) or `envelope.signatures`, then Forgery.text()."""
    def __init__(self, raw):
        self.raw = raw
        self.envelope = decode("Envelope", raw.envelope)
        self.header = decode("Header", self.envelope.header)
        self.intent = decode("Intent", self.header.intent)
        self.kind = KINDS[self.intent.kind]
        self.body = decode(self.kind.body, self.envelope.body) if self.kind.body not in (None, "none") and self.kind.name != "VIEW_EPOCH" else None
        self.row = decode("AudienceRow", raw.row) if raw.row else None
        self.digest = digest.plain(self.envelope.header)
        self.bad_signature = False

    @property
    def name(self):
        return self.kind.name

    def close(self, renamed, keys):
        replace_digests(self.intent, renamed)
        if self.body is not None:
            replace_digests(self.body, renamed)
            self.envelope.body = encode(self.body)
            self.header.body_digest, self.header.body_bytes = digest.plain(self.envelope.body), len(self.envelope.body)
        if self.row:
            self._close_row(renamed)
        self.header.intent = encode(self.intent)
        self.envelope.header = encode(self.header)
        before, self.digest = self.digest, digest.plain(self.envelope.header)
        renamed[before] = self.digest
        for s in self.envelope.signatures:
            self._sign(s, renamed, keys)
        self.raw.envelope = encode(self.envelope)

    def _close_row(self, renamed):
        replace_digests(self.row, renamed)
        self.raw.row = encode(self.row)
        leaf = digest.within("shuyi/row-leaf/v1", self.raw.row)
        self.intent.records_root = root_up(leaf, self.raw.row_index, self.intent.record_count, self.raw.row_path, tree.record_node)

    def _sign(self, s, renamed, keys):
        s.credential = renamed.get(s.credential, s.credential)
        signed = b"shuyi/envelope/v1\0" + digest.u16(1) + digest.u8(s.capacity) + s.credential + self.digest
        s.signature = keys[s.credential].sign(signed).signature if s.credential in keys else bytes(64)
        if self.bad_signature:
            s.signature = bytes([s.signature[0] ^ 1]) + s.signature[1:]

    def leaf(self):
        r = self.raw
        envelope_digest = digest.within("shuyi/envelope-digest/v1", self.digest,
                                        *(s.credential + digest.u8(s.capacity) + s.signature for s in self.envelope.signatures))
        return tree.log_leaf(self.intent.domain.encode().ljust(8, b"\0") + digest.u64(r.epoch) + digest.u64(r.seq) + digest.u64(r.accepted_at) +
                             envelope_digest + digest.u32(r.code) + r.effects_digest)


class City:
    """What bundles.c wrote of one city: its anchor and everybody's keys."""
    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.anchor = (self.path / "anchor").read_bytes()
        self.seeds, self.ids = {}, {}
        for line in (self.path / "keys").read_text().splitlines():
            name, credential, seed = line.split(" ")
            self.ids[name], self.seeds[name] = bytes.fromhex(credential), SigningKey(bytes.fromhex(seed))

    def file(self, name):
        return next(self.path.glob(f"*-{name}.bundle")) if "-" not in name else self.path / f"{name}.bundle"

    def open(self, name):
        return Forgery(self, self.file(name).read_bytes())


class Forgery:
    def __init__(self, city, text):
        self.city = city
        self.bundle = decode("Bundle", textfile.unwrap("shuyi-bundle-v1", text))
        self.entries = sorted(map(Entry, self.bundle.entries), key=lambda e: e.raw.seq)
        self.act = next(e for e in self.entries if e.raw is self.bundle.entries[0])
        self.keys = {city.ids[name]: city.seeds[name] for name in city.ids}
        self.renamed, self.keep_map, self.cosigners = {}, False, []
        self.before_close = {}          # kind: what is done to such an entry when all before it are closed

    def all(self, name):
        return [e for e in self.entries if e.name == name]

    def one(self, name, at=0):
        return self.all(name)[at]

    @property
    def last(self):
        return self.entries[-1]

    def lookup(self, object_id, head=None):
        return next(x for x in (head or self.last).raw.lookups if x.object == object_id)

    def move(self, e, seq, accepted_at=None):
        """Gives an entry another place in the log."""
        self.renumbered = True
        e.raw.seq = seq
        if accepted_at is not None:
            e.raw.accepted_at = accepted_at
        self.entries.sort(key=lambda x: x.raw.seq)

    def _heads(self, renamed):
        for e in self.all("TRUST_HEAD"):
            for x in e.raw.lookups:
                x.object = renamed.get(x.object, x.object)
            if not self.keep_map:
                e.body.map_root = prove_map(e.raw.lookups)

    def _close_links(self):
        """The receipt's chain from the UPDATE on."""
        renamed = self.renamed
        for n, raw in enumerate(self.bundle.links):
            h = decode("Header", raw)
            i = decode("Intent", h.intent)
            replace_digests(i, renamed)
            h.intent = encode(i)
            renamed[digest.plain(raw)] = digest.plain(encode(h))
            self.bundle.links[n] = encode(h)

    def close(self):
        """Everything signed, proved and linked anew, in order."""
        for e in self.entries:
            if e.name == "TRUST_HEAD":
                continue
            if e.name == "DELIVERY_RECEIPT":
                self._close_links()
            if e.name in self.before_close:
                self.before_close[e.name](e)
            e.close(self.renamed, self.keys)
        self._heads(self.renamed)
        for e in self.all("TRUST_HEAD"):
            e.close(self.renamed, self.keys)
        size = max(e.raw.seq for e in self.entries)
        leaves = [hashlib.sha256(b"filler%d" % i).digest() for i in range(size)]
        for e in self.entries:
            leaves[e.raw.seq - 1] = e.leaf()
        for e in self.entries:
            e.raw.path = path_of(leaves, e.raw.seq - 1)
        self.bundle.checkpoint = self.note(size, root_of(leaves))
        self.bundle.entries = [self.act.raw] + [e.raw for e in self.entries if e is not self.act]

    def note(self, size, root):
        log, origin = self.city.seeds["log"], self.bundle.checkpoint.split("\n")[0]
        text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        key = log.verify_key.encode()
        line = hashlib.sha256(origin.encode() + b"\n\x01" + key).digest()[:4] + log.sign(text.encode()).signature
        note = text + f"\n— {origin} {base64.b64encode(line).decode()}\n"
        for name, seed, time in self.cosigners:
            note += self.cosignature(text, name, seed, time)
        return note

    @staticmethod
    def cosignature(text, name, seed, time):
        signed = f"cosignature/v1\ntime {time}\n{text}".encode()
        raw = hashlib.sha256(name.encode() + b"\n\x04" + seed.verify_key.encode()).digest()[:4] + digest.u64(time) + seed.sign(signed).signature
        return f"— {name} {base64.b64encode(raw).decode()}\n"

    def text(self):
        """The bundle as it stands now."""
        return textfile.wrap("shuyi-bundle-v1", encode(self.bundle))
