"""A small city of real processes with one live subscription: 民政局 provides, 卫生健康局 receives into NDJSON."""
import pathlib, shutil, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy" / "demo.d"))
from city import City, UnixConnection, wait_for
from foundation import Foundation

AT = "2026-02-12T02:00:00.000Z"


def record(code, name="示例", op="UPSERT", **more):
    values = {"code": code} if op == "DELETE" else {"code": code, "name": name, "level": "town", "parent": None}
    return {"op": op, "changed_at": AT, "values": {**values, **more}}


class Town(Foundation):
    """A small city with one live subscription, and the provider's agent as the one under test."""

    def __init__(self, program):
        self.tmp = tempfile.mkdtemp(prefix="shuyi-agent-")
        super().__init__(City(pathlib.Path(program).resolve().parents[1], self.tmp))
        self.resource, self.grant = self.build()
        self.path = f"/v1/resources/{self.resource}/records"

    def push(self, records, key=None, agent=None):
        return (agent or self.civil).call("POST", self.path, {"records": records}, {"Idempotency-Key": key} if key else None)

    def state(self, push):
        return self.civil.call("GET", f"/v1/pushes/{push}")[1]["state"]

    def lines(self):
        return self.health.lines()

    def keys(self, prefix):
        return [r["key"] for r in self.lines() if r["key"].startswith(prefix)]

    def arrived(self, prefix, n):
        return wait_for(f"{n} records {prefix}…", lambda: len(self.keys(prefix)) >= n and self.keys(prefix))

    def raw(self, method, path, body, headers):
        connection = UnixConnection(self.civil.socket)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def away(self):
        """The broker goes; the agent notices."""
        self.city.broker.kill()
        wait_for("the agent to notice", lambda: self.civil.status()["link"] != "up")

    def away_broker_only(self):
        """The broker goes while the agent under test is stopped."""
        self.city.broker.kill()

    def back(self):
        self.city.broker.start()
        wait_for("the agent to be linked again", self.civil.linked)
        wait_for("the consumer's agent to be linked again", self.health.linked)

    def end(self):
        for p in self.city.processes:
            p.stop()
        shutil.rmtree(self.tmp)
