"""The tables of PROTOCOL.md (kinds, words) and the messages of proto/*.proto, read from the pages themselves."""
import pathlib, re

PROTO = pathlib.Path(__file__).resolve().parents[3] / "proto"
SCALARS = {"uint32", "uint64", "bool", "string", "bytes"}


class Field:
    def __init__(self, name, type_name, repeated):
        self.name, self.type, self.repeated = name, type_name, repeated
        self.is_message = type_name not in SCALARS
        self.is_number = type_name in ("uint32", "uint64", "bool")
        self.limit = {"uint32": 0xffffffff, "uint64": 0xffffffffffffffff, "bool": 1}.get(type_name)


def read_messages():
    """{message: {number: Field}} of every .proto file."""
    found = {}
    for path in sorted(PROTO.glob("*.proto")):
        message = None
        for line in path.read_text(encoding="utf-8").splitlines():
            line = line.split("//")[0].strip()
            if m := re.fullmatch(r"message (\w+) \{(\})?", line):
                message = found.setdefault(m[1], {})
            elif m := re.match(r"(repeated )?(\w+) (\w+) = (\d+)", line):
                message[int(m[4])] = Field(m[3], m[2], bool(m[1]))
    return found


class Kind:
    def __init__(self, number, name, klass, body):
        self.number, self.name, self.klass = number, name, klass
        self.reserved, self.sealed = body == "reserved", body.startswith("sealed")
        self.body = body.strip("`") if body.startswith("`") else None


def read_kinds(text):
    rows = re.findall(r"^\| (\d+) \| (\w+) \| (control|data|system|read) \| [01-] \| ([^|]+) \|", text, re.M)
    return {int(n): Kind(int(n), name, klass, body.strip()) for n, name, klass, body in rows}


def read_words(text):
    """{list: {number: word}} of section 16."""
    lists = {}
    for name, words in re.findall(r"^- `(\w+)`: (.+)$", text[text.index("\n## 16"):text.index("\n## 17")], re.M):
        lists[name] = {int(n): w for n, w in re.findall(r"(\d+) ([\w-]+)", words)}
    return lists


_text = (PROTO / "PROTOCOL.md").read_text(encoding="utf-8")
MESSAGES = read_messages()
KINDS = read_kinds(_text)
WORDS = read_words(_text)
NUMBERS = {name: {w: n for n, w in words.items()} for name, words in WORDS.items()}
