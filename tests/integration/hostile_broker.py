"""A center that has been taken over, case by case: what it does, who must find it, within how long (HOSTILE.md has the table).

The broker is tests/lib/hostile_broker.c; agents, witness, mirror and commands are the real ones.  The time runs from the moment at which the
lie was told.  Usage: hostile_broker.py SHUYI HOSTILE_BROKER SHUYI_AGENT"""
import json, pathlib, shutil, sys, time
from typing import Callable, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "deploy" / "demo.d")]
sys.dont_write_bytecode = True

import tap
from city import wait_for
from hostile_town import HostileTown

AT_ONCE = 2             # seconds: with the frame that lies, on a busy machine
NEXT_LINK = 12          # with the next link of the stream: a STREAM_HEAD every trust_head_s at the latest
MIRROR = 15             # at the mirror's next turn, or the next head


def suspend(t):
    t.approver_act("suspend", "--wait", "3", expect=(0, 3, 4))


def suspend_and_resume(t):
    suspend(t)
    t.approver_act("resume", "--wait", "3", expect=(0, 3, 4))


def push(t):
    t.push(wait=False)


def push_two(t):
    t.push(wait=False, records=2)


def ask_for_more(t):
    t.get(t.resource, t.health, items="1,2")


def ask_twice(t):
    ask_for_more(t)
    t.get(t.resource, t.health, items="1,3")


def act(t):
    t.any_act()


def act_twice(t):
    t.any_act()
    t.any_act()


class Case(NamedTuple):
    name: str
    lie: str
    to: str             # which agent; "": everybody
    act: Callable       # what happens meanwhile
    by: str             # who must find it
    found: str          # an event of the agent's log, an alarm, or a part of what the mirror says
    within: float
    arrives: bool = False       # once the center is honest again, all that was pushed is at the sink


CASES = [
    Case("a signature is given another capacity, in what an agent is told of a grant", "capacity", "health", suspend, "health", "trust.rejected", AT_ONCE),
    Case("a signature is given another capacity, on a link of a stream", "capacity_of_link", "health", push, "health", "inbox.breach", AT_ONCE),
    Case("sender and recipient are swapped", "recipient", "health", suspend, "health", "trust.rejected", AT_ONCE),
    Case("a grant is forged to the provider", "forged_grant", "civil", ask_for_more, "civil", "trust.rejected", AT_ONCE),
    Case("an update comes under another grant", "other_grant", "health", push_two, "health", "inbox.gap", NEXT_LINK),
    Case("a body is swapped under its header", "body", "health", push, "health", "inbox.breach", AT_ONCE),
    Case("a VIEW_EPOCH comes with another row than the consumer's", "row", "health", ask_for_more, "health", "inbox.breach", AT_ONCE),
    Case("one link of a stream is kept back", "gap", "health", push_two, "health", "inbox.gap", NEXT_LINK, True),
    Case("links of a stream are turned round", "reorder", "health", push_two, "health", "inbox.gap", AT_ONCE, True),
    Case("one trust record is kept back", "one_record", "health", suspend_and_resume, "health", "trust.rejected", AT_ONCE),
    Case("a trust head is dated an hour ahead", "head_ahead", "health", suspend, "health", "trust.rejected", AT_ONCE),
    Case("a trust head is dated an hour back", "head_back", "health", suspend, "health", "trust.rejected", AT_ONCE),
    Case("a trust head is said to be of another epoch of the log", "other_epoch", "health", suspend, "health", "trust.rejected", AT_ONCE),
    Case("the witness's cosignature is taken off", "cosignatures", "health", suspend, "health", "trust.rejected", AT_ONCE),
    Case("mail is kept back", "mail", "civil", ask_twice, "civil", "mail_missing", AT_ONCE),
    Case("a receipt says accepted of what the log refused", "receipt_code", "civil", act, "civil", "receipt_wrong", AT_ONCE),
    Case("a receipt has another time than the log", "receipt_time", "civil", act, "civil", "receipt_wrong", AT_ONCE),
    Case("a receipt names the entry of another act", "receipt_other", "civil", act_twice, "civil", "receipt_wrong", AT_ONCE),
    Case("an act is logged with another capacity: its sender", "log_capacity", "", act, "civil", "receipt_wrong", AT_ONCE),
    Case("an act is logged with another capacity: the auditor", "log_capacity", "", act, "mirror", "does not verify", MIRROR),
    Case("an act is logged about another object", "log_recipient", "", act, "mirror", "does not verify", MIRROR),
    Case("what the rules refuse is logged as accepted", "log_accept", "", act, "mirror", "another tree than the entries give", MIRROR),
    Case("what the rules accept is logged as refused", "log_refuse", "", suspend, "mirror", "another tree than the entries give", MIRROR),
    Case("a TRUST_HEAD is logged with another map", "log_map_root", "", suspend, "health", "trust.rejected", AT_ONCE),
    Case("a TRUST_HEAD is logged that hides what has happened", "log_stale_head", "", suspend, "mirror", "", MIRROR),
]


def say(name, by, within, took):
    print(f"# found | {name} | {by} | {within} | {took:.2f}", flush=True)
    tap.equal(took <= within, True, f"{name}: found by {by} after {took:.1f} s, promised {within} s")


def finder(t, case):
    if case.by == "mirror":
        return lambda: t.follower.poll() is not None and case.found in t.mirror_said()
    agent = getattr(t, case.by)
    if "." not in case.found:
        return lambda: case.found in t.alarms(agent)
    before = agent.log.stat().st_size
    return lambda: f'"event":"{case.found}"' in agent.log.read_text()[before:]


def play(t, case):
    t.fresh()
    lines = len(t.health.lines())
    if case.by == "mirror":
        t.mirror()
    found = finder(t, case)
    t.spoilt = True
    t.lie(case.lie, getattr(t, case.to) if case.to else None)
    case.act(t)
    told = wait_for("the lie to be told", t.told, 20)
    wait_for(f"{case.by} to find it", found, 20)
    took = time.time() - told
    if case.by == "mirror":
        tap.equal(t.follower.wait(20), 6, t.mirror_said())
        tap.contains(t.mirror_said(), "event=mirror.alarm")
    elif case.act in (push, push_two) and case.lie != "other_grant":
        tap.equal(len(t.health.lines()) - lines <= 1, True, "what was altered is not at the sink")
    say(case.name, case.by, case.within, took)
    if case.arrives:
        t.honest()
        wait_for("all of it at the sink", lambda: len(t.health.lines()) == lines + 2)
        codes = [r["key"] for r in t.health.lines()]
        tap.equal(codes, sorted(set(codes)))


def case_test(case):
    def test(t):
        play(t, case)
    test.__name__ = "test_" + case.name.replace(" ", "_")
    return test


for number, c in enumerate(CASES):
    globals()[f"test_{number}"] = case_test(c)


def test_links_told_twice_are_taken_once(t):
    t.fresh()
    lines = len(t.health.lines())
    t.lie("replay", t.health)
    t.push(records=3)
    told = wait_for("the lie to be told", t.told)
    wait_for("the repetitions to be counted", lambda: t.metric(t.health, "shuyi_agent_parcels_repeated_total") >= 3)
    say("links of a stream are told twice", "health", AT_ONCE + 1, time.time() - told)
    tap.equal(len(t.health.lines()), lines + 3)
    t.honest()
    t.push()
    tap.equal(len(t.health.lines()), lines + 4)


def test_the_log_dated_ahead_stops_all_agents(t):
    t.fresh()
    t.spoilt = True
    t.lie("log_ahead", None)
    t.any_act()
    suspend(t)
    told = wait_for("the lie to be told", t.told)
    for agent in t.agents:
        wait_for(f"{agent.name} to see it", lambda: agent.status()["trust"]["state"] not in ("fresh", ""), 20)
    say("the log is dated an hour ahead", "all agents", NEXT_LINK, time.time() - told)


def test_a_bundle_of_a_forged_entry_proves_nothing(t):
    t.fresh()
    t.spoilt = True
    t.lie("log_capacity", None)
    answer = t.approver_act("suspend", "--wait", "3", expect=(0, 3, 4))
    told = wait_for("the lie to be told", t.told)
    t.honest()
    suspend(t)                                  # so that a trust head follows at once
    seq, path = answer["seq"], t.dir / "forged.bundle"
    wait_for("a published head behind it", lambda: t.witness.size() > seq)

    def exported():
        code, out, err = t.city.run([t.city.bin("agent/cli/shuyi"), "audit", "export", "--seq", seq, "--out", path], t.center)
        return "ask again" not in err and (code, out + err)

    code, text = wait_for("the center to give it", exported)
    if code == 0:
        code, out, err = t.city.run([t.city.bin("agent/cli/shuyi"), "audit", "check", path, "--anchor", t.anchor, "--json"])
        tap.equal((code, json.loads(out)["proven"]), (6, False), out)
    tap.equal(code != 0, True, text)
    print(f"# {text.strip().splitlines()[-1][:200] if text.strip() else 'exported'}", flush=True)
    say("a bundle of an act that was logged with another capacity", "audit check", 2 * NEXT_LINK, time.time() - told)


def go_back(t, with_witness):
    """The center's store, and perhaps a bought witness, are put back; seqs are given out again.  When it began."""
    t.fresh()
    t.spoilt = True
    for _ in range(3):
        t.push()
    t.any_act()
    t.settle()
    t.city.broker.stop()
    if with_witness:
        t.witness.stop()
    for name in ("broker/store", "archive") if with_witness else ("broker/store",):
        shutil.rmtree(t.city.dir / name)
        shutil.copytree(t.whole / name, t.city.dir / name)
    if with_witness:
        t.witness.start()
        wait_for("the witness to serve", t.witness.up)
    begun = time.time()
    t.city.broker.start()
    wait_for("the broker to be ready", t.city.ready)
    return begun


def agent_goes_back(t):
    """Agents that were told of more say so; the name of the first."""
    return [a.name for a in t.agents if set(t.alarms(a)) & {"second_history", "head_back", "not_consistent"}]


def test_a_store_put_back_that_gives_seqs_again_is_found_by_agents_and_refused_by_the_witness(t):
    begun = go_back(t, False)
    who = wait_for("an agent to find it", lambda: agent_goes_back(t), 20)[0]
    say("a store is put back and gives seqs again", f"agent {who}", NEXT_LINK, time.time() - begun)

    def refused():
        t.any_act()                             # so that it grows
        return any(w in t.witness.log.read_text() for w in ("witness.two_histories", "witness.inconsistent"))

    wait_for("the witness to refuse", refused, 30)
    say("a store is put back and gives seqs again", "witness, when the log is as large again", 30, time.time() - begun)
    tap.equal(next(a for a in t.agents if a.name == who).status()["trust"]["state"], "halted")


def test_a_store_put_back_together_with_its_witness_is_found_by_agents(t):
    begun = go_back(t, True)
    who = wait_for("an agent to find it", lambda: agent_goes_back(t), 20)[0]
    say("a store is put back, and the witness's, too", f"agent {who}", NEXT_LINK, time.time() - begun)
    tap.equal(next(a for a in t.agents if a.name == who).status()["trust"]["state"], "halted")


if __name__ == "__main__":
    tap.run(globals(), lambda: HostileTown(pathlib.Path(sys.argv[1]).resolve().parents[2]), HostileTown.end)
