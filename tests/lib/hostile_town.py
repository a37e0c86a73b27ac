"""A town whose center has been taken over: its broker is tests/lib/hostile_broker.c, which lies when it is told to; all others are real.

A witness whose cosignature the anchor demands, three agents, an auditor with a mirror, and one live subscription.  The town can be put
back to what it was when it was whole: each lie meets the same town."""
import json, os, pathlib, re, shutil, signal, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "deploy" / "demo.d")]
sys.dont_write_bytecode = True

from city import City, Failed, Witness, wait_for
from data import now
from foundation import AUTHORITY, DEPLOY, Foundation

POLICY = {"trust_head_s": 10, "trust_max_age_s": 60, "trust_max_age_personal_s": 60}    # the shortest that a policy may say
LATE_S = 5                                                                              # as proof.late


class HostileCity(City):
    def bin(self, name):
        return self.build / ("tests/lib/hostile-broker" if name == "broker/shuyi-broker" else name)


class HostileTown(Foundation):
    def __init__(self, build):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="shuyi-hostile-"))
        self.whole, self.lie_file = self.dir / "whole", self.dir / "lie"
        os.environ["HOSTILE_LIE"] = str(self.lie_file)
        super().__init__(HostileCity(build, self.dir / "town"))
        self.city.map_bytes = "64MiB"
        self.witness = Witness(self.city, "archive")
        self.anchor_more = {"witnesses": [self.witness.vkey], "witness_quorum": 1}
        self.make_genesis()
        self.city.add(self.witness.serve(self.anchor))
        wait_for("the witness to serve", self.witness.up)
        self.start_center(f"witnesses:\n  - name: {self.witness.full_name}\n    url: {self.witness.url}\n")
        self.publish_policy()
        self.departments()
        self.resource = self.approve(self.submit("entry", self.entry())["digest"])
        self.grant = self.get(self.resource, self.health)["digest"]
        self.wait_live(self.grant)
        self.auditor = self.file_and_accept("auditor", "审计己", AUTHORITY, self.center, self.people["center_officer"], "AUDIT_OFFICER")
        self.agents = (self.center, self.civil, self.health)
        self.ids = {a.name: a.agent_id() for a in self.agents}
        self.code = 442000000000
        self.push()
        self.settle()
        self.spoilt, self.follower = False, None
        self.mirror(follow=False).wait(30)
        self.stop()
        shutil.copytree(self.city.dir, self.whole)
        self.start_all()

    def publish_policy(self):
        text = (DEPLOY / "policies" / "zs.conf").read_text(encoding="utf-8")
        for key, value in POLICY.items():
            text = re.sub(rf"(?m)^{key} = \d+", f"{key} = {value}", text)
        path = self.city.dir / "zs.conf"
        path.write_text(text, encoding="utf-8")
        for verb, document in (("publish", path), ("calendar", DEPLOY / "calendar" / "cn-holidays.csv")):
            self.city.two(self.center, self.people["sec"], self.people["operator"], "policy", verb, document)

    def start(self, agent):
        if "proof:" not in agent.config.read_text():
            with open(agent.config, "a", encoding="utf-8") as f:
                f.write(f"proof:\n  late: {LATE_S}s\n")
        super().start(agent)

    # ---- the town as a whole ----

    def stop(self):
        for process in reversed(self.city.processes):
            process.stop()

    def start_all(self):
        self.witness.start()
        self.city.broker.start()
        for agent in self.agents:
            agent.start()
        wait_for("the witness to serve", self.witness.up)
        wait_for("the broker to be ready", self.city.ready)
        for agent in self.agents:
            wait_for(f"{agent.name} to be linked", agent.linked)

    def restore(self):
        """Honest again, and as it was."""
        self.honest()
        self.stop()
        shutil.rmtree(self.city.dir)
        shutil.copytree(self.whole, self.city.dir)
        self.start_all()

    def fresh(self):
        """For a case of its own."""
        self.mirror_stop()
        if self.spoilt:
            self.restore()
        self.honest()
        self.spoilt = False

    def settle(self):
        """Everybody has a fresh head of all that happened, and what was receipted is proved."""
        for agent in self.agents:
            wait_for(f"{agent.name} to have it proved", lambda: (s := agent.status()) and s["trust"]["state"] == "fresh" and
                     s["trust"]["head_trust_seq"] == s["trust"]["trust_seq"] and s["proof"]["receipts_waiting"] == 0)

    def end(self):
        self.honest()
        self.mirror_stop()
        self.city.stop()
        shutil.rmtree(self.dir)

    # ---- lies ----

    def honest(self):
        for path in (self.lie_file, self.lie_file.with_suffix(".told")):
            path.unlink(missing_ok=True)
        time.sleep(0.05)                        # the broker looks every 20 ms

    def lie(self, *lies):
        """Names, each followed by the agent that is to be told it, or None: from now on; told() says since when somebody has heard it."""
        self.honest()
        new = self.lie_file.with_suffix(".new")
        new.write_text("".join(f"{name} {self.ids[agent.name] if agent else ''}\n" for name, agent in zip(lies[::2], lies[1::2])))
        new.rename(self.lie_file)
        time.sleep(0.05)

    def told(self):
        """When the lie was told first, in seconds; None: not yet."""
        path = self.lie_file.with_suffix(".told")
        lines = path.read_text().splitlines() if path.exists() else []
        return int(lines[0].split()[1]) / 1000 if lines else None

    # ---- what goes on in it ----

    def push(self, wait=True, records=1):
        before = len(self.health.lines())
        for _ in range(records):
            self.code += 1
            values = {"code": f"{self.code}", "name": "某村", "level": "village", "parent": None}
            status, answer = self.civil.call("POST", f"/v1/resources/{self.resource}/records",
                                             {"records": [{"op": "UPSERT", "changed_at": now(), "values": values}]})
            if status != 202:
                raise Failed(f"push: {status} {answer}")
            if records > 1:
                time.sleep(0.05)                # so that each is a link of its own
        if wait:
            wait_for("the records at the sink", lambda: len(self.health.lines()) >= before + records)

    def approver_act(self, verb, *more, expect=(0,)):
        """An act of the provider's approver about the grant."""
        return self.city.act(self.civil, self.people["civil_approver"], "grant", verb, self.grant, *more, expect=expect)

    def any_act(self):
        """A control act of a person, whatever becomes of it."""
        return self.city.act(self.civil, self.people["civil_approver"], "grant", "suspend", "ab" * 32, "--wait", "0", expect=(0, 3, 4))

    def alarms(self, agent):
        status, answer = agent.call("GET", "/v1/alarms")
        return [a["kind"] for a in answer["alarms"]]

    def metric(self, agent, name):
        text = agent.call("GET", "/metrics")[1]
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)

    # ---- the auditor ----

    def mirror(self, follow=True):
        """The auditor's mirror; its copy is put back with the town."""
        env = {**os.environ, "SHUYI_PASSPHRASE_FILE": str(self.city.passphrase), "SHUYI_DEMO_KEYS": "1", "SHUYI_AGENT": str(self.center.socket)}
        arguments = [self.city.bin("agent/cli/shuyi"), "audit", "mirror", self.city.dir / "copy", "--key", self.auditor.key, "--allow-volatile",
                     "--anchor", self.anchor, *(["--follow"] if follow else [])]
        with open(self.dir / "mirror.log", "w") as log:
            self.follower = subprocess.Popen([str(a) for a in arguments], env=env, stdout=subprocess.DEVNULL, stderr=log)
        return self.follower

    def mirror_stop(self):
        if self.follower and self.follower.poll() is None:
            self.follower.send_signal(signal.SIGTERM)
            self.follower.wait(20)

    def mirror_said(self):
        return (self.dir / "mirror.log").read_text()
