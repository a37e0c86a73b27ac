"""The canonical form of a policy and of a calendar (REGULATIONS 11, 12): the tables are read from the document itself."""
import datetime, pathlib, re

REGULATIONS = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "REGULATIONS.md"
BASIS_LEVELS = ("LAW", "ADMIN_REGULATION", "CENTRAL_POLICY", "STATE_COUNCIL_DECISION", "LOCAL_REGULATION", "RULE", "NATIONAL_PROVINCIAL_DOC", "MUNICIPAL_DOC")


class Key:
    def __init__(self, text):
        self.type, _, allowed = text.partition(": ")
        self.allows_none = bool(re.search(r"[,;] none$", allowed))
        allowed = re.sub(r"[,;] none$", "", allowed)
        self.words = BASIS_LEVELS if allowed.startswith("basis levels") else tuple(allowed.split(", "))
        self.range = [int(x) for x in re.findall(r"\d+", allowed)]
        self.pattern = allowed.strip("`") if allowed.startswith("`") else None

    def allows(self, value):
        if self.allows_none and value == "none":
            return True
        return getattr(self, "_" + self.type)(value)

    def _enum(self, value):
        return value in self.words

    _bool = _enum

    def _int(self, value):
        return bool(re.fullmatch(r"0|[1-9][0-9]{0,9}", value)) and self.range[0] <= int(value) <= self.range[1]

    _wd = _int

    def _set(self, value):
        words = value.split(", ")
        places = [self.words.index(w) for w in words if w in self.words]
        return len(places) == len(words) and all(a < b for a, b in zip(places, places[1:]))

    def _text(self, value):
        if self.pattern:
            return bool(re.fullmatch(self.pattern.strip("^$"), value))
        return 1 <= len(value) <= 60 and value == value.strip(" ") and "#" not in value and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in value)

    def _date(self, value):
        try:
            datetime.date.fromisoformat("2025-" + value if self.words[0] == "MM-DD" else value)
        except ValueError:
            return False
        return len(value) == len(self.words[0])


def read_keys():
    text = REGULATIONS.read_text(encoding="utf-8")
    text = text[text.index("\n## 11. Policy profiles"):text.index("\n## 12. ")]
    return {name: Key(kind) for name, kind in re.findall(r"^\| `(\w+)` \| ((?:enum|bool|wd|int|set|text|date): (?:`[^`]*`|[^|])*?) \|", text, re.M)}


KEYS = read_keys()


def _together(p):
    """Conditions between values."""
    none = "none"
    return ((p["refuse_basis_levels"] == none) == (p["refuse_basis"] == "NO") and
            (p["conditional_basis_levels"] == none) == (p["conditional_basis_required"] == "NO") and
            (p["uncond_reply_wd"] != none) == (p["uncond_mode"] == "REQUEST_REPLY") and
            (p["authority_provide_wd"] != none) == (p["silence"] == "AUTHORITY_PROVIDES") and
            (p["reply_ext_approver"] == none) == (p["reply_ext_wd"] == "0") and
            (p["correction_ext_approver"] == none) == (p["correction_ext_wd"] == "0") and
            (p["fix_wd"] == none) == (p["fix_within_check"] == "YES") and
            (p["open_reply_wd"] != none) == (p["open_application"] == "YES") and
            int(p["verify_subject_day_max"]) <= int(p["verify_subject_life_max"]))


def parse_policy(raw):
    """{key: value}, or None where the bytes are not of canonical form."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    rows = [line.partition(" = ")[::2] for line in text.split("\n")[:-1]]
    if not text.endswith("\n") or [k for k, _ in rows] != list(KEYS):
        return None
    values = dict(rows)
    return values if all(KEYS[k].allows(v) for k, v in rows) and _together(values) else None


def values_of(policy, key):
    """The words of a set."""
    return [] if policy[key] == "none" else policy[key].split(", ")


def is_calendar(raw):
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    lines = text.split("\n")
    if lines[0] != "date,kind,name" or lines[-1] or len(lines) < 3:
        return False
    kinds, before = {}, ""
    for line in lines[1:-1]:
        m = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2}),(holiday|workday),([^,\"]*)", line)
        if not m or m[1] <= before:
            return False
        before = m[1]
        try:
            day = datetime.date.fromisoformat(m[1])
        except ValueError:
            return False
        if m[2] == "workday" and day.weekday() < 5:
            return False
        kinds[m[1]] = m[2]
    covered = [day[:4] for day in kinds if day.endswith("-01-01")]
    return all(kinds[f"{year}-01-01"] == "holiday" and all(f"{year}-10-0{n}" in kinds for n in range(1, 8)) for year in covered)
