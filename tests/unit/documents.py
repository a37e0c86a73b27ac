"""Every relative link of every document leads to something, and every document is reached from README.md.

Usage: documents.py"""
import pathlib, re, sys, urllib.parse

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib")]
import tap

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.S)
SKIPPED = re.compile(r"^(build|\.)")


def documents():
    found = [p for p in sorted(ROOT.rglob("*.md")) if not any(SKIPPED.match(part) for part in p.relative_to(ROOT).parts)]
    tap.equal(len(found) > 5, True, found)
    return found


def broken(path, text):
    """The relative links of a document that lead nowhere."""
    targets = [urllib.parse.urlsplit(link) for link in LINK.findall(CODE.sub("", text))]
    return [t.path for t in targets if not t.scheme and not t.netloc and t.path and not (path.parent / urllib.parse.unquote(t.path)).exists()]


def test_a_link_that_leads_nowhere_is_noticed():
    tap.equal(broken(ROOT / "README.md", "[a](README.md) [b](no/such.md#x) [c](https://example.org/x) [d](#here) `[e](f)`"), ["no/such.md"])


def test_every_relative_link_leads_to_a_file():
    tap.equal([(str(p.relative_to(ROOT)), link) for p in documents() for link in broken(p, p.read_text(encoding="utf-8"))], [])


def test_every_document_is_found_from_the_readme():
    """Over links alone, so that a newcomer can."""
    seen, next_ = set(), [ROOT / "README.md"]
    while next_:
        p = next_.pop().resolve()
        if p in seen or p.suffix != ".md" or not p.is_file():
            continue
        seen.add(p)
        next_ += [p.parent / urllib.parse.unquote(urllib.parse.urlsplit(link).path) for link in LINK.findall(CODE.sub("", p.read_text(encoding="utf-8"))) if "://" not in link]
    tap.equal([str(p.relative_to(ROOT)) for p in documents() if p.resolve() not in seen], [], "to be linked from README.md, or from a document that is")


tap.run(globals())
