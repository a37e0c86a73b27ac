"""How a city comes to be: keys, genesis, policy, departments, staff, agents, a published entry, a live subscription.

The story tells it step by step; tests and benchmarks begin where it ends."""
import json, pathlib

import entries
from city import DOMAIN, Agent, Failed, Person, Witness, wait_for

AUTHORITY, CIVIL, HEALTH = "11442000MX00000197", "11442000MX00000272", "11442000MX0000035W"
PURPOSE = "公共卫生服务网格划分"
DEPLOY = pathlib.Path(__file__).parents[1]


class Foundation:
    anchor_more = {}                    # further keys of the specification that the anchor is made from

    def __init__(self, city):
        self.city = city
        self.people = {}

    # ---- people and keys ----

    def person(self, nick, name, department, *roles):
        p = Person(self.city, name, department, list(roles))
        self.city.shuyi("key", "new", p.key, "--join", p.join, "--domain", DOMAIN, "--department", department, "--label", name)
        self.people[nick] = p
        return p

    def file_and_accept(self, nick, name, department, agent, officer, *roles, person_id=None):
        """SM-STAFF 1 and 2: the department files, the authority accepts."""
        p = self.person(nick, name, department, *roles)
        filing = self.city.act(agent, officer, "staff", "file", p.join, "--staff", p.staff_file)
        more = ["--person", person_id] if person_id else []
        self.city.act(self.center, self.people["sec"], "staff", "accept", filing["digest"], *more)
        return p

    def person_id(self, name):
        for row in self.city.shuyi("staff", "list", agent=self.center):
            if row["staff"]["name"] == name:
                return row["person"]
        raise Failed(f"{name} is not in the published list of staff")

    # ---- machines ----

    def init_agent(self, agent, label):
        agent.dir.mkdir(exist_ok=True)
        self.city.shuyi("agent", "init", agent.dir, "--domain", DOMAIN, "--department", agent.department, "--label", label)

    def start(self, agent):
        agent.start()
        wait_for(f"the agent {agent.name} to be linked (see {agent.log})", agent.linked)

    def appoint_witnesses(self, names, quorum):
        """Bodies that watch the log: their keys go into the anchor that make_genesis() makes."""
        self.witnesses = [self.city.add(Witness(self.city, name)) for name in names]
        self.anchor_more = {"witnesses": [w.vkey for w in self.witnesses], "witness_quorum": quorum}

    def serve_witnesses(self):
        """They begin to serve; the lines of broker.yaml that name them."""
        for w in self.witnesses:
            w.serve(self.anchor)
        return "witnesses:\n" + "".join(f"  - name: {w.full_name}\n    url: {w.url}\n" for w in self.witnesses)

    def make_genesis(self):
        """Root, broker and log keys, the authority's first officers and agent; what the broker starts from."""
        city = self.city
        city.shuyi("key", "new", city.dir / "root.key", "--use", "ROOT")
        city.shuyi("key", "new", city.dir / "broker" / "broker.key", "--use", "BROKER", "--join", city.dir / "broker" / "broker.join", "--domain", DOMAIN)
        city.shuyi("key", "new", city.dir / "broker" / "log.key", "--use", "LOG")
        self.center = city.add(Agent(city, "authority", AUTHORITY))
        self.init_agent(self.center, "主管部门代理")
        first = (self.person("sec", "安管甲", AUTHORITY, "SEC_ADMIN"), self.person("center_officer", "专员乙", AUTHORITY, "DATA_OFFICER"),
                 self.person("operator", "操作丙", AUTHORITY, "DATA_OPERATOR"))
        self.origin = f"{DOMAIN}.shuyi.example/log"
        spec = {
            "domain": DOMAIN, "threshold": 1, "demo": True, "origin": self.origin, "log_key": str(city.dir / "broker" / "log.key"),
            "broker_join": str(city.dir / "broker" / "broker.join"), "endpoint": city.endpoint,
            "department": {"code": AUTHORITY, "name": "中山市政务数据主管部门", "dept_class": "GOV_DEPT", "applies": "MUST"},
            "persons": [{"join": str(p.join), "staff": p.staff} for p in first],
            "agents": [{"join": str(self.center.dir / "agent.join")}], **self.anchor_more,
        }
        (city.dir / "authority.json").write_text(json.dumps(spec, ensure_ascii=False))
        self.genesis_file, self.anchor, self.welcome = city.dir / "genesis.shuyi", city.dir / "anchor.shuyi", city.dir / "authority" / "welcome"
        city.shuyi("authority", "init", city.dir / "authority.json", city.dir / "root.key", "--genesis", self.genesis_file,
                   "--anchor", self.anchor, "--welcome", self.welcome)

    def start_center(self, more=""):
        """The broker takes the genesis and runs; the authority's agent links up.  `more`: further lines of broker.yaml."""
        city = self.city
        city.configure_broker(DOMAIN, self.origin, more)
        code, out, err = city.run([city.bin("broker/shuyi-broker"), "init", "--config", city.broker_config, self.genesis_file])
        if code:
            raise Failed(f"shuyi-broker init: {out}{err}")
        city.broker.start()
        wait_for("the broker to be ready", city.ready)
        self.center.configure(self.welcome)
        self.start(self.center)

    def publish_policy(self):
        for verb, path in (("publish", DEPLOY / "policies" / "zs.conf"), ("calendar", DEPLOY / "calendar" / "cn-holidays.csv")):
            self.city.two(self.center, self.people["sec"], self.people["operator"], "policy", verb, path)

    def department(self, name, code, agent_name, officer_nick, officer_name, sink=False):
        """DEPARTMENT, signed by the root, with the first DATA_OFFICER and the first agent out of its join file."""
        city = self.city
        agent = city.add(Agent(city, agent_name, code, sink))
        self.init_agent(agent, f"{name}代理")
        officer = self.person(officer_nick, officer_name, code, "DATA_OFFICER")
        spec = {"domain": DOMAIN, "department": {"code": code, "name": name, "dept_class": "GOV_DEPT", "applies": "MUST"},
                "persons": [{"join": str(officer.join), "staff": officer.staff}], "agents": [{"join": str(agent.dir / "agent.join")}]}
        (agent.dir / "department.json").write_text(json.dumps(spec, ensure_ascii=False))
        city.shuyi("department", "new", agent.dir / "department.json", city.dir / "root.key", "--like", self.welcome,
                   "--out", agent.dir / "department.act", "--welcome", agent.dir / "welcome")
        city.shuyi("department", "submit", agent.dir / "department.act", agent=self.center)
        agent.configure(agent.dir / "welcome")
        self.start(agent)
        return agent

    def departments(self):
        people = self.people
        self.civil = self.department("中山市民政局", CIVIL, "civil", "civil_officer", "民政专员丁")
        self.health = self.department("中山市卫生健康局", HEALTH, "health", "health_officer", "卫健专员戊", True)
        self.file_and_accept("civil_approver", "民政批准庚", CIVIL, self.civil, people["civil_officer"], "APPROVER")
        self.file_and_accept("user", "卫健使用辛", HEALTH, self.health, people["health_officer"], "USER")
        self.file_and_accept("approver", "卫健批准壬", HEALTH, self.health, people["health_officer"], "APPROVER")

    def further_agent(self, name, label):
        """A further agent of 卫生健康局 comes by FILE and ACCEPT."""
        city = self.city
        agent = city.add(Agent(city, name, HEALTH, True))
        self.init_agent(agent, label)
        filing = city.act(self.health, self.people["health_officer"], "agent", "file", agent.dir / "agent.join")
        city.act(self.center, self.people["sec"], "agent", "accept", filing["digest"], "--like", self.welcome, "--welcome", agent.dir / "welcome")
        agent.configure(agent.dir / "welcome")
        self.start(agent)
        return agent

    # ---- catalog and grants ----

    def entry(self):
        contact = self.person_id("民政专员丁")
        return entries.entry(CIVIL, contact, contact, self.person_id("民政批准庚"))

    def submit(self, name, entry, matter=None, expect=(0,)):
        path = self.city.dir / f"{name}.json"
        path.write_text(json.dumps(entry, ensure_ascii=False, indent=1))
        more = ["--matter", matter] if matter else []
        return self.city.two(self.civil, self.people["civil_officer"], self.people["civil_approver"], "catalog", "submit", path,
                             "--agent-id", self.civil.agent_id(), *more, expect=expect)

    def approve(self, matter):
        """Publishes a submitted entry; its resource code."""
        self.city.act(self.center, self.people["operator"], "catalog", "approve", matter)
        for row in self.city.shuyi("catalog", "matters", "--all", agent=self.center):
            if row["matter"] == matter:
                return row["resource"]
        raise Failed("the matter is gone")

    def get(self, resource, agent, items="1-4", people=("user", "approver"), expect=(0,), roles=(None, None)):
        return self.city.two(self.health, self.people[people[0]], self.people[people[1]], "request", "get", resource, "--items", items,
                             "--purpose", PURPOSE, "--agent-id", agent.agent_id(), expect=expect, roles=roles)

    def wait_live(self, grant):
        def live():
            return any(r["grant"] == grant and r["state"] == "LIVE" for r in self.city.shuyi("grant", "subscriptions", agent=self.health))
        wait_for(f"subscription {grant[:12]} to be LIVE", live)

    def build(self, more=""):
        """All of it: a city with 行政区划 published and one live subscription.  Answers (resource, grant)."""
        self.make_genesis()
        self.start_center(more)
        self.publish_policy()
        self.departments()
        resource = self.approve(self.submit("entry", self.entry())["digest"])
        grant = self.get(resource, self.health)["digest"]
        self.wait_live(grant)
        return resource, grant
