"""The `shuyi` command where it needs nobody: help, keys, genesis, and the errors a person can make.

Usage: cli_offline.py SHUYI"""
import json, os, pathlib, shutil, stat, subprocess, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
import tap

SHUYI = str(pathlib.Path(sys.argv[1]).resolve())
AUTHORITY = "11442000MX00000197"


class Place:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="shuyi-cli-"))
        (self.dir / "pp").write_text("a long passphrase\n")
        self.env = {**os.environ, "SHUYI_PASSPHRASE_FILE": str(self.dir / "pp"), "SHUYI_DEMO_KEYS": "1", "SHUYI_AGENT": str(self.dir / "no.sock")}

    def run(self, *arguments, env=None):
        done = subprocess.run([SHUYI, *map(str, arguments)], cwd=self.dir, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr

    def good(self, *arguments):
        code, out, err = self.run(*arguments)
        tap.equal(code, 0, f"{arguments}: {err}")
        return out


def specification(p, **changes):
    for name in ("root", "log", "broker", "sec", "officer", "operator"):
        if (p.dir / f"{name}.key").exists():
            continue
        if name in ("root", "log"):
            p.good("key", "new", f"{name}.key", "--use", name.upper())
        elif name == "broker":
            p.good("key", "new", "broker.key", "--use", "BROKER", "--join", "broker.join", "--domain", "442000")
        else:
            p.good("key", "new", f"{name}.key", "--join", f"{name}.join", "--domain", "442000", "--department", AUTHORITY)
    if not (p.dir / "agent").exists():
        p.good("agent", "init", "agent", "--domain", "442000", "--department", AUTHORITY)
    roles = {"sec": "SEC_ADMIN", "officer": "DATA_OFFICER", "operator": "DATA_OPERATOR"}
    spec = {
        "domain": "442000", "threshold": 1, "demo": True, "origin": "442000.example/log", "log_key": "log.key", "broker_join": "broker.join",
        "endpoint": "tcp://127.0.0.1:7711",
        "department": {"code": AUTHORITY, "name": "主管部门", "dept_class": "GOV_DEPT", "applies": "MUST"},
        "persons": [{"join": f"{k}.join", "staff": {"office": "科", "name": k, "phone": "1", "roles": [v]}} for k, v in roles.items()],
        "agents": [{"join": "agent/agent.join"}], **changes,
    }
    (p.dir / "spec.json").write_text(json.dumps(spec))


def init(p, *more):
    for name in ("g", "a", "w"):
        (p.dir / name).unlink(missing_ok=True)
    return p.run("authority", "init", "spec.json", "root.key", "--genesis", "g", "--anchor", "a", "--welcome", "w", *more)


def test_a_file_of_the_user_beside_a_new_key_stays(p):
    (p.dir / "own.key.new").write_text("another key")
    p.good("key", "new", "own.key", "--use", "ROOT")
    tap.equal((p.dir / "own.key.new").read_text(), "another key")
    tap.equal(stat.S_IMODE((p.dir / "own.key").stat().st_mode), 0o600)
    tap.equal(sorted(f.name for f in p.dir.iterdir() if f.name.startswith("own.key")), ["own.key", "own.key.new"])


def test_a_short_passphrase_is_refused_from_a_file_too(p):
    (p.dir / "short").write_text("short\n")
    code, _, err = p.run("key", "new", "short.key", env={"SHUYI_PASSPHRASE_FILE": str(p.dir / "short"), "SHUYI_DEMO_KEYS": ""})
    tap.equal(code, 1)
    tap.contains(err, "at least 10")
    tap.equal((p.dir / "short.key").exists(), False)


def test_a_csv_file_that_must_be_guessed_at_is_not_pushed(p):
    for text, why in ((b'a,b\n"c"d,e\n', "line 2: text after a closing quote"), ("a,b\n\u4e2d,2\n".encode("gbk"), "line 2: not UTF-8"),
                      (b"a,b\n1\n", "line 2 has 1 fields, not 2"), (b"a,a\n1,2\n", "line 1 names the item a twice"), (b'a,b\n1,"2\n', "a quote is not closed")):
        (p.dir / "bad.csv").write_bytes(text)
        code, _, err = p.run("push", "records", "300001/1", "bad.csv")
        tap.equal(code, 1)
        tap.contains(err, why)


def test_operands_that_are_no_identifiers_never_reach_the_agent(p):
    for arguments in (("draft", "drop", "../acts"), ("push", "status", "x y"), ("push", "records", "300001", "bad.csv"), ("log", "entry", "-1"), ("log", "entry", "")):
        code, _, err = p.run(*arguments)
        tap.equal((arguments, code), (arguments, 2))


def test_text_of_others_cannot_steer_the_terminal(p):
    (p.dir / "a\x1b[2J.key").write_text("no key")
    code, _, err = p.run("key", "show", "a\x1b[2J.key")
    tap.equal(code, 1)
    tap.equal("\x1b" in err, False)
    tap.contains(err, "\\u001b[2J")


def test_help_lists_every_noun_and_each_command_explains_itself(p):
    out = p.good("--help")
    nouns = "authority key department staff agent catalog request grant draft push audit log policy ping doctor".split()
    commands = {tuple(w for w in line[:46].split() if w.islower()) for line in out.splitlines() if line.startswith("  ") and line.split()[0] in nouns}
    for noun in nouns:
        tap.equal(any(c[0] == noun for c in commands), True, noun)
    for command in commands:
        tap.contains(p.good(*command, "--help"), f"Usage: shuyi {' '.join(command)}")


def test_exit_codes_are_documented(p):
    for code in range(7):
        tap.contains(p.good("help", "exit"), f"  {code}  ")


def test_what_is_wrong_with_a_command_line_is_said_and_ends_with_2(p):
    for words, message in (
        (["nonsense"], "no noun 'nonsense'"), (["key", "burn"], "'key' has no verb 'burn'"), (["key", "new"], "takes FILE"),
        (["key", "new", "x", "--colour", "red"], "has no option --colour"), (["key", "new", "x", "--use"], "--use needs USE"),
        (["key", "new", "x", "--use", "ROOT", "--use", "LOG"], "given twice"), (["catalog", "submit", "x"], "--agent-id ID is required"),
        (["request", "get", "101001/1", "--items", "3,1", "--purpose", "p", "--agent-id", "00", "--key", "k"], ""),
    ):
        code, out, err = p.run(*words)
        if message:
            tap.equal(code, 2, words)
            tap.contains(err, message)
        else:
            tap.equal(code in (1, 2), True, words)


def test_completion_comes_from_the_same_table(p):
    tap.contains(p.good("__complete", "cat"), "catalog")
    tap.contains(p.good("__complete", "catalog", "sub"), "submit")
    tap.contains(p.good("__complete", "catalog", "submit", ""), "--agent-id")


def test_a_key_file_is_for_its_owner_alone_and_never_overwritten(p):
    p.good("key", "new", "mine.key")
    tap.equal(stat.S_IMODE((p.dir / "mine.key").stat().st_mode), 0o600)
    before = (p.dir / "mine.key").read_bytes()
    code, out, err = p.run("key", "new", "mine.key")
    tap.equal(code, 1)
    tap.contains(err, "not overwritten")
    tap.equal((p.dir / "mine.key").read_bytes(), before)


def test_a_wrong_passphrase_a_weak_seal_and_a_damaged_file_are_told_apart(p):
    specification(p)
    (p.dir / "other").write_text("another passphrase\n")
    code, out, err = p.run("authority", "init", "spec.json", "root.key", "--genesis", "g", "--anchor", "a", "--welcome", "w",
                           env={"SHUYI_PASSPHRASE_FILE": str(p.dir / "other")})
    tap.equal(code, 1)
    tap.contains(err, "the passphrase does not open it")
    code, out, err = p.run("authority", "init", "spec.json", "root.key", "--genesis", "g", "--anchor", "a", "--welcome", "w", env={"SHUYI_DEMO_KEYS": "0"})
    tap.contains(err, "sealed too weakly")
    text = (p.dir / "root.key").read_text()
    (p.dir / "broken.key").write_text(text[:-10] + "AAAA" + text[-6:])
    code, out, err = p.run("key", "show", "broken.key")
    tap.equal(code in (0, 1), True)
    tap.equal(any((p.dir / f).exists() for f in ("g", "a", "w")), False, "nothing is written")


def test_genesis_is_made_offline(p):
    specification(p)
    code, out, err = init(p)
    tap.equal(code, 0, err)
    for name, magic in (("g", "shuyi-genesis-v1"), ("a", "shuyi-anchor-v1"), ("w", "shuyi-welcome-v1")):
        tap.equal((p.dir / name).read_text().splitlines()[0], magic)


def test_a_single_root_key_is_for_demonstrations_only(p):
    specification(p, demo=False)
    code, out, err = init(p)
    tap.equal(code, 1)
    tap.contains(err, "for demonstrations only")


def test_an_altered_join_file_is_refused(p):
    specification(p)
    join = (p.dir / "sec.join").read_text()
    flipped = join.replace(join[60], "A" if join[60] != "A" else "B", 1)
    (p.dir / "sec.join").write_text(flipped)
    code, out, err = init(p)
    (p.dir / "sec.join").write_text(join)
    tap.equal(code, 1)
    tap.contains(err, "sec.join")
    tap.equal((p.dir / "g").exists(), False, "nothing is written")


def test_a_mistyped_specification_names_the_field(p):
    specification(p, department={"code": AUTHORITY, "name": "x", "dept_class": "MINISTRY", "applies": "MUST"})
    code, out, err = init(p)
    tap.equal(code, 1)
    tap.contains(err, "dept_class")
    (p.dir / "spec.json").write_text('{"domain": "442000",\n "domain": "1"}')
    code, out, err = init(p)
    tap.contains(err, "spec.json:2")


def test_no_agent_is_said_plainly(p):
    code, out, err = p.run("catalog", "list")
    tap.equal(code, 1)
    tap.contains(err, "does not answer")


def test_a_fingerprint_is_the_same_at_both_ends(p):
    made = json.loads(p.good("key", "new", "f.key", "--join", "f.join", "--domain", "442000", "--department", AUTHORITY, "--json"))
    seen = json.loads(p.good("key", "fingerprint", "f.join", "--json"))
    tap.equal(seen["fingerprint"], made["fingerprint"])


tap.run(globals(), Place, lambda p: shutil.rmtree(p.dir))
