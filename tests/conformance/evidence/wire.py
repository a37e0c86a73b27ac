"""Canonical protobuf (PROTOCOL.md 2): one message has one spelling, and any other is refused."""
from .page import MESSAGES

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
DEPTH_MAX = 8
KEPT_FROM = 1000                        # unknown fields from this number on are kept, those below are critical


class Form(Exception):
    """Bytes that are not what the page says."""


class Message:
    """A decoded message: its fields as attributes; an absent sub-message is None.  `unknown`: it holds kept fields; `raw`: its bytes."""
    def __init__(self, name, raw):
        self.message, self.raw, self.unknown = name, raw, False
        for f in MESSAGES[name].values():
            setattr(self, f.name, _default(f))


def _default(field):
    if field.repeated:
        return []
    return None if field.is_message else {"string": "", "bytes": b"", "bool": False}.get(field.type, 0)


def _varint(data, at, end):
    value = shift = 0
    start = at
    while True:
        if at >= end or at - start >= 10:
            raise Form("a number that does not end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if not byte & 0x80:
            break
    if at - start > 1 and byte == 0:
        raise Form("a number that is not minimal")
    if value > 0xffffffffffffffff:
        raise Form("a number of more than 64 bits")
    return value, at


def _take(data, at, end, n):
    if n > end - at:
        raise Form("a length beyond the end")
    return data[at:at + n], at + n


def _skip_unknown(wire_type, data, at, end):
    if wire_type == VARINT:
        return _varint(data, at, end)[1]
    if wire_type == LENGTH:
        n, at = _varint(data, at, end)
        return _take(data, at, end, n)[1]
    if wire_type in (FIXED64, FIXED32):
        return _take(data, at, end, 8 if wire_type == FIXED64 else 4)[1]
    raise Form("a group")


def _number(field, value):
    if value > field.limit:
        raise Form(f"{field.name} is too large")
    return bool(value) if field.type == "bool" else value


def _text(field, raw):
    if 0 in raw:
        raise Form(f"NUL in {field.name}")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Form(f"{field.name} is not UTF-8") from None


class Count:
    """How many fields a message holds, all levels counted."""
    def __init__(self, most=None):
        self.n, self.most = 0, most

    def one_more(self):
        self.n += 1
        if self.most is not None and self.n > self.most:
            raise Form("too many fields")


def _packed(field, raw):
    if not raw:
        raise Form(f"{field.name}: an empty list is written out")
    values, at = [], 0
    while at < len(raw):
        value, at = _varint(raw, at, len(raw))
        values.append(_number(field, value))
    return values


def _element(field, raw, depth, count):
    if field.is_message:
        return _decode(field.type, raw, depth + 1, count)
    return _text(field, raw) if field.type == "string" else raw


def _decode(name, data, depth, count):
    if depth > DEPTH_MAX:
        raise Form("nested too deep")
    fields, message = MESSAGES[name], Message(name, data)
    at, end, before = 0, len(data), 0
    while at < end:
        tag, at = _varint(data, at, end)
        number, wire_type = tag >> 3, tag & 7
        if tag > 0xffffffff or number == 0:
            raise Form("no field has this number")
        if number < before:
            raise Form(f"{name}: fields out of order")
        count.one_more()
        field = fields.get(number)
        if field is None:
            if number < KEPT_FROM:
                raise Form(f"{name}: critical field {number} is unknown")
            message.unknown = True
            at, before = _skip_unknown(wire_type, data, at, end), number
            continue
        if number == before and not (field.repeated and not field.is_number):
            raise Form(f"{name}.{field.name} stands twice")
        before = number
        if field.is_number and not field.repeated:
            if wire_type != VARINT:
                raise Form(f"{name}.{field.name} is no varint")
            value, at = _varint(data, at, end)
            if value == 0:
                raise Form(f"{name}.{field.name}: a default is written out")
            setattr(message, field.name, _number(field, value))
            continue
        if wire_type != LENGTH:
            raise Form(f"{name}.{field.name} has another type")
        n, at = _varint(data, at, end)
        raw, at = _take(data, at, end, n)
        if field.repeated and field.is_number:
            setattr(message, field.name, _packed(field, raw))
        elif field.repeated:
            getattr(message, field.name).append(_element(field, raw, depth, count))
        else:
            if not raw and not field.is_message:
                raise Form(f"{name}.{field.name}: a default is written out")
            setattr(message, field.name, _element(field, raw, depth, count))
    return message


def decode(name, data, most_fields=None):
    """The message of that name out of exactly these bytes."""
    return _decode(name, bytes(data), 1, Count(most_fields))
