"""Lies that only time shows: what a center keeps back altogether, and a log whose time stands still.  Shown within trust_max_age, here 60 s.

Usage: hostile_patience.py SHUYI HOSTILE_BROKER SHUYI_AGENT silence|dates (a town each, so that they can run side by side)"""
import pathlib, sys, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "deploy" / "demo.d")]
sys.dont_write_bytecode = True

import tap
from city import wait_for
from hostile_town import POLICY, HostileTown

AGE = POLICY["trust_max_age_s"]
SLACK = 5               # a look a second, and a busy machine
HEAD = POLICY["trust_head_s"]


def say(name, by, took, from_s, to_s):
    """`took` since the lie: the last good word may be as old as trust_head_s by then."""
    print(f"# found | {name} | {by} | {to_s} | {took:.2f}", flush=True)
    tap.equal(from_s <= took <= to_s, True, f"{name}: found by {by} after {took:.1f} s, promised {from_s} to {to_s} s")


def state(agent):
    return agent.status()["trust"]["state"]


def test_silence_is_found_and_a_revocation_kept_back_serves_nobody_for_longer(t):
    t.settle()
    t.lie("tail", t.health, "all_records", t.civil)
    begun = time.time()
    lines = len(t.health.lines())
    t.push(wait=False)                                  # the consumer is not to see it
    revoked = t.city.shuyi("staff", "list", agent=t.center)
    user = next(r for r in revoked if r["staff"]["name"] == "卫健使用辛")
    t.city.act(t.health, t.people["health_officer"], "staff", "revoke", user["credential"])
    took = {}

    def watch(name, found):
        if name not in took and found():
            took[name] = time.time() - begun

    def all_found():
        watch("stale", lambda: state(t.civil) == "stale")
        watch("silent", lambda: "stream_silent" in t.alarms(t.health))
        return len(took) == 2

    wait_for("both to be found", all_found, AGE + 30)
    say("a revocation is kept back, with all trust records and heads", "provider's agent, stale", took["stale"], AGE - 2 * HEAD, AGE + SLACK)
    say("all of a stream is kept back from its consumer", "consumer's agent, stream_silent", took["silent"], AGE - 2 * HEAD, AGE + SLACK)
    tap.equal((state(t.center), state(t.health)), ("fresh", "fresh"))
    tap.equal(len(t.health.lines()), lines)

    # a stale provider takes pushes and seals nothing
    sealed = t.metric(t.civil, "shuyi_agent_links_sealed_total")
    t.push(wait=False)
    time.sleep(2)
    tap.equal(t.metric(t.civil, "shuyi_agent_links_sealed_total"), sealed)


def test_a_log_whose_time_stands_still_is_found_by_all_agents(t):
    t.settle()
    t.lie("log_still", None)
    told = wait_for("the lie to be told", t.told)
    took = {}

    def all_found():
        for agent in t.agents:
            if agent.name not in took and state(agent) == "stale":
                took[agent.name] = time.time() - told
        return len(took) == 3

    wait_for("all agents to be stale", all_found, AGE + 30)
    for name, seconds in took.items():
        say("the log's time stands still: what comes is dated back", name, seconds, AGE - 2 * HEAD, AGE + SLACK)


if __name__ == "__main__":
    which = "silence" if sys.argv[4] == "silence" else "stands_still"
    tap.run({k: v for k, v in globals().items() if not k.startswith("test_") or which in k},
            lambda: HostileTown(pathlib.Path(sys.argv[1]).resolve().parents[2]), HostileTown.end)
