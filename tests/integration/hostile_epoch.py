"""hostile, epochs: grants end and come back in mid-stream, so that links sealed under a closed epoch meet its end at the broker.

They are refused STALE_EPOCH, sealed again under the next epoch, and nothing is lost, doubled or out of order for who still has a
grant; who has none gets nothing of that time.  Usage: hostile_epoch.py SHUYI SHUYI_BROKER SHUYI_AGENT"""
import pathlib, shutil, sys, tempfile, threading, time

root = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(root / "tests" / "lib"), str(root / "deploy" / "demo.d")]
sys.dont_write_bytecode = True

import tap
from city import City, wait_for
from foundation import Foundation

SHUYI, BROKER, AGENT = (str(pathlib.Path(p).resolve()) for p in sys.argv[1:4])
AT = "2026-02-12T02:00:00.000Z"
TOGGLES = 25


class Town(Foundation):
    def __init__(self):
        super().__init__(City(pathlib.Path(BROKER).parents[1], tempfile.mkdtemp(prefix="shuyi-epoch-")))
        self.resource, self.grant = self.build()
        self.second = self.further_agent("health-b", "卫健局第二代理")
        self.other = self.get(self.resource, self.second)["digest"]
        self.wait_live(self.other)
        self.pushed, self.done, self.fault = 0, False, None

    def feed(self):
        """A business system that never rests: one record a push."""
        try:
            while not self.done:
                values = {"code": f"{442000000 + self.pushed}", "name": "示例", "level": "town", "parent": None}
                status, answer = self.civil.call("POST", f"/v1/resources/{self.resource}/records", {"records": [{"op": "UPSERT", "changed_at": AT, "values": values}]})
                tap.equal(status, 202, answer)
                self.pushed += 1
        except BaseException as fault:
            self.fault = fault

    def keys(self, agent):
        return [r["key"] for r in agent.lines()]

    def stale(self):
        return self.city.metric("shuyi_refused_total", code="STALE_EPOCH")

    def end(self):
        self.city.stop()
        shutil.rmtree(self.city.dir)


def test_links_of_a_closed_epoch_are_sealed_again_and_nothing_is_lost(t):
    approver, feeder = t.people["civil_approver"], threading.Thread(target=t.feed)
    feeder.start()
    toggles = 0
    while toggles < TOGGLES and (toggles < 3 or t.stale() == 0):
        t.city.act(t.civil, approver, "grant", "suspend", t.other)
        t.city.act(t.civil, approver, "grant", "resume", t.other)
        toggles += 1
    time.sleep(0.2)
    t.done = True
    feeder.join()
    if t.fault:
        raise t.fault
    expected = [f"{442000000 + i}" for i in range(t.pushed)]
    wait_for("all records at the one who kept its grant", lambda: len(t.keys(t.health)) >= t.pushed)
    print(f"# {toggles} suspensions, {t.pushed} records, {int(t.stale())} refused STALE_EPOCH", flush=True)
    tap.equal(t.keys(t.health), expected)
    tap.equal(t.stale() > 0, True, "no link met the end of its epoch")


def test_the_other_one_has_gaps_where_it_had_no_grant_but_no_double(t):
    wait_for("the second subscription to be LIVE again", lambda: any(r["grant"] == t.other and r["state"] == "LIVE" for r in t.city.shuyi("grant", "subscriptions", agent=t.second)))
    keys = t.keys(t.second)
    tap.equal(keys, sorted(set(keys)))
    tap.equal(0 < len(keys) <= t.pushed, True, len(keys))


def test_the_log_derives_again(t):
    t.city.stop()
    for how in (["check"], ["--replay"]):
        code, out, err = t.city.run([BROKER, *how, "--config", t.city.broker_config])
        tap.equal(code, 0, out + err)


tap.run(globals(), Town, Town.end)
