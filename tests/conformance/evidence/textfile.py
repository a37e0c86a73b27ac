"""Files as people carry them (PROTOCOL.md 13): a magic line, then base64, 76 characters a line."""
import base64

from .wire import Form

MAX_BYTES = 8 << 20
LINE = 76


def base64_exact(text):
    """Standard padded base64 in its one spelling."""
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        raise Form("not base64") from None
    if base64.b64encode(content) != text:
        raise Form("base64 in another spelling")
    return content


def unwrap(magic, data):
    if len(data) > MAX_BYTES:
        raise Form("the file is too large")
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    if len(lines) < 3 or lines[0] != magic.encode() or lines[-1]:
        raise Form(f"no file of the kind {magic}")
    rows = lines[1:-1]
    if any(len(row) != LINE for row in rows[:-1]) or not 0 < len(rows[-1]) <= LINE:
        raise Form("a line of another length")
    return base64_exact(b"".join(rows))


def wrap(magic, content):
    text = base64.b64encode(content)
    return b"".join([magic.encode(), b"\n"] + [text[i:i + LINE] + b"\n" for i in range(0, len(text), LINE)])
