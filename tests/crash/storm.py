"""A city for chaos: two providing agents, three that receive, witnesses, a mirror, wires that can be cut, and people who act.

Streams: 行政区划 (open) to `health` and, coming and going, to `health-b` and a third agent that is revoked and replaced;
区划管理明细 (conditional, two of its items) from a second agent to `health`.  What `health` has must be whole; what the others have
must be of the same stream, in order, with gaps only where their grant did not run."""
import collections, json, pathlib, re, signal, struct, subprocess, time

import entries as catalog
from space import mount, replace
from town import Failed, Feed, SLOW, SmallLog, Town, equal, wait_for
from city import Agent, Process, Witness
from data import ITEMS
from foundation import AUTHORITY, CIVIL, HEALTH, PURPOSE
from wire import Wires

QUORUM = 2
PATIENCE = 180
YOUNG = 3                               # seconds within which a program may not have come to listen to signals
PART = ("code", "name")                 # items of the conditional entry that are granted
SANITIZERS = ("ThreadSanitizer", "AddressSanitizer", "LeakSanitizer", "runtime error:")
FACTS = ("channel", "user", "approver", "resource", "resource_version", "items", "record_count", "payload_digest", "acquired_at", "method", "medium",
         "purpose", "provider", "consumer", "record_id")
# Beyond these something grows that should not: open files, anonymous memory (KiB), files in a program's directory.
FDS, MEMORY, FILES = 200, 256 << 10, 400


class Dial:
    """A number in a file that a preloaded library reads (tests/lib/shifted_clock.c, slow_disk.c)."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(4096))

    def set(self, value):
        with open(self.path, "r+b") as f:
            f.write(struct.pack("<q", value))


class Mirror(Process):
    """`shuyi audit mirror --follow`."""

    def __init__(self, storm, key):
        self.copy = storm.city.dir / "copy"
        super().__init__("mirror", [storm.city.bin("agent/cli/shuyi"), "audit", "mirror", self.copy, "--key", key, "--allow-volatile", "--anchor", storm.anchor,
                                    "--follow"], storm.city.dir / "mirror.log")
        self.env = {"SHUYI_PASSPHRASE_FILE": str(storm.city.passphrase), "SHUYI_DEMO_KEYS": "1", "SHUYI_AGENT": str(storm.center.socket)}


class Storm(Town):
    def __init__(self, build, mounted):
        self.mounted, self.wires, self.retired, self.acts, self.started = mounted, Wires(), [], [], {}
        self.suspended = collections.Counter()
        self.libraries = [str(pathlib.Path(build).resolve() / f"tests/lib/libshuyi-test-{n}.so") for n in ("shifted-clock", "slow-disk")]
        self.rigged = not self.sanitized(build)
        super().__init__(build, prepare=Storm.prepare)
        self.feeds = [self.feed, Feed(self.civil_b, self.part_resource)]
        self.feeds[1].source.random.seed(7)
        self.most = collections.defaultdict(lambda: collections.defaultdict(int))

    @staticmethod
    def sanitized(build):
        return b"__asan_init" in (pathlib.Path(build) / "broker/shuyi-broker").read_bytes()

    def prepare(self):
        self.wire_of, self.clocks, self.disks = {}, {}, {}
        if self.mounted:
            mount(self.directory / "broker" / "store", 1024 << 20)
            mount(self.directory / "civil" / "state", 256 << 20)
            mount(self.directory / "health", 512 << 20)
        self.rig(self.city.broker, self.directory / "broker")

    # ---- how it comes to be ----

    def rig(self, process, directory):
        """Its clock and its disk can be turned from now on."""
        self.clocks[process], self.disks[process] = Dial(directory / "clock"), Dial(directory / "delay")
        if self.rigged:
            process.env = {"LD_PRELOAD": ":".join(self.libraries), "SHIFTED_CLOCK": str(self.clocks[process].path), "SLOW_DISK": str(self.disks[process].path)}

    def start(self, agent):
        """Before an agent's first start it gets its wire."""
        if agent not in self.wire_of:
            self.wire_of[agent] = self.wires.lay(self.city.port)
            with open(agent.config, "a") as f:
                f.write(f"broker:\n  endpoint: tcp://127.0.0.1:{self.wire_of[agent].port}\n")
            self.rig(agent, agent.dir)
        agent.start()
        wait_for(f"the agent {agent.name} to be linked", agent.linked, PATIENCE)

    def build(self):
        self.witnesses = [Witness(self.city, name) for name in ("archive", "audit", "court")]
        self.anchor_more = {"witnesses": [w.vkey for w in self.witnesses], "witness_quorum": QUORUM}
        self.make_genesis()
        for w in self.witnesses:
            self.city.add(w.serve(self.anchor))
        self.start_center("base:\n  every_entries: 2000\nwitnesses:\n" + "".join(f"  - name: {w.full_name}\n    url: {w.url}\n" for w in self.witnesses))
        self.good_config = self.city.broker_config.read_text()
        self.config_more = {}
        self.publish_policy()
        self.departments()
        self.auditor = self.file_and_accept("auditor", "审计己", AUTHORITY, self.center, self.people["center_officer"], "AUDIT_OFFICER")
        self.civil_b = self.newcomer("civil-b", CIVIL)
        self.health_b = self.newcomer("health-b", HEALTH)
        resource = self.approve(self.submit("entry", self.entry())["digest"])
        self.part_resource, self.part_grant = self.conditional()
        grant = self.get(resource, self.health)["digest"]
        self.resource, self.purpose = resource, PURPOSE
        self.get(resource, self.health_b)
        for g in (grant, self.part_grant):
            self.wait_live(g)
        self.guest = None
        self.mirror = self.city.add(Mirror(self, self.auditor.key).start())
        return resource, grant

    def newcomer(self, name, department):
        """A further agent by FILE and ACCEPT; it counts among the processes once it is linked."""
        by, officer = (self.civil, "civil_officer") if department == CIVIL else (self.health, "health_officer")
        agent = Agent(self.city, name, department, True)
        self.init_agent(agent, name)
        filing = self.city.act(by, self.people[officer], "agent", "file", agent.dir / "agent.join")
        self.city.act(self.center, self.people["sec"], "agent", "accept", filing["digest"], "--like", self.welcome, "--welcome", agent.dir / "welcome")
        agent.configure(agent.dir / "welcome")
        try:
            self.start(agent)
            agent.id = agent.agent_id()
        except BaseException:
            self.retire(agent)
            raise
        return self.city.add(agent)

    def retire(self, agent):
        """It counts no more."""
        self.retired.append(agent)
        if agent in self.city.processes:
            self.city.processes.remove(agent)
        if agent.process:
            agent.kill()

    def conditional(self):
        """The second entry, pushed by the second agent: applied for, consented to in part."""
        path = self.city.dir / "conditional.json"
        path.write_text(json.dumps(catalog.conditional(self.entry()), ensure_ascii=False))
        officer, approver = self.people["civil_officer"], self.people["civil_approver"]
        matter = self.city.two(self.civil, officer, approver, "catalog", "submit", path, "--agent-id", self.civil_b.agent_id())["digest"]
        resource = self.approve(matter)
        request = self.city.two(self.health, self.people["user"], self.people["approver"], "request", "submit", resource, "--items", "1-4", "--purpose", PURPOSE,
                                "--agent-id", self.health.agent_id(), "--need", "网格与区划对应")
        return resource, self.city.two(self.civil, officer, approver, "request", "consent", request["digest"], "--items", "1,2",
                                       "--refuse-items", "3:R_EXCESS,4:R_EXCESS")["digest"]

    # ---- configuration ----

    def configure(self, **more):
        """Sets or takes away (None) sections of the broker's configuration, and tells it."""
        self.config_more.update(more)
        replace(self.city.broker_config, self.good_config + "".join(v for v in self.config_more.values() if v))
        self.hang_up()

    def hang_up(self):
        if self.city.broker.alive() and time.monotonic() > self.started.get(self.city.broker, 0) + YOUNG:
            self.city.broker.process.send_signal(signal.SIGHUP)

    # ---- looked at on the way ----

    def look(self):
        """What each program holds: open files, anonymous memory."""
        for p in list(self.city.processes):
            if not p.alive():
                continue
            try:
                fds = len(list(pathlib.Path(f"/proc/{p.process.pid}/fd").iterdir()))
                status = pathlib.Path(f"/proc/{p.process.pid}/status").read_text()
            except OSError:
                continue
            memory = int((re.search(r"RssAnon:\s+(\d+)", status) or [0, 0])[1])
            for what, value, bound in (("open files", fds, FDS), ("KiB of memory", memory, MEMORY)):
                self.most[p.name][what] = max(self.most[p.name][what], value)
                if value > bound and not (what.startswith("KiB") and not self.rigged):
                    raise Failed(f"{p.name} has {value} {what}")

    def seq(self):
        return int(self.city.metric("shuyi_log_synced_sequence"))

    # ---- the end: all is well again ----

    def calm(self):
        """Every program runs, every agent is linked and trusts, every subscription that may is live."""
        self.configure(space=None, link=None)
        for agent in self.wire_of:
            self.wire_of[agent].mend()
        for dial in (*self.clocks.values(), *self.disks.values()):
            dial.set(0)
        for p in self.city.processes:
            if not p.alive():
                p.start()
        if not self.city.ready():       # its clock may have been stopped by a step; that is for people to set right, or for a start
            wait_for("the broker to answer", lambda: self.city_answers() or not self.city.broker.alive(), PATIENCE)
            if not self.city.ready():
                time.sleep(2)
                if not self.city.ready():
                    self.city.broker.kill()
                    self.city.broker.start()
        wait_for("the broker to be ready", self.city.ready, PATIENCE)
        for a in self.agents():
            wait_for(f"the agent {a.name} to be linked", a.linked, PATIENCE)
            wait_for(f"the trust of {a.name} to be fresh", lambda: a.status().get("trust", {}).get("state") == "fresh", PATIENCE)

    def city_answers(self):
        try:
            return self.city.metric("shuyi_log_sequence") > 0
        except (OSError, ValueError):
            return False

    def resume_all(self):
        """Grants that people left suspended run again."""
        for row in self.grants():
            if row["state"] == "SUSPENDED":
                self.city.act(self.civil, self.people["civil_approver"], "grant", "resume", row["grant"])

    def grants(self):
        return self.city.shuyi("grant", "list", agent=self.health)

    def subscriptions(self):
        rows = self.city.shuyi("grant", "subscriptions", agent=self.health)
        gone = {getattr(a, "id", None) for a in self.retired}
        return [r for r in rows if r["state"] != "ENDED" and r.get("agent") not in gone]

    def settle_all(self):
        """Everything that was pushed is where it must be."""
        for feed in self.feeds:
            feed.pause()
        self.resume_all()
        try:
            wait_for("the subscriptions to be live", lambda: all(r["state"] == "LIVE" for r in self.subscriptions()), PATIENCE)
        except Failed:
            raise Failed(f"not all subscriptions are live: {self.subscriptions()}") from None
        for feed in self.feeds:         # so that each live stream has a last record
            feed.push([feed.source.change() for _ in range(3)])
        total = sum(len(f.expected) for f in self.feeds)
        wait_for(f"{total} records at the consumer", lambda: self.lines() >= total, PATIENCE)
        for feed in self.feeds:
            wait_for("the last push to be received by the center", lambda: self.state_of(feed, -1) == "received", PATIENCE)
            states = {self.state_of(feed, i) for i in range(0, len(feed.pushes), 1 + len(feed.pushes) // 40)}
            equal(states, {"received"}, "states of pushes")

    def state_of(self, feed, index):
        status, answer = feed.agent.call("GET", f"/v1/pushes/{feed.pushes[index]}")
        equal(status, 200, "a push that was taken is known")
        return answer["state"]

    # ---- what arrived ----

    def by_grant(self, agent):
        found = collections.defaultdict(list)
        for row in agent.lines():
            found[row["grant"]].append(row)
        return found

    @staticmethod
    def record(row):
        return row["op"], row["key"], row["values"] if row["op"] == "UPSERT" else None

    def sinks_equal_their_sources(self):
        whole = self.by_grant(self.health)
        for grant, feed, items in ((self.grant, self.feeds[0], ITEMS), (self.part_grant, self.feeds[1], PART)):
            rows = whole.pop(grant)
            expected = [(op, key, values and {k: values[k] for k in items}) for op, key, values in feed.expected]
            for i, (row, record) in enumerate(zip(rows, expected)):
                if self.record(row) != record:
                    raise Failed(f"record {i + 1} of {grant[:12]} is {row}, pushed was {record}")
            equal(len(rows), len(expected), f"records of {grant[:12]}")
            self.in_order(rows)
            held = {}
            for op, key, values in map(self.record, rows):
                held.pop(key, None) if op == "DELETE" else held.__setitem__(key, values)
            equal(held, {code: {k: row[k] for k in items} for code, row in feed.source.rows.items()}, "rows at the consumer")
            if grant == self.grant:
                places = {(r["stream_seq"], r["index"]): self.record(r) for r in rows}
        equal(list(whole), [], "grants that health was never given")
        order = {place: n for n, place in enumerate(sorted(places))}
        live = {r["grant"] for r in self.subscriptions()}
        for agent in (*self.comers(), *self.retired):
            for grant, rows in self.by_grant(agent).items():
                self.part_of_the_stream(f"{grant[:12]} at {agent.name}", rows, places, order, self.suspended[grant])
                if grant in live:
                    wait_for(f"the last record at {agent.name}", lambda: (lines := self.by_grant(agent)[grant]) and self.place(lines[-1]) == max(places), PATIENCE)

    def comers(self):
        """Who comes and goes and is there now."""
        return (self.health_b, *([self.guest] if self.guest else []))

    @staticmethod
    def place(row):
        return row["stream_seq"], row["index"]

    def part_of_the_stream(self, what, rows, places, order, gaps):
        """In order, as the stream has it, whole updates; with no more gaps than it was suspended."""
        for r in rows:
            if places.get(self.place(r)) != self.record(r):
                raise Failed(f"{what}: {r}; the stream has {places.get(self.place(r))}")
        for a, b in zip(rows, rows[1:]):
            before, after = self.place(a), self.place(b)
            if order[after] <= order[before]:
                raise Failed(f"{what}: {after} follows {before}")
            if order[after] != order[before] + 1:
                gaps -= 1
                if gaps < 0 or after[1] != 0 or (before[0], before[1] + 1) in order:
                    raise Failed(f"{what}: {after} follows {before}, and between them is something")

    @staticmethod
    def in_order(rows):
        for a, b in zip(rows, rows[1:]):
            before, place = (a["stream_seq"], a["index"]), (b["stream_seq"], b["index"])
            if place != (before[0], before[1] + 1) and not (place[0] > before[0] and place[1] == 0):
                raise Failed(f"{place} follows {before}")

    # ---- acts, receipts, proofs ----

    def acts_stand(self):
        """Each act that an agent took has its receipt, and the log its entry."""
        for agent, digest in self.acts:
            if agent in self.retired:
                continue
            def received():
                answer = self.act_state(agent, digest)
                return answer if answer["state"] == "received" else None
            self.standing[digest] = (agent, wait_for(f"the receipt of {digest}", received, PATIENCE))
            if self.standing[digest][1]["seq"]:
                self.entries[digest] = self.read_entry(digest)
                self.entry_is_the_receipts(digest)
        refused = [d for d, (_, r) in self.standing.items() if not r["seq"]]
        for digest in refused:
            del self.standing[digest]

    def nothing_alarms(self):
        for a in self.agents():
            wait_for(f"what {a.name} sent to be proved", lambda: a.status().get("proof", {}).get("receipts_waiting") == 0, PATIENCE)
            status, answer = a.call("GET", "/v1/alarms")
            equal((status, answer["alarms"]), (200, []), f"alarms of {a.name}")
            equal(a.status()["outbox"]["dead_letters"], 0, f"dead letters of {a.name}")

    def uses(self, agent, grant):
        rows, after = {}, 0
        while page := agent.call("GET", f"/v1/uses/{grant}?after={after}")[1]["uses"]:
            rows.update({r["stream_seq"]: r for r in page})
            after = page[-1]["stream_seq"]
        return rows

    def search(self, grant):
        return {r["stream_seq"]: r for r in self.city.shuyi("audit", "search", "--grant", grant, "--key", self.auditor.key, agent=self.center)}

    def uses_are_acquisitions(self):
        """R-153: the consumer's record of its uses and the center's of what was acquired."""
        totals = {self.grant: len(self.feeds[0].expected), self.part_grant: len(self.feeds[1].expected)}
        for grant, total in totals.items():
            center = wait_for(f"all deliveries of {grant[:12]} in the center's record",
                              lambda: (rows := self.search(grant)) and sum(r["record_count"] for r in rows.values()) >= total and rows, PATIENCE)
            own = self.uses(self.health, grant)
            equal(sum(r["record_count"] for r in center.values()), total, f"records acquired under {grant[:12]}")
            equal(sorted(center), sorted(own), f"links used under {grant[:12]}")
            self.rows_agree(center, own, grant)
        live = {r["grant"] for r in self.subscriptions()}
        for agent in self.comers():
            for grant in self.by_grant(agent):
                own = self.uses(agent, grant)
                if grant in live:
                    wait_for(f"the uses under {grant[:12]} in the center's record", lambda: sorted(self.search(grant)) == sorted(own), PATIENCE)
                self.rows_agree(self.search(grant), own, grant)

    def rows_agree(self, center, own, grant):
        for seq, row in center.items():
            differ = [f for f in FACTS if row.get(f) != own.get(seq, {}).get(f)]
            if differ:
                raise Failed(f"link {seq} of {grant[:12]}: the two records differ in {differ}: {row} / {own.get(seq)}")

    def witnesses_have_the_newest(self):
        size = self.seq()
        def seen():
            return sum(w.size() >= size for w in self.witnesses) >= QUORUM
        wait_for(f"{QUORUM} witnesses to have cosigned {size}", seen, PATIENCE)

    # ---- stores ----

    def mirror_equals_the_broker(self):
        """The mirror follows to the end; then its state and the broker's at the same seq have one digest."""
        self.mirror.stop()
        equal(self.mirror.process.returncode, 0, f"the mirror, asked to end: {self.mirror.log.read_text(errors='replace')[-1500:]}")
        arguments = [a for a in self.mirror.arguments if a != "--follow"] + ["--json"]
        for _ in range(6):
            code, out, err = self.city.run(arguments, self.center)
            equal(code, 0, f"the mirror: {out}{err}")
            mine = json.loads([x for x in out.splitlines() if x.startswith("{")][-1])
            self.city.broker.kill()
            found = re.search(r"replayed seq=(\d+) rows=(\d+) effects=\w+ state=(\w+)", self.store_holds("check"))
            if int(found[1]) == mine["seq"]:
                equal((mine["rows"], mine["state"]), (int(found[2]), found[3]), "state of the mirror")
                return
            self.city.broker.start()
            wait_for("the broker to be ready", self.city.ready, PATIENCE)
            wait_for("the auditor's agent to be linked", self.center.linked, PATIENCE)
        raise Failed("the mirror never stood where the broker stopped")

    def store_holds(self, how):
        code, out, err = self.city.run([self.city.bin("broker/shuyi-broker"), how, "--config", self.city.broker_config])
        equal(code, 0, f"shuyi-broker {how}: {out}{err}")
        return out

    def nothing_was_said(self):
        """No sanitizer, no assertion, and no line that calls for a person."""
        for process in (*self.city.processes, *self.retired):
            text = process.log.read_text(errors="replace") if process.log.exists() else ""
            for mark in (*SANITIZERS, "Assertion", '"level":"critical"'):
                if mark in text:
                    raise Failed(f"{process.name}: {text[max(0, text.index(mark) - 300):][:3000]}")
        for name in ("broker/store", "civil/state", "civil-b/state", "health/state", "health-b/state", "authority/state", "copy"):
            files = sum(p.is_file() for p in (self.directory / name).rglob("*") if "log" not in p.parts)
            self.most[name]["files"] = files
            if files > FILES:
                raise Failed(f"{name} has {files} files")

    def clear(self):
        try:
            for feed in getattr(self, "feeds", []):
                feed.ending = True
            self.wires.end()
            for p in (*self.city.processes, *self.retired):
                if p.alive():
                    p.process.send_signal(signal.SIGCONT)
            self.city.stop()
        finally:
            if self.mounted:
                for name in ("broker/store", "civil/state", "health"):
                    subprocess.run(["umount", self.directory / name], capture_output=True)
            self.end()
