"""A thousand agents of one department: joined by FILE and ACCEPT, held by the program of the same name."""
import concurrent.futures, contextlib, os, subprocess

from city import Agent, Failed, wait_for
from foundation import HEALTH

AGENTS, DEAD, HOSTILE = 1000, 50, 50
AT_ONCE = 2 * (os.cpu_count() or 1)
UP_S = 300


class Crowd:
    def __init__(self, exchange):
        self.x, self.f, self.city = exchange, exchange.foundation, exchange.city
        self.list = exchange.dir / "crowd.list"

    def join_one(self, i):
        f, agent = self.f, Agent(self.city, f"crowd-{i}", HEALTH)
        f.init_agent(agent, f"代理{i}")
        filing = self.city.act(f.health, f.people["health_officer"], "agent", "file", agent.dir / "agent.join")
        self.city.act(f.center, f.people["sec"], "agent", "accept", filing["digest"], "--like", f.welcome, "--welcome", agent.dir / "welcome")
        agent.configure(agent.dir / "welcome")
        return agent.config

    def join(self):
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            configs = list(pool.map(self.join_one, range(AGENTS)))
        self.list.write_text("".join(f"{c}\n" for c in configs))

    @contextlib.contextmanager
    def connected(self, dead=0, hostile=0):
        p = subprocess.Popen([self.x.build / "tests/bench/crowd", "--dead", str(dead), "--hostile", str(hostile), self.list],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if p.stdout.readline() != "up\n":
                raise Failed("the crowd did not connect")
            wait_for("all links to be open", lambda: self.city.metric("shuyi_links") >= AGENTS - hostile, UP_S)
            yield
        finally:
            p.stdin.close()
            p.wait(30)
