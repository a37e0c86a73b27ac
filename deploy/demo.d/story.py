"""The story of deploy/demo: a city's exchange from its genesis to its audit, told step by step.

Everything said here is checked; the first thing that does not hold ends the story with exit status 1."""
import argparse, base64, collections, json, pathlib, shutil, sys, tempfile, threading, time, traceback

import entries
from city import Agent, City, Failed, Process, wait_for
from data import ITEMS, Source, divisions
from foundation import AUTHORITY, HEALTH, PURPOSE, Foundation

BATCH = 100
QUORUM = 2
PROVEN = ("included", "witnessed", "signed", "authorised", "status proven", "delivered")

refusals = []


def say(text):
    print(text, flush=True)


def step(number, title):
    say(f"\n== {number}. {title}")


def check(what, holds):
    if not holds:
        raise Failed(what)
    say(f"   - {what}")


def refused(what, answer, code, article=""):
    """The answer to something that is not allowed: it must carry this code."""
    found = answer.get("refusal") or answer.get("code_name") or ""
    text = json.dumps(answer, ensure_ascii=False)
    if code not in found and code not in text:
        raise Failed(f"{what}: expected {code}, got {text[:600]}")
    refusals.append(what)
    say(f"   - refused: {what}: {code}{' (' + article + ')' if article else ''}")


class Story(Foundation):
    def __init__(self, city, changes):
        super().__init__(city)
        self.changes = changes

    # ---- 1 ----

    def genesis(self):
        step(1, "Genesis: root, anchor, first officers; then the departments and their staff")
        self.appoint_witnesses(("archive", "audit", "court"), QUORUM)
        self.make_genesis()
        self.start_center(self.serve_witnesses())
        check("the broker took the genesis as its first entries; it and the authority's agent run", True)
        check(f"{len(self.witnesses)} witnesses, programs of the archive, the audit office and the court, look at every head of its log: "
              f"the anchor asks for {QUORUM} of them", True)
        self.publish_policy()
        check("profile zs and the holiday calendar are published, each signed by SEC_ADMIN and DATA_OPERATOR", True)
        self.departments()
        check("民政局 and 卫生健康局 join by DEPARTMENT, signed by the root, each with its first DATA_OFFICER and agent", True)
        people = self.people
        self.file_and_accept("auditor", "审计己", AUTHORITY, self.center, people["center_officer"], "AUDIT_OFFICER")
        self.file_and_accept("both", "卫健双职癸", HEALTH, self.health, people["health_officer"], "USER", "APPROVER")
        check("staff are filed by their department and accepted by the authority, each with a key of their own", True)
        staff = self.city.shuyi("staff", "list", agent=self.health)
        check(f"offices and staff of all departments can be read by every participant ({len(staff)} persons): R-006", len(staff) == 10)
        self.health_b = self.further_agent("health-b", "卫健局第二代理")
        check("a second agent of 卫生健康局 is filed, accepted and linked", True)

    # ---- 2 ----

    def catalog(self):
        step(2, "民政局 submits its catalog entries; the authority reviews and publishes")
        good = self.entry()
        answer = self.submit("entry-errors", entries.with_errors(good), expect=(3,))
        for code in ("C-001", "C-003", "C-009", "C-012", "C-018"):
            if code not in answer["detail"]:
                raise Failed(f"{code} is not named in {answer['detail']}")
        refused("an entry with five errors, all named together", answer, "C-001", "ZS 9")
        matter = self.submit("entry-warning", entries.with_warning(good))["digest"]
        rows = [r for r in self.city.shuyi("catalog", "matters", agent=self.center) if r["matter"] == matter]
        check("the reviewer sees the warning C-021 of the next one", len(rows) == 1 and "C-021" in rows[0]["warning_codes"])
        self.city.act(self.center, self.people["operator"], "catalog", "return", matter, "--defects", "C-021")
        self.submit("entry", good, matter)
        self.open_resource = self.approve(matter)
        check(f"returned, corrected and published: 行政区划 is {self.open_resource}, UNCONDITIONAL (ZS 20(1))", True)
        self.conditional_resource = self.approve(self.submit("entry-conditional", entries.conditional(good))["digest"])
        check(f"区划管理明细 is {self.conditional_resource}, CONDITIONAL with its municipal document (ZS 20(2))", True)

    # ---- 3 ----

    def subscribe(self):
        step(3, "卫生健康局 subscribes directly, and applies for what is conditional")
        self.grant_open = self.get(self.open_resource, self.health)["digest"]
        self.grant_b = self.get(self.open_resource, self.health_b)["digest"]
        request = self.city.two(self.health, self.people["user"], self.people["approver"], "request", "submit", self.conditional_resource, "--items", "1-4",
                                "--purpose", PURPOSE, "--agent-id", self.health.agent_id(), "--need", "网格与区划对应")
        check(f"the application was received: {request.get('detail') or 'seq ' + str(request['seq'])}", request["state"] == "received")
        consent = self.city.two(self.civil, self.people["civil_officer"], self.people["civil_approver"], "request", "consent", request["digest"],
                                "--items", "1,2", "--refuse-items", "3:R_EXCESS,4:R_EXCESS")
        self.grant_part = consent["digest"]
        check("民政局's handler and approver consent to items 1 and 2 only (R_EXCESS for the rest)", True)
        for grant in (self.grant_open, self.grant_b, self.grant_part):
            self.wait_live(grant)
        check("all three subscriptions are LIVE before any data flows", True)
        self.keep_head()

    def keep_head(self):
        """卫生健康局 keeps a head of the log, as anybody may: step 7 asks whether the log still goes on from it."""
        self.kept = self.city.dir / "kept.head"
        code, note, err = self.city.run([self.city.bin("agent/cli/shuyi"), "log", "head", "--anchor", self.anchor], self.health)
        check(f"卫生健康局 keeps a head of the log, signed and witnessed{'' if code == 0 else ': ' + err}", code == 0)
        self.kept.write_text(note)

    # ---- 4 and 5 ----

    def push(self, resource, records, batch):
        """One push of the business system: given again with the same key until the agent takes it."""
        path, key = f"/v1/resources/{resource}/records", f"demo-{resource}-{batch}"
        while True:
            try:
                status, answer = self.civil.call("POST", path, {"records": records}, {"Idempotency-Key": key})
            except OSError:
                time.sleep(0.1)
                continue
            if status == 202:
                return
            if status not in (429, 503):
                raise Failed(f"push refused with {status}: {answer}")
            time.sleep(0.1)

    def feed(self, source):
        """The business system: first all rows, then seeded changes, to both resources, paced."""
        try:
            records = source.load()
            for i in range(0, len(records), BATCH):
                self.push_both(records[i:i + BATCH])
            while source.sent < len(divisions()) + self.changes:
                self.push_both([source.change() for _ in range(BATCH)])
                time.sleep(0.02)
                while self.pushed >= self.gate:
                    time.sleep(0.02)
        except BaseException as fault:  # told by the main thread
            self.feed_fault = fault
        self.feed_done.set()

    def push_both(self, records):
        for resource in (self.open_resource, self.conditional_resource):
            self.push(resource, records, self.batches)
        self.batches += 1
        self.pushed += len(records)

    def received(self, agent=None):
        try:
            with open((agent or self.health).sink, "rb") as f:
                return f.read().count(b"\n")
        except FileNotFoundError:
            return 0

    def acknowledged(self):
        """How far the two streams have come, as the center's log says."""
        return sum(row.get("cursor", 0) for row in self.city.shuyi("grant", "subscriptions", agent=self.center))

    def crash(self, process, at, gate):
        """kill -9 in the middle of the flow, and start again; until `gate` records the business system may go on meanwhile."""
        self.gate = gate
        wait_for(f"{at} records at the consumer", lambda: self.feed_fault or self.received() >= at, 300)
        if self.feed_fault:
            raise self.feed_fault
        before = self.received()
        process.kill()
        check(f"{process.name} is killed with SIGKILL: {before} records delivered, {self.pushed} pushed so far", before > 0 and not self.feed_done.is_set())
        time.sleep(0.5)
        process.start()
        if isinstance(process, Agent):
            wait_for(f"{process.name} to be linked again", process.linked)
        else:
            wait_for("the broker to be ready again", self.city.ready)

    def flow(self):
        step(4, f"Real data: {len(divisions())} divisions and {self.changes} changes, to both resources")
        self.source, self.pushed, self.batches, self.gate, self.feed_fault = Source(442000), 0, 0, 0, None
        self.feed_done = threading.Event()
        thread = threading.Thread(target=self.feed, args=(self.source,), daemon=True)
        thread.start()
        step(5, "On the way a witness, the broker, the consumer's agent and the provider's are killed")
        self.witnesses[-1].kill()
        check(f"the {self.witnesses[-1].name}'s witness is killed with SIGKILL and stays away: the quorum of the others is enough", True)
        rows = len(divisions()) + self.changes
        total = 2 * rows
        self.crash(self.city.broker, total // 10, rows // 4)
        self.crash(self.health, total * 3 // 10, rows // 2)
        self.crash(self.civil, total * 5 // 10, rows * 3 // 4)
        self.revoke_in_stream()
        self.gate = total
        wait_for("the business system to finish", self.feed_done.is_set, 600)
        thread.join()
        if self.feed_fault:
            raise self.feed_fault
        wait_for(f"all {total} records at the consumer", lambda: self.received() >= total, 300)
        self.compare(total)
        self.witnesses[-1].start()

    def compare(self, total):
        """Every line of the sink: in order, none twice, none missing; and the rows that they make equal the source."""
        rows = collections.defaultdict(dict)
        last, counts = {}, collections.Counter()
        with open(self.health.sink, encoding="utf-8") as f:
            for line in f:
                r = json.loads(line)
                grant, at = r["grant"], (r["stream_seq"], r["index"])
                if at <= last.get(grant, (0, -1)):
                    raise Failed(f"out of order or twice: {at} after {last[grant]}")
                last[grant] = at
                counts[grant] += 1
                code = r["key"]
                if r["op"] == "DELETE":
                    rows[grant].pop(code, None)
                else:
                    rows[grant][code] = r["values"]
        check(f"{total} records received: none lost, none doubled, none out of order", all(counts[g] == total // 2 for g in (self.grant_open, self.grant_part)))
        whole = {code: {k: row[k] for k in ITEMS} for code, row in self.source.rows.items()}
        part = {code: {k: row[k] for k in ("code", "name")} for code, row in self.source.rows.items()}
        check(f"行政区划: all {len(whole)} rows equal the source", rows[self.grant_open] == whole)
        check(f"区划管理明细: all {len(part)} rows equal the source, and only the items granted", rows[self.grant_part] == part)
        self.equal = len(whole) + len(part)
        self.total = total

    # ---- 6 ----

    def audit(self):
        step(6, "Audit: the seven facts of ZS 32, every hash again, and a replay")
        wait_for("all deliveries to be receipted", lambda: self.seen(self.grant_open) and self.seen(self.grant_part), 120)
        rows = self.city.shuyi("audit", "search", "--key", self.people["auditor"].key, agent=self.center)
        facts = ("channel", "user", "approver", "resource", "acquired_at", "method", "medium", "payload_digest", "items", "record_count")
        for row in rows:
            missing = [f for f in facts if not row.get(f)]
            if missing or row["user"] == row["approver"]:
                raise Failed(f"an acquisition without {missing}: {row}")
        mine = [r for r in rows if r["grant"] in (self.grant_open, self.grant_part)]
        check(f"{len(rows)} acquisitions, each with channel, user, approver, content, time, method and medium: R-151",
              sum(r["record_count"] for r in mine) == self.total)
        self.acquisitions = len(rows)
        self.compare_copies(rows)
        self.follow()
        self.city.broker.stop()
        code, out, err = self.city.run([self.city.bin("agent/cli/shuyi"), "log", "check", self.city.broker_config])
        check(f"shuyi log check derives every hash, signature and outcome again{'' if code == 0 else ': ' + out + err}", code == 0)
        code, out, err = self.city.run([self.city.bin("broker/shuyi-broker"), "--replay", "--config", self.city.broker_config])
        check(f"shuyi-broker --replay reaches the same state digest{'' if code == 0 else ': ' + out + err}", code == 0)
        self.city.broker.start()
        wait_for("the broker to be ready again", self.city.ready)
        wait_for("the agents to be linked again", lambda: self.center.linked() and self.civil.linked() and self.health.linked())

    def follow(self):
        """The auditor's own copy of the log without data bodies: it goes on over the restart of the center."""
        self.copy = self.city.dir / "mirror"
        arguments = ("audit", "mirror", self.copy, "--key", self.people["auditor"].key, "--anchor", self.anchor, "--follow", "--allow-volatile", "--json")
        self.mirror = self.city.add(Process("mirror", [self.city.bin("agent/cli/shuyi"), *arguments], self.city.dir / "mirror.log",
                                            self.city.environment(self.center)))
        self.mirror.start()

    def compare_copies(self, rows):
        """The consumer's own record of each use says what the center's log says (R-153)."""
        facts = ("channel", "user", "approver", "resource", "resource_version", "items", "record_count", "payload_digest", "acquired_at", "method",
                 "medium", "purpose", "provider", "consumer", "record_id")
        compared = 0
        for grant in (self.grant_open, self.grant_part):
            center = {r["stream_seq"]: r for r in rows if r["grant"] == grant}
            own, after = {}, 0
            while page := self.health.call("GET", f"/v1/uses/{grant}?after={after}")[1]["uses"]:
                own.update({r["stream_seq"]: r for r in page})
                after = page[-1]["stream_seq"]
            for seq, row in center.items():
                differ = [f for f in facts if row.get(f) != own.get(seq, {}).get(f)]
                if differ:
                    raise Failed(f"link {seq} of {grant[:12]}: the two records differ in {differ}: {row} / {own.get(seq)}")
            compared += len(center)
        check(f"卫生健康局's own record and the center's agree on all {compared} acquisitions of its agent: R-153", compared > 0)

    def seen(self, grant):
        """Has the whole stream of a grant been receipted?"""
        subscriptions = {r["grant"]: r for r in self.city.shuyi("grant", "subscriptions", agent=self.center)}
        records = sum(r["record_count"] for r in self.city.shuyi("audit", "search", "--grant", grant, "--key", self.people["health_officer"].key, agent=self.health))
        return subscriptions[grant]["state"] == "LIVE" and records >= self.total // 2

    # ---- 7 ----

    def evidence(self):
        step(7, "Evidence: for somebody who trusts neither the center nor the departments")
        self.heads()
        self.mirror_agrees()
        rows = self.city.shuyi("audit", "search", "--grant", self.grant_part, "--key", self.people["auditor"].key, agent=self.center)
        row = rows[len(rows) // 2]
        say(f"\n   One transfer of the {len(rows)}: {row['record_count']} records of {row['resource']} to {row['user_name']}, approved by {row['approver_name']}")
        proof = json.loads(self.command("log", "prove", row["receipt_seq"], "--anchor", self.anchor, agent=self.health))
        check(f"the receipt of its delivery is entry {row['receipt_seq']}: {len(proof['path'])} hashes lead from it to the witnessed head",
              proof["head"]["signed"] and proof["envelope"] and proof["head"]["cosigned"] >= QUORUM)
        self.bundle(row)

    def command(self, *arguments, agent=None, expect=0):
        """A command as one would type it, with --json: what it prints."""
        say("   $ shuyi " + " ".join(a.name if isinstance(a, pathlib.Path) else f"{a[:12]}..." if len(str(a)) == 64 else str(a) for a in arguments))
        alone = [] if agent else ["env", "-u", "SHUYI_AGENT", "-u", "SHUYI_PASSPHRASE_FILE"]
        code, out, err = self.city.run([*alone, self.city.bin("agent/cli/shuyi"), *arguments, "--json"], agent)
        if code != expect:
            raise Failed(f"it ended with {code}: {out}{err}")
        return out

    def heads(self):
        away, seq = self.witnesses[-1], self.city.metric("shuyi_log_synced_sequence")
        wait_for("a witnessed head of all entries", lambda: self.city.shuyi("log", "head", agent=self.health)["size"] >= seq, 120)
        head = json.loads(self.command("log", "head", "--anchor", self.anchor, "--since", self.kept, agent=self.health))
        check(f"the log of {head['size']} entries goes on from the head of {head['since']} that 卫生健康局 kept; {head['cosigned']} witnesses say so, "
              f"{head['quorum']} are asked for", head["signed"] and head["cosigned"] >= QUORUM == head["quorum"])
        wait_for(f"the {away.name}'s witness to catch up", lambda: away.size() >= head["size"], 120)
        check(f"the {away.name}'s witness is back: it went on from where its file says, and has cosigned {away.size()} entries", True)

    def mirror_agrees(self):
        """What the auditor's copy finds is what the center finds; then it is asked where it stands."""
        found = self.city.shuyi("audit", "search", "--key", self.people["auditor"].key, agent=self.center)
        wait_for("the mirror to have followed", lambda: self.mirror.alive() and self.city.shuyi("audit", "search", "--mirror", self.copy) == found)
        self.mirror.stop()
        text = self.mirror.log.read_text()
        stand = json.loads([line for line in text.splitlines() if line.startswith("{")][-1])
        check(f"the auditor's mirror, which followed meanwhile, has derived {stand['entries']} entries, {stand['signatures']} signatures and {stand['heads']} heads anew, "
              f"without data bodies: the same {len(found)} acquisitions", self.mirror.process.returncode == 0 and "ALARM" not in text and stand["published"] > 0)

    def bundle(self, row):
        """One acquisition in a file; checked where there is nothing but that file and the anchor; then with one bit changed."""
        desk = self.city.dir / "judge"
        desk.mkdir()
        shutil.copy(self.anchor, desk)
        path, anchor = desk / "transfer.bundle", desk / self.anchor.name
        export = ("audit", "export", "--grant", row["grant"], "--stream-seq", row["stream_seq"], "--key", self.people["auditor"].key, "--out")
        wait_for("a published trust head behind it", lambda: "ask again" not in self.city.run([self.city.bin("agent/cli/shuyi"), *export, self.city.dir / "trial"], self.center)[2], 120)
        made = json.loads(self.command(*export, path, agent=self.center))
        check(f"a bundle of evidence: {made['entries']} entries, {made['bytes']} bytes of text", made["kind"] == "UPDATE")
        report = json.loads(self.command("audit", "check", path, "--anchor", anchor))
        for item in report["items"]:
            say(f"     {item['item']:<14} {'yes' if item['state'] == 'OK' else 'not asked':<10} {item['meaning']}")
        say("     What it does not prove:")
        for item in report["not_proven"]:
            say(f"       {item['en']}")
        states = {i["item"]: i["state"] for i in report["items"]}
        check("the file and the anchor are enough, no agent was asked and no key was used: proven",
              report["proven"] and not report["unwitnessed"] and all(states[i] == "OK" for i in PROVEN) and report["grant"]["grant"] == row["grant"])
        title, *lines = path.read_text().split("\n")
        content = bytearray(base64.b64decode("".join(lines)))
        content[len(content) // 2] ^= 1
        text, spoilt = base64.b64encode(content).decode(), desk / "one-bit-changed.bundle"
        spoilt.write_text("\n".join([title, *(text[i:i + 76] for i in range(0, len(text), 76))]) + "\n")
        report = json.loads(self.command("audit", "check", spoilt, "--anchor", anchor, expect=6))
        broken = next(({"why": f"{i['item']}: {i.get('reason', i['state'])}"} for i in report.get("items", []) if i["state"] not in ("OK", "DOES_NOT_APPLY")), {})
        refused(f"a bundle in which one bit was changed ({report.get('wrong') or broken['why']})", {"refusal": "" if report["proven"] else "NOT PROVEN"}, "NOT PROVEN",
                "exit status 6")

    # ---- 5, 8 ----

    def revoke_in_stream(self):
        """The second agent of 卫生健康局 is revoked while its stream flows: nothing more reaches it."""
        wait_for("the second agent to have received something", lambda: self.received(self.health_b) > 0)
        agents = self.city.shuyi("agent", "list", agent=self.center)
        credential = next(a["credential"] for a in agents if a["agent"] == self.agent_b_id)
        self.city.act(self.center, self.people["sec"], "agent", "revoke", credential, role="SEC_ADMIN")
        wait_for("its link to be cut", lambda: not self.health_b.linked())
        before = self.received(self.health_b)
        check(f"an agent is revoked in mid-stream: it had {before} records and gets no more, the others go on: R-009",
              not self.feed_done.is_set())
        refusals.append("a revoked agent")
        self.b_received = before

    def not_allowed(self):
        city, people = self.city, self.people
        step(8, "What is not allowed is tried")
        status, answer = self.health.call("POST", f"/v1/resources/{self.open_resource}/records", {"records": [{"op": "DELETE", "changed_at": "2026-01-01T00:00:00.000Z", "values": {"code": "44"}}]})
        refused("an update for a resource that is not the sender's", answer if status >= 400 else {}, "E_ROLE", "ZS 6")
        refused("a direct get of a conditional item", self.get(self.conditional_resource, self.health, expect=(3,)), "G_TYPE", "ZS 22: R-073")
        refused("an approver who is the applicant", self.get(self.open_resource, self.health, people=("both", "both"), expect=(1, 3)), "G_SEPARATION", "ZS 32(2): R-008")
        second = self.file_and_accept("user2", "卫健使用辛", HEALTH, self.health, people["health_officer"], "USER", "APPROVER", person_id=self.person_id("卫健使用辛"))
        refused("the same person with a second credential", self.get(self.open_resource, self.health, people=("user", "user2"), expect=(3,)), "G_SEPARATION", "ZS 32(2): R-008")
        self.unregistered()
        refused("a purpose other than the grant's", self.city.act(self.health, people["health_officer"], "grant", "subscribe", self.grant_open, "--purpose", "商业推广", expect=(3,)),
                "G_PURPOSE", "ZS 21: R-109")
        self.replayed_and_altered()
        check(f"the revoked agent received nothing after its revocation: {self.b_received} records", self.received(self.health_b) == self.b_received)

    def unregistered(self):
        """An agent that nobody registered, with the welcome file of another one."""
        stranger = self.city.add(Agent(self.city, "stranger", HEALTH))
        self.init_agent(stranger, "未登记")
        stranger.configure(self.health.dir / "welcome")
        before = self.city.metric("shuyi_handshakes_denied_total")
        stranger.start()
        wait_for("the broker to count the refused handshake", lambda: self.city.metric("shuyi_handshakes_denied_total") > before)
        wait_for("the stranger's own agent to name the rule", lambda: "E_UNKNOWN_AGENT" in json.dumps(stranger.status()) or "E_UNKNOWN_AGENT" in stranger.log.read_text())
        stranger.stop()
        refused("an unregistered agent, in the handshake; its own agent names the rule", {"refusal": "E_UNKNOWN_AGENT"}, "E_UNKNOWN_AGENT", "R-004")

    def replayed_and_altered(self):
        """An envelope of the log is sent a second time, then with one bit changed."""
        entry = self.city.shuyi("log", "entry", self.grant_open, agent=self.health)
        wire = bytes.fromhex(entry["envelope"])
        status, answer = self.health.call("POST", "/v1/acts", {"envelope": base64.b64encode(wire).decode()})
        if status == 202:
            answer = wait_for("the answer to the replay", lambda: (a := self.health.call("GET", f"/v1/acts/{answer['digest']}")[1]).get("state") == "received" and a)
        refused("a replayed envelope", answer, "E_REPLAY", "R-130")
        altered = bytearray(wire)
        altered[wire.find(PURPOSE.encode()) + 2] ^= 1
        status, answer = self.health.call("POST", "/v1/acts", {"envelope": base64.b64encode(bytes(altered)).decode()})
        refused("an altered envelope", answer if status >= 400 else {}, "E_CRED", "R-130")

    # ----

    def tell(self):
        self.genesis()
        self.catalog()
        self.subscribe()
        self.agent_b_id = self.health_b.agent_id()
        self.flow()
        self.audit()
        self.evidence()
        self.not_allowed()
        say(f"\n{self.total} records sent, {self.total} received, {self.equal} rows equal; {self.acquisitions} acquisitions recorded; "
            f"{len(self.witnesses)} witnesses, a mirror and a bundle agree; {len(refusals)} refusals as expected")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--build", required=True)
    arguments.add_argument("--dir")
    arguments.add_argument("--keep", action="store_true")
    arguments.add_argument("--changes", type=int, default=20000, help="changes after the first rows")
    a = arguments.parse_args()
    directory = pathlib.Path(a.dir or tempfile.mkdtemp(prefix="shuyi-demo-"))
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        sys.exit(f"{directory} is not empty")
    city = City(a.build, directory)
    try:
        Story(city, a.changes).tell()
        code = 0
    except Failed as fault:
        say(f"\nDID NOT HOLD: {fault}\nLogs are in {directory}/*/*.log")
        code = 1
    except Exception:
        traceback.print_exc()
        code = 1
    if a.keep and code == 0:
        say(f"\nThe city goes on running in {directory}. For example:\n"
            f"  SHUYI_AGENT={directory}/health/api.sock {a.build}/agent/cli/shuyi grant list\n"
            f"  curl http://127.0.0.1:{city.http_port}/metrics\nEnd it with: kill {' '.join(str(p.process.pid) for p in city.processes if p.alive())}")
        return code
    try:
        city.stop()
    except Failed as fault:
        say(f"\nDID NOT HOLD: {fault}")
        code = 1
    if not a.dir and code == 0:
        shutil.rmtree(directory)
    return code


if __name__ == "__main__":
    sys.exit(main())
