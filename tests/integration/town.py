"""A town of real programs: what its people and operators do with a running exchange.

Usage: town.py SHUYI SHUYI_BROKER SHUYI_AGENT"""
import os, pathlib, shutil, signal, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "deploy" / "demo.d")]
import tap
from city import City, wait_for
from data import ITEMS, divisions, now
from foundation import AUTHORITY, CIVIL, HEALTH, Foundation

BUILD = pathlib.Path(sys.argv[1]).resolve().parents[2]
FACTS = ("channel", "user", "approver", "resource", "resource_version", "items", "record_count", "payload_digest", "acquired_at", "method", "medium",
         "purpose", "provider", "consumer", "record_id")


class Town(Foundation):
    def __init__(self):
        super().__init__(City(BUILD, tempfile.mkdtemp(prefix="shuyi-town-")))
        self.resource, self.grant = self.build()
        self.pushed = 0

    def push(self, records, key=None):
        status, answer = self.civil.call("POST", f"/v1/resources/{self.resource}/records", {"records": records}, {"Idempotency-Key": key} if key else None)
        if status == 202:
            self.pushed += len(records)
        return status, answer

    def received(self):
        return self.health.lines()

    def wait_received(self):
        wait_for(f"{self.pushed} records at the sink", lambda: len(self.received()) >= self.pushed)

    def uses(self, agent):
        rows, after = [], 0
        while page := agent.call("GET", f"/v1/uses/{self.grant}?after={after}")[1]["uses"]:
            rows += page
            after = page[-1]["stream_seq"]
        return rows

    def search(self, agent, nick, *arguments, expect=(0,)):
        """What one of the town's people is shown."""
        return self.city.shuyi("audit", "search", "--key", self.people[nick].key, *arguments, agent=agent, expect=expect)

    def seq(self):
        return self.city.shuyi("ping", agent=self.center)["center"]["seq"]


def row(code, name="某村"):
    return {"op": "UPSERT", "changed_at": now(), "values": {"code": code, "name": name, "level": "village", "parent": code[:9]}}


def test_rows_of_a_csv_file_arrive_as_they_are(t):
    path = ROOT / "deploy" / "demo.d" / "divisions-zhongshan.csv"
    done = t.city.shuyi("push", "records", t.resource, path, agent=t.civil)
    t.pushed += done["records"]
    tap.equal(done["records"], len(divisions()))
    t.wait_received()
    held = {r["key"]: r["values"] for r in t.received()}
    tap.equal(held, {r["code"]: {k: r[k] for k in ITEMS} for r in divisions()})


def test_a_push_given_again_with_its_key_counts_once(t):
    before = len(t.received())
    records = [row("442000999001")]
    first = t.push(records, "same-key")
    t.pushed -= len(records)
    again = t.push(records, "same-key")
    tap.equal((first[0], again[0]), (202, 202))
    tap.equal(first[1]["id"], again[1]["id"])
    status, answer = t.push([row("442000999002")], "same-key")
    tap.equal(status in (409, 422), True, answer)
    t.wait_received()
    tap.equal(len(t.received()), before + 1)


def test_R_153_the_consumers_copy_and_the_centers_agree(t):
    t.wait_received()
    own = {r["stream_seq"]: r for r in t.uses(t.health)}
    center = wait_for("all deliveries in the center's record",
                      lambda: (rows := t.search(t.health, "health_officer", "--grant", t.grant)) and sum(r["record_count"] for r in rows) >= t.pushed and rows)
    tap.equal(len(center), len(own))
    for r in center:
        tap.equal({f: own[r["stream_seq"]].get(f) for f in FACTS}, {f: r.get(f) for f in FACTS})


def test_R_151_each_acquisition_has_its_seven_facts(t):
    for r in t.search(t.health, "health_officer"):
        for fact in ("channel", "user", "approver", "resource", "items", "record_count", "payload_digest", "acquired_at", "method", "medium"):
            tap.equal(bool(r.get(fact)), True, fact)
        tap.equal(r["user"] == r["approver"], False)


def test_R_154_the_provider_sees_the_uses_of_its_data_and_a_stranger_none(t):
    tap.equal(len(t.search(t.civil, "civil_officer")) > 0, True)
    tap.equal(t.search(t.center, "center_officer"), [])


def test_R_154_a_search_shows_what_the_role_may_see(t):
    whole = len(t.search(t.health, "health_officer"))
    tap.equal([len(t.search(t.health, nick)) for nick in ("user", "approver")], [whole, whole])
    tap.equal(t.search(t.civil, "civil_approver"), [])                      # took no part
    for nick in ("sec", "operator"):
        tap.equal(t.search(t.center, nick, "--as", "SEC_ADMIN" if nick == "sec" else "DATA_OPERATOR", expect=(3,)), {})
    tap.equal(t.search(t.center, "health_officer", expect=(3,)), {})       # over the link of another department
    code, out, err = t.city.run([t.city.bin("agent/cli/shuyi"), "audit", "search"], t.health)
    tap.equal(code, 2)                                                      # unsigned


def test_a_search_is_narrowed_by_each_criterion(t):
    rows = t.search(t.health, "health_officer")
    for more, n in ((("--person", rows[0]["user"]), len(rows)), (("--person", "00" * 16), 0), (("--resource", t.resource.split("/v")[0]), len(rows)),
                    (("--resource", "3074420000001/000099"), 0), (("--department", CIVIL), len(rows)), (("--department", AUTHORITY), 0),
                    (("--outcome", "TAKEN"), len(rows)), (("--outcome", "REFUSED"), 0), (("--from", "2020-01-01"), len(rows)), (("--to", "2020-01-01"), 0),
                    (("--from", "2090-01-01"), 0), (("--grant", t.grant, "--department", HEALTH, "--outcome", "TAKEN"), len(rows))):
        tap.equal((more, len(t.search(t.health, "health_officer", *more))), (more, n))


def test_acts_are_found_by_outcome_person_and_grant(t):
    acts = t.search(t.health, "health_officer", "--acts")
    tap.equal([a["kind"] for a in t.search(t.health, "health_officer", "--acts", "--grant", t.grant)][0], "GET")
    get = [a for a in acts if a["kind"] == "GET"][0]
    tap.equal((get["capacities"], get["grant"]), (["USER", "APPROVER"], t.grant))
    tap.equal(all(HEALTH in (a.get("from"), a.get("to")) or "grant" in a or a["kind"] in ("DEPARTMENT", "ACCEPT") for a in acts), True, acts)
    mine = t.search(t.health, "user", "--acts")
    tap.equal(all(get["persons"][0] in a.get("persons", []) for a in mine) and len(mine) > 0, True, mine)
    before = len(t.search(t.health, "health_officer", "--acts", "--outcome", "REFUSED"))
    t.city.act(t.health, t.people["approver"], "grant", "suspend", "ab" * 32, "--reason", "MISUSE", expect=(3,))
    refused = t.search(t.health, "health_officer", "--acts", "--outcome", "REFUSED")
    tap.equal((len(refused), refused[-1]["kind"]), (before + 1, "GRANT_SUSPEND"))
    tap.equal(len(t.search(t.health, "health_officer", "--acts", "--outcome", refused[-1]["code"])) >= 1, True)


def test_a_sink_moved_away_takes_no_line_with_it(t):
    t.wait_received()
    before = t.received()
    kept = t.health.sink.with_suffix(".moved")
    t.health.sink.rename(kept)
    t.push([row("442000998001"), row("442000998002")])
    wait_for("the lines in a new file", lambda: len(t.received()) == 2)
    tap.equal([r["key"] for r in t.received()], ["442000998001", "442000998002"])
    tap.equal(len(kept.read_text(encoding="utf-8").splitlines()), len(before))
    t.health.kill()
    t.health.start()
    t.push([row("442000998003")])
    wait_for("the next line", lambda: len(t.received()) == 3)
    t.pushed = 3                            # the lines of the new file


def test_a_draft_waits_for_its_second_signature_on_any_workstation(t):
    draft = t.city.act(t.health, t.people["user"], "request", "get", t.resource, "--items", "1,2", "--purpose", "值班值守", "--agent-id", t.health.agent_id(),
                       expect=(5,))["draft"]
    drafts = t.city.shuyi("draft", "list", agent=t.health)["drafts"]
    tap.equal([d["digest"] for d in drafts], [draft])
    code, out, err = t.city.run([t.city.bin("agent/cli/shuyi"), "draft", "show", draft], t.health)
    tap.equal(code, 0)
    for part in ("GET", t.resource, "值班值守", draft):
        tap.contains(out, part)
    t.city.act(t.health, t.people["user"], "draft", "sign", draft, "--as", "APPROVER", expect=(3,))
    tap.equal([d["digest"] for d in t.city.shuyi("draft", "list", agent=t.health)["drafts"]], [draft], "the draft is still there for the right person")
    t.city.act(t.health, t.people["approver"], "draft", "sign", draft)
    tap.equal(t.city.shuyi("draft", "list", agent=t.health)["drafts"], [])


def test_a_suspended_grant_gets_nothing_until_it_is_resumed(t):
    t.wait_received()
    approver = t.people["civil_approver"]
    t.city.act(t.civil, approver, "grant", "suspend", t.grant)
    before = len([r for r in t.received() if r["grant"] == t.grant])
    t.push([row("442000999003")])
    wait_for("the push to be taken", lambda: t.civil.status()["outbox"]["taken_records"] >= 0)
    tap.equal(len([r for r in t.received() if r["grant"] == t.grant]), before)
    t.city.act(t.civil, approver, "grant", "resume", t.grant)
    wait_for("the record after the resumption", lambda: len([r for r in t.received() if r["grant"] == t.grant]) == before + 1)


def test_while_the_broker_is_away_pushes_are_kept_and_acts_are_told_apart(t):
    t.wait_received()
    before = len([r for r in t.received() if r["grant"] == t.grant])
    t.city.broker.kill()
    tap.equal(t.push([row("442000999004")])[0], 202)
    kept = t.city.act(t.civil, t.people["civil_officer"], "staff", "revoke", "00" * 32, "--wait", "0", expect=(4, 3))
    tap.equal(kept.get("state") in ("kept", "sent", None), True, kept)
    t.city.broker.start()
    wait_for("the broker to be ready", t.city.ready)
    wait_for("what was kept to arrive", lambda: len([r for r in t.received() if r["grant"] == t.grant]) == before + 1)
    wait_for("all agents to be linked", lambda: all(agent.linked() for agent in (t.center, t.civil, t.health)))


def test_metrics_are_clean_for_prometheus(t):
    texts = [subprocess.run(["curl", "-s", f"http://127.0.0.1:{t.city.http_port}/metrics"], capture_output=True, text=True).stdout,
             subprocess.run(["curl", "-s", "--unix-socket", str(t.civil.socket), "http://localhost/metrics"], capture_output=True, text=True).stdout]
    for text in texts:
        tap.contains(text, "# TYPE shuyi_")
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
            tap.equal((done.returncode, done.stdout + done.stderr), (0, ""))


def test_a_reload_takes_a_good_file_and_keeps_the_old_one_for_a_bad_one(t):
    good = t.city.broker_config.read_text()
    t.city.broker_config.write_text(good.replace("link:\n", "link:\n  credit_frames: 128\n"))
    t.city.broker.process.send_signal(signal.SIGHUP)
    wait_for("the reload", lambda: "config.reloaded" in t.city.broker.log.read_text())
    t.city.broker_config.write_text(good + "nonsense: 1\n")
    t.city.broker.process.send_signal(signal.SIGHUP)
    wait_for("the refusal of the bad file", lambda: "config.kept" in t.city.broker.log.read_text())
    t.city.broker_config.write_text(good)
    tap.equal(t.city.ready(), True)


def test_people_see_tables_and_programs_see_json(t):
    for words in (["staff", "list"], ["department", "list"], ["catalog", "list"], ["grant", "list"], ["request", "list"], ["agent", "list"], ["policy", "show"],
                  ["grant", "subscriptions"], ["ping"], ["agent", "status"]):
        code, out, err = t.city.run([t.city.bin("agent/cli/shuyi"), *words], t.health)
        tap.equal(code, 0, f"{words}: {err}")
        tap.equal(len(out) > 20, True, words)
    code, out, err = t.city.run([t.city.bin("agent/cli/shuyi"), "department", "list"], t.health)
    tap.contains(out, "中山市卫生健康局")


def test_people_keep_heads_and_have_entries_proved(t):
    command = t.city.bin("agent/cli/shuyi")
    seq = t.seq()
    wait_for("the head of what stands in the log", lambda: t.city.shuyi("log", "head", agent=t.health)["size"] >= seq)
    head = t.city.shuyi("log", "head", "--anchor", t.anchor, agent=t.health)
    tap.equal((head["signed"], head["cosigned"], head["quorum"]), (True, 0, 0))
    code, note, err = t.city.run([command, "log", "head"], t.health)
    tap.equal(code, 0, err)
    tap.equal(note.splitlines()[0], head["origin"])
    tap.contains(err, "give --anchor")
    kept = t.city.dir / "kept.head"
    kept.write_text(note)
    t.city.act(t.health, t.people["approver"], "grant", "suspend", "cd" * 32, "--reason", "MISUSE", expect=(3,))      # refused: one entry more
    wait_for("a larger head", lambda: t.city.shuyi("log", "head", agent=t.health)["size"] > head["size"])
    later = t.city.shuyi("log", "head", "--anchor", t.anchor, "--since", kept, agent=t.health)
    tap.equal(later["since"], int(note.splitlines()[1]))

    # a proof is for everybody, the envelope behind it for who may read it
    shown = set()
    for number in (1, *range(later["size"] - 5, later["size"] + 1)):
        proof = t.city.shuyi("log", "prove", number, "--anchor", t.anchor, agent=t.civil)
        tap.equal((proof["seq"], proof["head"]["signed"], len(proof["path"]) > 0), (number, True, True))
        tap.equal(t.city.shuyi("log", "prove", number, agent=t.center)["envelope"], True)
        shown.add(proof["envelope"])
    tap.equal(shown, {True, None})
    tap.equal(t.city.shuyi("log", "prove", seq, agent=t.center)["leaf_hash"], t.city.shuyi("log", "prove", seq, agent=t.civil)["leaf_hash"])
    code, out, err = t.city.run([command, "log", "prove", "1"], t.health)
    tap.equal(code, 0, err)
    tap.contains(out, "leads to root")

    # what does not hold is found
    root = note.splitlines()[2]
    (t.city.dir / "other.head").write_text(note.replace(root, ("A" if root[0] != "A" else "B") + root[1:]))
    code, out, err = t.city.run([command, "log", "head", "--since", t.city.dir / "other.head"], t.health)
    tap.equal(code, 6, err)
    tap.contains(err, "TWO HISTORIES")
    code, out, err = t.city.run([command, "log", "head", "--anchor", t.anchor, "--since", t.city.dir / "other.head"], t.health)
    tap.equal(code, 6, err)
    tap.contains(err, "does not hold")
    for wrong, expect in (("0", 2), ("x", 2), ("99999999", 3)):
        code, out, err = t.city.run([command, "log", "prove", wrong], t.health)
        tap.equal(code, expect, err)


def test_no_log_line_carries_a_value_of_a_record(t):
    for log in t.city.dir.glob("*/*.log"):
        text = log.read_text()
        for value in ("某村", "石岐街道", "442000001"):
            tap.equal(value in text, False, f"{value} in {log.name}")


def test_the_store_replays_to_the_same_digest(t):
    t.city.broker.stop()
    for words in (["check"], ["--replay"]):
        code, out, err = t.city.run([t.city.bin("broker/shuyi-broker"), *words, "--config", t.city.broker_config])
        tap.equal(code, 0, out + err)


def close(t):
    t.city.stop()
    shutil.rmtree(t.city.dir)


tap.run(globals(), Town, close)
