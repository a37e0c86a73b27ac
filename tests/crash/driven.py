"""What the rules foresee for bad days, driven to happen in a city of real processes: an envelope that brings the broker down, the
dead letter that becomes of it, and what is handed over to a consumer that dies before it says so."""
import json, sys

from town import SLOW, Failed, Town, equal, wait_for
import tap

RECORDS = 10


def log_of(process):
    return process.log.read_text(errors="replace")


def events(process, name):
    found = []
    for line in log_of(process).splitlines():
        if f'"event":"{name}"' in line:
            try:
                found.append(json.loads(line))
            except ValueError:
                pass
    return found


def push_again(town):
    """Records that change nothing, so that nobody misses them: the id of their push."""
    rows = list(town.feed.source.rows.values())[:RECORDS]
    records = [town.feed.source.upsert(row) for row in rows]
    status, answer = town.civil.call("POST", f"/v1/resources/{town.resource}/records", {"records": records})
    equal(status, 202, f"push: {answer}")
    return answer["id"]


def test_an_UPDATE_that_kills_the_broker_twice_is_quarantined_and_becomes_a_dead_letter(town):
    broker = town.city.broker
    town.wait_up()
    town.feed.go()
    wait_for("some pushes", lambda: town.feed.fault or len(town.feed.pushes) > 5)
    town.settle()
    broker.stop()
    town.start_doomed(broker, "apply.update")
    wait_for("the provider to be linked", town.civil.linked, SLOW)
    push = push_again(town)
    town.wait_died(broker, "apply.update")
    equal(events(town.civil, "outbox.dead_letter"), [], "dead letters after one kill")
    town.start_doomed(broker, "apply.update")
    town.wait_died(broker, "apply.update again")
    town.wait_up()
    letters = wait_for("a dead letter", lambda: events(town.civil, "outbox.dead_letter"), SLOW)
    equal([(e["refusal"], e["resource"]) for e in letters], [("E_QUARANTINED", town.resource)], "dead letters")
    equal(town.city.metric("shuyi_refused_total", code="E_QUARANTINED") >= 1, True, "it is counted")
    status, answer = town.civil.call("GET", f"/v1/pushes/{push}")
    equal((status, answer["state"], answer["code"]), (200, "refused", "E_QUARANTINED"), "what the push says")
    town.must_live()


def test_what_is_pushed_behind_a_dead_letter_arrives(town):
    town.feed.go()
    before = len(town.feed.pushes)
    wait_for("some pushes", lambda: town.feed.fault or len(town.feed.pushes) > before + 5)
    town.settle()


def test_the_quarantine_stays_over_starts(town):
    town.city.broker.kill()
    town.wait_up()
    town.settle()
    equal(len(events(town.civil, "outbox.dead_letter")), 1, "dead letters")


def test_what_a_consumer_that_died_may_have_is_HANDOVER(town):
    before = town.city.metric("shuyi_accepted_total", kind="HANDOVER")
    town.wait_up()
    town.health.stop()
    town.start_doomed(town.health, "inbox.before_commit:3")
    town.feed.go()
    town.wait_died(town.health, "inbox.before_commit")
    wait_for("HANDOVER in the log", lambda: town.city.metric("shuyi_accepted_total", kind="HANDOVER") > before, SLOW)
    town.wait_up()
    town.settle()


def test_what_was_on_its_way_when_the_broker_died_is_HANDOVER_at_its_next_start(town):
    broker = town.city.broker
    town.wait_up()
    broker.stop()
    town.start_doomed(broker, "deliver.after_send:5")
    town.feed.go()
    town.wait_died(broker, "deliver.after_send")
    town.wait_up()
    wait_for("HANDOVER in the log", lambda: town.city.metric("shuyi_accepted_total", kind="HANDOVER") > 0, SLOW)
    town.settle()


def test_at_the_end_all_else_is_there_and_the_log_derives_again(town):
    town.wait_up()
    town.settle()
    town.compare_all()
    town.log_holds()


if __name__ == "__main__":
    tap.run(globals(), before=lambda: Town(sys.argv[1]), after=lambda town: town.end())
