"""Test programs in Python that speak TAP: each function named test_… is a case; an exception fails it."""
import sys, traceback


class Skip(Exception):
    """Raised by a case that this machine does not allow; its text says why."""


def run(module_globals, before=None, after=None):
    """Runs every test_… of a module in the order of its lines.  The values that `before` returns go to each case."""
    cases = [v for k, v in module_globals.items() if k.startswith("test_") and callable(v)]
    print(f"1..{len(cases)}", flush=True)
    context = before() if before else None
    failed = 0
    try:
        for i, case in enumerate(cases, 1):
            name = case.__name__[5:].replace("_", " ")
            try:
                case(context) if before else case()
                print(f"ok {i} - {name}", flush=True)
            except Skip as why:
                print(f"ok {i} - {name} # SKIP {why}", flush=True)
            except Exception:
                failed += 1
                for line in traceback.format_exc().splitlines():
                    print(f"# {line}", flush=True)
                    print(line, file=sys.stderr, flush=True)      # where meson shows it
                print(f"not ok {i} - {name}", flush=True)
    finally:
        if after:
            after(context)
    sys.exit(1 if failed else 0)


def equal(found, expected, what=""):
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


def contains(text, part):
    if part not in text:
        raise AssertionError(f"{part!r} is not in {text[:2000]!r}")
