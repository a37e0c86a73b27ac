"""People at work while everything breaks: filings, grants suspended and resumed, ended and given again, an agent revoked and replaced.

What they try may fail as long as it fails in order; what an agent took for the center is remembered and must stand at the end."""
import json, threading

from foundation import HEALTH
from town import Failed

WRONG_CODES = (2, 6)                    # never right here: a wrong command line, a check that found something


class People:
    def __init__(self, storm, random):
        self.storm, self.random, self.ending, self.fault, self.done, self.guests = storm, random, threading.Event(), None, {}, 0
        self.thread = threading.Thread(target=self.run, daemon=True)

    def begin(self):
        self.thread.start()

    def end(self):
        """What is under way comes to its end, for everything runs again."""
        self.ending.set()
        self.thread.join(600)
        if self.fault:
            raise self.fault
        if self.thread.is_alive():
            raise Failed("somebody's command does not come to an end")

    def run(self):
        doings = (self.file_staff, self.file_staff, self.suspend_and_resume, self.end_and_get, self.change_guest, self.search)
        try:
            while not self.ending.wait(self.random.uniform(0.2, 1.5)):
                doing = self.random.choice(doings)
                try:
                    doing()
                    self.done[doing.__name__] = self.done.get(doing.__name__, 0) + 1
                except Away as why:
                    self.done["failed"] = self.done.get("failed", 0) + 1
                    print(f"# people: {doing.__name__}: {why}", flush=True)
        except BaseException as fault:
            self.fault = fault

    # ---- commands that may fail in order ----

    def shuyi(self, agent, *arguments, expect=(0,)):
        city = self.storm.city
        code, out, err = city.run([city.bin("agent/cli/shuyi"), *arguments, "--json"], agent)
        if code < 0 or code in WRONG_CODES:
            raise Failed(f"shuyi {' '.join(map(str, arguments))} ended with {code}:\n{out}{err}")
        if code not in expect:
            raise Away(f"{arguments[0]} {arguments[1]}: {code} {(err or out).strip().splitlines()[-1:]}")
        values = [json.loads(line) for line in out.splitlines() if line.startswith(("{", "["))]
        return values[-1] if values else {}

    def act(self, agent, nick, *arguments, role=None):
        """Sent or kept (4): either way it must come to the log.  5: a draft."""
        more = ["--as", role] if role else []
        answer = self.shuyi(agent, *arguments, "--key", self.storm.people[nick].key, "--yes", "--wait", "15", *more, expect=(0, 4, 5))
        if "draft" not in answer:
            self.storm.acts.append((agent, answer["digest"]))
        return answer

    def two(self, agent, first, second, *arguments):
        draft = self.act(agent, first, *arguments)["draft"]
        return self.act(agent, second, "draft", "sign", draft)

    # ---- what they do ----

    def file_staff(self):
        agent = self.random.choice((self.storm.civil, self.storm.health))
        prepared, _, words = self.storm.prepare_act(agent)
        self.act(agent, "civil_officer" if agent is self.storm.civil else "health_officer", *words)

    def active_grant(self, agent):
        rows = self.shuyi(self.storm.health, "grant", "list")
        steady = (self.storm.grant, self.storm.part_grant)
        found = [r["grant"] for r in rows if r["state"] == "ACTIVE" and r["grant"] not in steady and r.get("agent", agent.id) == agent.id]
        return self.random.choice(found) if found else None

    def suspend_and_resume(self):
        storm = self.storm
        grant = self.active_grant(storm.health_b)
        if not grant:
            return self.get_again(storm.health_b)
        storm.suspended[grant] += 1
        self.act(storm.civil, "civil_approver", "grant", "suspend", grant)
        self.ending.wait(self.random.uniform(0, 3))
        self.act(storm.civil, "civil_approver", "grant", "resume", grant)

    def end_and_get(self):
        grant = self.active_grant(self.storm.health_b)
        if grant:
            self.act(self.storm.health, "approver", "grant", "end", grant)
        self.get_again(self.storm.health_b)

    def get_again(self, agent):
        self.two(self.storm.health, "user", "approver", "request", "get", self.storm.resource, "--items", "1-4", "--purpose", self.storm.purpose, "--agent-id", agent.id)

    def change_guest(self):
        """The third consumer's agent is revoked; another one comes in its place."""
        storm = self.storm
        if storm.guest:
            rows = self.shuyi(storm.center, "agent", "list")
            credential = next((a["credential"] for a in rows if a["agent"] == storm.guest.id), None)
            if credential is None:
                raise Away("the guest is not in the list")
            try:
                self.act(storm.center, "sec", "agent", "revoke", credential, role="SEC_ADMIN")
            finally:                    # it may be revoked even if the command could not say so
                guest, storm.guest = storm.guest, None
                storm.retire(guest)
        self.guests += 1
        try:
            guest = storm.newcomer(f"guest-{self.guests}", HEALTH)
        except (Failed, OSError, KeyError) as why:
            raise Away(f"newcomer: {str(why).splitlines()[0]}") from None
        storm.guest = guest
        self.get_again(guest)

    def search(self):
        rows = self.shuyi(self.storm.center, "audit", "search", "--grant", self.storm.grant, "--key", self.storm.auditor.key)
        if not isinstance(rows, list):
            raise Failed(f"a search answers {rows}")


class Away(Exception):
    """It could not be done now."""
