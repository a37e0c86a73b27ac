"""The share scope of a catalog entry: whom it lets have which items for what (PROTOCOL.md 17.3, Grant)."""
import re

from .page import NUMBERS, WORDS


ROLES = ("SAFETY_DEPT", "LEAD", "AUTHORITY")
NUMBER_MAX, LINES_MAX, VALUES_MAX, BYTES_MAX = 999999, 64, 256, 4096


class NoScope(Exception):
    """The text is not of the form that 4.14 of REGULATIONS says."""


def need(condition):
    if not condition:
        raise NoScope


def _values(text, fits):
    """Words joined by commas, each above the one before."""
    values = text.split(",")
    need(len(values) <= VALUES_MAX and all(map(fits, values)) and all(a < b for a, b in zip(values, values[1:])))
    return values


def _cut(region):
    while region.endswith("00"):
        region = region[:-2]
    return region


WHO = {
    "class": (lambda v: v in NUMBERS["dept_class"], lambda v, d: v == WORDS["dept_class"].get(d.dept_class)),
    "code": (lambda v: bool(re.fullmatch("[0-9A-Za-z_]{18}", v)), lambda v, d: v == d.code),
    "role": (lambda v: v in ROLES, lambda v, d: v == "AUTHORITY" and d.authority),
    "region": (lambda v: bool(re.fullmatch("[0-9]{1,6}", v)), lambda v, d: d.code[2:8].startswith(_cut(v))),
}


def _who(text, department):
    if text == "ALL":
        return True
    word, _, values = text.partition(" ")
    need(word in WHO)
    fits, has = WHO[word]
    return any([has(v, department) for v in _values(values, fits)])


def _uses(text, use_class):
    return text == "ANY" or WORDS["use_class"].get(use_class) in _values(text, lambda v: v in NUMBERS["use_class"])


def _items(text):
    """Pairs of first and last item number; ascending, merged."""
    if text == "ALL":
        return [(1, NUMBER_MAX)]
    ranges, before = [], -1
    for part in text.split(","):
        m = re.fullmatch("([1-9][0-9]{0,5})(?:-([1-9][0-9]{0,5}))?", part)
        need(m and int(m[1]) > before + 1 and (not m[2] or int(m[2]) > int(m[1])))
        before = int(m[2] or m[1])
        ranges.append((int(m[1]), before))
    need(len(ranges) <= VALUES_MAX)
    return ranges


def _line(text, department, use_class):
    """The items that this line lets have."""
    parts = text.split(" : ")
    need(len(parts) == 3)
    who, uses, ranges = _who(parts[0], department), _uses(parts[1], use_class), _items(parts[2])
    return ranges if who and uses else []


def allows(text, department, use_class, items):
    """Does each item have a line that holds for department and use class as well?"""
    if not text:
        return True
    lines = text.split("; ")
    try:
        need(len(text.encode()) <= BYTES_MAX and len(lines) <= LINES_MAX)
        ranges = [r for line in lines for r in _line(line, department, use_class)]
    except NoScope:
        return False
    return all(any(a <= n <= b for a, b in ranges) for n in items)
