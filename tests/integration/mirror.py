"""An auditor's mirror of a running town: the same state from the same log, without data bodies, whatever the center does.

Usage: mirror.py SHUYI SHUYI_BROKER SHUYI_AGENT"""
import json, os, pathlib, re, shutil, signal, struct, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "deploy" / "demo.d")]
import tap
from city import City, wait_for
from data import now
from foundation import AUTHORITY, Foundation
from record_check import record_check

BUILD = pathlib.Path(sys.argv[1]).resolve().parents[2]


class Town(Foundation):
    def __init__(self):
        super().__init__(City(BUILD, tempfile.mkdtemp(prefix="shuyi-mirror-")))
        self.resource, self.grant = self.build()
        self.auditor = self.file_and_accept("auditor", "审计己", AUTHORITY, self.center, self.people["center_officer"], "AUDIT_OFFICER")
        self.copy = self.city.dir / "copy"
        self.pushed = 0

    def push(self, n):
        records = [{"op": "UPSERT", "changed_at": now(), "values": {"code": f"4420{self.pushed + i:08}", "name": "某村", "level": "village", "parent": None}} for i in range(n)]
        for at in range(0, n, 50):
            tap.equal(self.civil.call("POST", f"/v1/resources/{self.resource}/records", {"records": records[at:at + 50]})[0], 202)
        self.pushed += n
        wait_for(f"{self.pushed} records at the sink", lambda: len(self.health.lines()) >= self.pushed)

    def arguments(self, copy, *more, key=None):
        return [self.city.bin("agent/cli/shuyi"), "audit", "mirror", copy, "--key", key or self.auditor.key, "--allow-volatile", *more]

    def mirror(self, copy=None, *more, expect=0, key=None):
        """One run: (what it printed, what it said)."""
        code, out, err = self.city.run(self.arguments(copy or self.copy, "--anchor", self.anchor, *more, "--json", key=key), self.center)
        tap.equal(code, expect, f"{more}: {out}{err}")
        lines = [json.loads(x) for x in out.splitlines() if x.startswith("{")]
        return (lines[-1] if lines else {}), err

    def follow(self):
        env = {**os.environ, "SHUYI_PASSPHRASE_FILE": str(self.city.passphrase), "SHUYI_DEMO_KEYS": "1", "SHUYI_AGENT": str(self.center.socket)}
        return subprocess.Popen([str(a) for a in self.arguments(self.copy, "--follow")], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def search(self, *more):
        return self.city.shuyi("audit", "search", *more, agent=self.center)

    def start_again(self):
        self.city.broker.start()
        wait_for("the broker to be ready", self.city.ready)
        wait_for("the agents to be linked", lambda: self.center.linked() and self.civil.linked() and self.health.linked())

    def start_alone(self):
        """The center with a log that only the auditor is to see: to other agents it would be a second history."""
        self.city.broker.start()
        wait_for("the broker to be ready", self.city.ready)
        wait_for("the auditor's agent to be linked", self.center.linked)

    def send_away(self):
        self.civil.stop()
        self.health.stop()

    def come_back(self):
        self.civil.start()
        self.health.start()
        self.start_again()

    def stop_at(self, seq):
        """Kills the center; the digest of its state if its log ends at `seq`."""
        self.city.broker.kill()
        code, out, err = self.city.run([self.city.bin("broker/shuyi-broker"), "check", "--config", self.city.broker_config])
        tap.equal(code, 0, out + err)
        found = re.search(r"replayed seq=(\d+) rows=(\d+) effects=\w+ state=(\w+)", out)
        return (int(found[2]), found[3]) if int(found[1]) == seq else None


def test_R_161_the_mirror_comes_to_the_state_of_the_center(t):
    t.push(300)
    for _ in range(5):
        mine, _ = t.mirror()
        theirs = t.stop_at(mine["seq"])         # the center may have gone on meanwhile
        t.start_again()
        if theirs:
            break
    tap.equal((mine["rows"], mine["state"]), theirs)
    wait_for("a head to be published again", lambda: t.mirror()[0]["published"] == t.mirror()[0]["seq"])
    whole, _ = t.mirror(t.city.dir / "whole")
    tap.equal((whole["entries"], whole["signatures"] > whole["entries"], 0 < whole["heads"] <= whole["entries"], 0 < whole["published"] <= whole["seq"]),
              (whole["seq"], True, True, True), whole)


def test_R_161_no_data_body_is_in_the_mirror(t):
    rows = t.search("--key", t.auditor.key)
    entry = t.city.shuyi("log", "entry", rows[0]["update_seq"], agent=t.center)
    envelope = bytes.fromhex(entry["envelope"])
    at = envelope.index(b"\x12", 2 + envelope[1] if envelope[1] < 128 else 3 + (envelope[1] & 127) + (envelope[2] << 7))
    sealed = envelope[at + 60:at + 160]
    held = (t.copy / "store" / "data.mdb").read_bytes()
    tap.equal((sealed in b"".join(p.read_bytes() for p in (t.city.dir / "broker" / "store" / "log").iterdir() if p.is_file()), sealed in held), (True, False))


def test_a_search_of_the_mirror_finds_what_the_center_finds(t):
    t.mirror()
    for more in ((), ("--grant", t.grant), ("--outcome", "REFUSED"), ("--acts",), ("--acts", "--person", t.search("--key", t.auditor.key)[0]["user"])):
        here, there = t.search("--mirror", t.copy, *more), t.search("--key", t.auditor.key, *more)
        seqs = {r.get("seq") for r in here}
        there = [r for r in there if "--acts" not in more or r["seq"] in seqs]         # the center may have gone on meanwhile
        tap.equal((more, here), (more, there))
    tap.equal(sum(r["record_count"] for r in t.search("--mirror", t.copy)), t.pushed)


def test_a_mirror_killed_at_any_time_goes_on_and_stays_right(t):
    for wait in (0.2, 0.5, 0.9, 1.4):
        p = t.follow()
        t.push(100)
        time.sleep(wait)
        p.send_signal(signal.SIGKILL)
        p.wait()
        p.stderr.close()
    for i in range(5):
        old, _ = t.mirror()
        new, _ = t.mirror(t.city.dir / f"fresh{i}")
        if old["seq"] == new["seq"]:
            break
    tap.equal([old[k] for k in ("seq", "root", "state", "rows")], [new[k] for k in ("seq", "root", "state", "rows")])


def test_one_may_search_while_another_follows_and_only_one_follows(t):
    p = t.follow()
    t.push(50)
    wait_for("the follower to hold them", lambda: sum(r["record_count"] for r in t.search("--mirror", t.copy)) == t.pushed)
    tap.contains(t.mirror(expect=1)[1], "another program follows")
    p.send_signal(signal.SIGTERM)
    tap.equal(p.wait(20), 0, p.stderr.read())
    p.stderr.close()


def test_a_follower_outlives_a_restart_of_the_center(t):
    p = t.follow()
    t.city.broker.kill()
    t.start_again()
    t.push(50)
    wait_for("the follower to go on", lambda: sum(r["record_count"] for r in t.search("--mirror", t.copy)) == t.pushed)
    tap.equal(p.poll(), None)
    p.send_signal(signal.SIGTERM)
    tap.equal(p.wait(20), 0, p.stderr.read())
    p.stderr.close()


def test_a_follower_waits_for_its_agent_and_ends_well_while_it_is_away(t):
    t.center.stop()
    p = t.follow()
    time.sleep(2)
    tap.equal(p.poll(), None)
    t.center.start()
    t.push(20)
    wait_for("the follower to go on", lambda: sum(r["record_count"] for r in t.search("--mirror", t.copy)) == t.pushed)
    t.center.stop()
    time.sleep(2)
    p.send_signal(signal.SIGTERM)
    tap.equal(p.wait(20), 0, p.stderr.read())
    p.stderr.close()
    t.center.start()
    wait_for("the agent to be linked", t.center.linked)


def test_only_an_audit_officer_is_given_the_log(t):
    for nick in ("sec", "operator", "center_officer"):
        tap.contains(t.mirror(t.city.dir / "none", key=t.people[nick].key, expect=3)[1], "E_ROLE")


def test_a_mirror_begins_with_an_anchor_and_keeps_to_it(t):
    code, out, err = t.city.run(t.arguments(t.city.dir / "bare"), t.center)
    tap.equal(code, 2, err)
    other = Foundation(City(BUILD, t.city.dir / "elsewhere"))
    other.make_genesis()
    mine, t.anchor = t.anchor, other.anchor
    alarm, err = t.mirror(t.city.dir / "misled", expect=6)
    tap.contains(err, "anchor")
    tap.contains(t.mirror(expect=1)[1], "another anchor")
    t.anchor = mine


def test_the_index_is_built_again_where_it_is_missing_damaged_or_of_another_log(t):
    index, log = t.city.dir / "broker" / "store" / "index", t.city.broker.log
    before = [(r["grant"], r["stream_seq"]) for r in t.search("--key", t.auditor.key)]
    acts = [a["seq"] for a in t.search("--key", t.auditor.key, "--acts")]

    def damage():
        with open(index / "data.mdb", "r+b") as f:
            f.write(b"\x5a" * 8192)

    for change, logged in ((lambda: shutil.rmtree(index), False), (damage, True), (lambda: (index / "doubt").touch(), True)):
        t.city.broker.kill()
        said = log.read_text().count("index.rebuild")
        change()
        t.start_again()
        tap.equal(([(r["grant"], r["stream_seq"]) for r in t.search("--key", t.auditor.key)], log.read_text().count("index.rebuild") > said), (before, logged))
        tap.equal([a["seq"] for a in t.search("--key", t.auditor.key, "--acts")][:len(acts)], acts)
    t.city.broker.kill()
    older = t.city.dir / "older-state"
    shutil.copytree(index.parent, older)
    t.start_again()
    t.push(20)
    t.search("--key", t.auditor.key)                                                # so that the index is as far
    t.city.broker.kill()
    t.send_away()
    newer = t.city.dir / "newer-state"
    index.parent.rename(newer)
    older.rename(index.parent)
    shutil.rmtree(index)
    shutil.copytree(newer / "index", index)                                         # an index of what never was
    t.start_alone()
    tap.contains(log.read_text(), "ahead of the state")
    tap.equal([(r["grant"], r["stream_seq"]) for r in t.search("--key", t.auditor.key)][:len(before)], before)
    t.city.broker.kill()
    shutil.rmtree(index.parent)
    newer.rename(index.parent)
    t.come_back()


def alter(t, seq, change):
    """Changes entry `seq` in the center's segments and makes its check fit."""
    for path in sorted((t.city.dir / "broker" / "store" / "log").glob("*")):
        data = bytearray(path.read_bytes()) if path.is_file() else b""
        for at in range(4096, len(data) - 64, 8):
            n, kind = struct.unpack_from("<IB", data, at)
            if kind != 1 or not 45 < n < 1 << 22 or at + 21 + n > len(data):
                continue
            epoch, number = struct.unpack_from("<QQ", data, at + 21)
            payload = data[at + 21:at + 21 + n]
            if number != seq or bytes(data[at + 5:at + 21]) != record_check(1, bytes(payload), epoch, number):
                continue
            change(payload)
            data[at + 21:at + 21 + n] = payload
            data[at + 5:at + 21] = record_check(1, bytes(payload), epoch, number)
            path.write_bytes(data)
            return
    raise AssertionError(f"entry {seq} is not in the segments")


def with_store_changed(t, change, check):
    store, kept = t.city.dir / "broker" / "store", t.city.dir / "kept"
    t.send_away()
    t.city.broker.stop()
    shutil.copytree(store, kept)
    change()
    t.start_alone()
    check()
    t.city.broker.kill()
    shutil.rmtree(store)
    kept.rename(store)
    t.come_back()


def test_R_152_a_store_tampered_with_is_found_and_named(t):
    seq = t.search("--key", t.auditor.key)[0]["receipt_seq"]
    for name, change in (("signature", lambda p: p.__setitem__(-1, p[-1] ^ 1)), ("time", lambda p: p.__setitem__(16, p[16] ^ 1))):
        def check():
            alarm, err = t.mirror(t.city.dir / f"after-{name}", expect=6)
            named = int(re.search(r"seq=(\d+) differs=", err)[1])
            tap.equal((name, seq <= named <= seq + 600, alarm["alarm"]), (name, True, named), err)
            evidence = list((t.city.dir / f"after-{name}" / "alarms").iterdir())
            tap.equal((len(evidence), json.loads(evidence[0].read_text())["seq"]), (1, named))
        with_store_changed(t, lambda: alter(t, seq, change), check)


def test_R_152_a_log_that_goes_back_is_found(t):
    t.mirror()
    store, kept = t.city.dir / "broker" / "store", t.city.dir / "older"
    t.city.broker.kill()
    shutil.copytree(store, kept)
    t.start_again()
    t.push(200)
    mine, _ = t.mirror()
    t.city.broker.kill()
    shutil.rmtree(store)
    kept.rename(store)
    t.start_alone()
    alarm, err = t.mirror(expect=6)
    tap.equal(alarm["alarm"] <= mine["seq"] + 1, True, err)
    tap.equal("goes back" in err or "another entry" in err, True, err)
    tap.equal(len(list((t.copy / "alarms").iterdir())), 1)


def close(t):
    t.city.stop()
    shutil.rmtree(t.city.dir)


tap.run(globals(), Town, close)
