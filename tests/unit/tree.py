"""The tree as it is committed: no file holds the marks that a merge leaves where it could not decide.

Usage: tree.py SOURCE_ROOT"""
import pathlib, subprocess, sys

ROOT = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import tap

MARKS = tuple(c * 7 + b" " for c in (b"<", b">", b"|"))
BETWEEN = b"=" * 7


def files():
    """What git tracks; of a tree without git, all that is not hidden."""
    try:
        listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True).stdout
        return [ROOT / p.decode() for p in listed.split(b"\0") if p]
    except (OSError, subprocess.CalledProcessError):
        return [p for p in ROOT.rglob("*") if p.is_file() and not any(part.startswith(".") for part in p.relative_to(ROOT).parts)]


def marks(data):
    """Numbers of the lines that a merge marked.  The mark between two sides counts alone, too, unless it underlines a text."""
    lines = data.split(b"\n")
    return [n for n, line in enumerate(lines, 1)
            if line.startswith(MARKS) or (line.rstrip(b"\r") == BETWEEN and n > 1 and len(lines[n - 2]) != len(BETWEEN))]


def test_no_file_holds_conflict_markers():
    names = [p for p in files() if p.is_file()]
    assert len(names) > 300, names
    found = [f"{p.relative_to(ROOT)}:{n}" for p in names for n in marks(p.read_bytes())]
    tap.equal(found, [])


def test_the_marks_of_a_merge_are_found_and_nothing_else():
    for name, text, want in (("a merge in two ways", ["<" * 7 + " HEAD", "a", "=" * 7, "b", ">" * 7 + " other"], [1, 3, 5]),
                             ("in three", ["<" * 7 + " HEAD", "|" * 7 + " base", "=" * 7, ">" * 7 + " other"], [1, 2, 3, 4]),
                             ("what was left of one", ["a line", "=" * 7, "b"], [2]),
                             ("lines of a table, shifts, a heading", ["x <<<<<<< y", "=" * 8, "a >> 3", "Heading", "=" * 7], [])):
        tap.equal(marks("\n".join(text).encode()), want, name)


tap.run(globals())
