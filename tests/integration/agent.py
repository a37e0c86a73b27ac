"""The agent with real processes: what a push promises, over crashes and without the center; what is refused and how."""
import json, os, pathlib, shutil, stat, subprocess, sys, threading

root = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(root / "tests" / "lib"), str(root / "deploy" / "demo.d")]
sys.dont_write_bytecode = True

import tap
from city import UnixConnection, wait_for
from agent_town import AT, Town, record

def test_a_push_is_answered_202_and_arrives_with_the_items_granted(town):
    status, answer = town.push([record("442000001", "石岐街道")])
    tap.equal(status, 202)
    town.arrived("442000001", 1)
    wait_for("the push to be received", lambda: town.state(answer["id"]) == "received")
    line = [r for r in town.lines() if r["key"] == "442000001"][0]
    tap.equal(line["values"], {"code": "442000001", "name": "石岐街道", "level": "town", "parent": None})
    tap.equal((line["resource"], line["grant"], line["op"], line["changed_at"]), (town.resource, town.grant, "UPSERT", AT))


def test_a_push_while_the_center_is_away_is_kept_over_kill_9_and_arrives_once(town):
    town.away()
    before = town.civil.status()["outbox"]["taken_records"]
    ids = []
    for i in range(20):
        status, answer = town.push([record(f"4421{i:04}{k:02}") for k in range(10)])
        tap.equal(status, 202)
        ids.append(answer["id"])
    town.civil.kill()
    town.civil.start()
    wait_for("the agent's API", lambda: town.civil.status())
    tap.equal(town.civil.status()["outbox"]["taken_records"], before + 200)
    tap.equal(town.state(ids[0]), "taken")
    town.back()
    keys = town.arrived("4421", 200)
    for i in ids:
        wait_for("every push to be received", lambda: town.state(i) == "received")
    tap.equal(town.keys("4421"), sorted(keys))
    tap.equal(len(set(keys)), 200)
    wait_for("what was received to leave the outbox", lambda: town.civil.status()["outbox"]["taken_records"] == 0)


def test_the_consumer_killed_in_between_neither_loses_nor_doubles(town):
    for i in range(30):
        tap.equal(town.push([record(f"4422{i:04}{k}") for k in range(10)])[0], 202)
        if i in (10, 20):
            town.health.kill()
            town.health.start()
    keys = town.arrived("4422", 300)
    tap.equal(keys, sorted(set(keys)))


def test_an_idempotency_key_takes_a_push_once(town):
    first = town.push([record("442300001")], "key-1")
    tap.equal(first[0], 202)
    again = town.push([record("442300001")], "key-1")
    tap.equal((again[0], again[1]["id"]), (202, first[1]["id"]))
    status, answer = town.push([record("442300002")], "key-1")
    tap.equal(status, 422)
    town.civil.kill()
    town.civil.start()
    wait_for("the agent's API", lambda: town.civil.status())
    tap.equal(town.push([record("442300001")], "key-1")[1]["id"], first[1]["id"])
    town.arrived("4423", 1)
    wait_for("the push to be received", lambda: town.state(first[1]["id"]) == "received")
    tap.equal(town.keys("4423"), ["442300001"])


def test_many_at_once_are_each_kept(town):
    answers = []

    def worker(n):
        for i in range(20):
            answers.append(town.push([record(f"4424{n}{i:04}")])[0])

    threads = [threading.Thread(target=worker, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    tap.equal(answers, [202] * 160)
    tap.equal(len(set(town.arrived("4424", 160))), 160)


def test_what_does_not_fit_its_entry_is_refused_whole_with_each_record_named(town):
    status, answer = town.push([record("442500001"), record("4425000020000"), {"changed_at": AT, "values": {"code": "1", "nom": "x"}}, record("442500004", name=5)])
    tap.equal(status, 422)
    tap.equal(answer["code"], "E_CONTENT")
    tap.equal([(e["index"], e.get("item"), e["error"]) for e in answer["errors"]], [(1, "code", "length"), (2, None, "name"), (3, None, "type")])
    tap.equal(town.keys("4425"), [])


def test_bodies_that_are_no_push_are_refused_with_a_code(town):
    json_type = {"Content-Type": "application/json"}
    for body, headers, want in (
            (b"{", json_type, 400), (b"[]", json_type, 400), (b'{"records":[]}', json_type, 400), (b'{"records":{}}', json_type, 400),
            (b'{"records":[], "records":[]}', json_type, 400), (b'{"records":[1],"more":1}', json_type, 400), (b'{"records":[1]}', json_type, 422),
            (b'{"records":[1]}', {"Content-Type": "text/plain"}, 415)):
        status, reply_headers, text = town.raw("POST", town.path, body, headers)
        tap.equal(status, want, str(body[:40]))
        tap.contains(reply_headers["Content-Type"], "application/problem+json")
        tap.equal(json.loads(text)["status"], want)
    for path, want in (("/v1/resources/101001/99/records", 404), ("/v1/nothing", 404), ("/v1/pushes/zz", 400), ("/v1/pushes/" + "0" * 32, 404)):
        method = "POST" if "records" in path else "GET"
        tap.equal(town.civil.call(method, path, {"records": [record("1")]} if method == "POST" else None)[0], want, path)
    tap.equal(town.civil.call("DELETE", town.path)[0], 405)


def test_a_body_over_the_limit_is_refused_before_it_is_sent(town):
    connection = UnixConnection(town.civil.socket)
    connection.putrequest("POST", town.path)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(5 << 20))
    connection.endheaders()
    tap.equal(connection.getresponse().status, 413)
    connection.close()


def test_only_the_agent_that_the_entry_names_pushes(town):
    status, answer = town.push([record("442600001")], agent=town.health)
    tap.equal((status, answer["code"]), (403, "E_ROLE"))


def test_the_quota_is_answered_429_with_a_time_and_ends_when_the_center_is_back(town):
    config = town.civil.config.read_text()
    town.away()
    town.civil.stop()
    town.civil.config.write_text(config + "outbox:\n  quota: 8KiB\n")
    town.civil.start()
    wait_for("the agent's API", lambda: town.civil.status())
    taken = 0
    while True:
        status, headers, text = town.raw("POST", town.path, json.dumps({"records": [record(f"4427{taken:05}")]}).encode(), {"Content-Type": "application/json"})
        if status != 202:
            break
        taken += 1
    tap.equal((status, json.loads(text)["code"]), (429, "E_QUOTA"))
    assert int(headers["Retry-After"]) > 0 and taken > 20, (headers, taken)
    town.back()
    tap.equal(len(town.arrived("4427", taken)), taken)
    wait_for("a push to be taken again", lambda: town.push([record("442799999")])[0] == 202)
    town.civil.stop()
    town.civil.config.write_text(config)
    town.civil.start()
    wait_for("the agent to be linked", town.civil.linked)


def test_a_full_store_refuses_loses_nothing_and_goes_on_by_itself(town):
    config = town.civil.config.read_text()
    town.civil.stop()
    town.away_broker_only()
    town.civil.config.write_text(config.replace("  allow_volatile: true", "  allow_volatile: true\n  size_max: 16MiB"))
    town.civil.start()
    wait_for("the agent's API", lambda: town.civil.status())
    taken, status = 0, 202
    while status == 202 and taken < 2000:
        status, answer = town.push([record(f"4431{taken:05}{k:02}", "x" * 50) for k in range(50)])
        taken += status == 202
    assert status in (429, 507), (status, taken)
    wait_for("the API to answer", lambda: town.civil.status())
    town.back()
    tap.equal(len(set(town.arrived("4431", taken * 50))), taken * 50)
    wait_for("a push to be taken again", lambda: town.push([record("443200001")])[0] == 202)
    town.civil.stop()
    town.civil.config.write_text(config)
    town.civil.start()
    wait_for("the agent to be linked", town.civil.linked)


def test_what_is_frozen_or_suspended_waits_and_arrives_once_when_it_may(town):
    matter = [r for r in town.city.shuyi("catalog", "matters", "--all", agent=town.center) if r["resource"] == town.resource][0]["matter"]

    def act(*arguments):
        tap.equal(town.city.act(town.center, town.people["sec"], *arguments)["refusal"], "OK")

    act("catalog", "freeze", matter, "--reason", "SECRECY_INCIDENT", "--incident", "INC-1")
    push = town.push([record("443300001")])[1]["id"]
    wait_for("the refusal", lambda: town.civil.call("GET", "/v1/streams")[1]["streams"][0]["waits_for"] == "E_FROZEN")
    tap.equal(town.state(push), "taken")
    act("catalog", "unfreeze", matter, "--reason", "RESOLVED", "--incident", "INC-1")
    town.arrived("443300001", 1)
    act("grant", "suspend", town.grant, "--reason", "MISUSE", "--as", "SEC_ADMIN")
    push = town.push([record("443300002")])[1]["id"]
    act("grant", "resume", town.grant, "--reason", "RECTIFIED", "--as", "SEC_ADMIN")
    town.arrived("443300002", 1)
    wait_for("the push to be received", lambda: town.state(push) == "received")
    tap.equal(town.keys("4433"), ["443300001", "443300002"])


def test_a_delete_carries_its_key_alone(town):
    tap.equal(town.push([record("442800001"), record("442800001", op="DELETE")])[0], 202)
    town.arrived("442800001", 2)
    tap.equal([(r["op"], r["values"]) for r in town.lines() if r["key"] == "442800001"][1], ("DELETE", {}))


def test_acts_that_cannot_hold_never_leave(town):
    for envelope, want in (("", 400), ("!", 400), ("AAAA", 400)):
        tap.equal(town.civil.call("POST", "/v1/acts", {"envelope": envelope})[0], want, envelope)
    tap.equal(town.civil.call("GET", "/v1/acts/" + "0" * 64)[0], 404)
    tap.equal(town.civil.call("GET", "/v1/acts/0")[0], 400)
    tap.equal(town.civil.call("GET", "/v1/drafts"), (200, {"drafts": []}))
    tap.equal(town.civil.call("DELETE", "/v1/drafts/" + "0" * 64)[0], 404)
    tap.equal(town.civil.call("POST", f"/v1/subscriptions/{town.grant}")[0], 403)


def test_what_was_receipted_is_proved_and_both_agents_verify_one_log(town):
    """R-152: nothing is believed because the center says so."""
    for agent in (town.civil, town.health):
        wait_for("every receipt to be proved", lambda: agent.status()["proof"]["receipts_waiting"] == 0, 30)
        proof = agent.status()["proof"]
        tap.equal((proof["alarms"], proof["halted"], proof["witness_quorum"]), (0, False, 0))
        assert proof["verified"]["size"] > 50, proof
        tap.equal(agent.call("GET", "/v1/alarms"), (200, {"alarms": []}))
        tap.equal(agent.call("DELETE", "/v1/alarms/1")[0], 404)
        tap.equal(agent.call("DELETE", "/v1/alarms/one")[0], 400)
    metrics = town.raw("GET", "/metrics", None, {})[2].decode()
    proved = [line for line in metrics.splitlines() if line.startswith("shuyi_agent_receipts_proved_total ")][0]
    assert int(proved.split()[1]) >= 1, proved


def test_a_question_without_a_link_is_answered_503(town):
    town.away()
    tap.equal(town.civil.call("POST", "/v1/read", {"what": "STATUS"})[0], 503)
    town.back()
    tap.equal(town.civil.call("POST", "/v1/read", {"what": "STATUS"})[0], 200)
    tap.equal(town.civil.call("POST", "/v1/read", {"what": "NOTHING"})[0], 400)


def test_the_socket_and_the_keys_are_private(town):
    tap.equal(stat.S_IMODE(os.stat(town.civil.socket).st_mode), 0o660)
    tap.equal(stat.S_IMODE(os.stat(town.civil.dir / "state").st_mode), 0o700)
    tap.equal(stat.S_IMODE(os.stat(town.civil.dir / "state" / "storage.key").st_mode), 0o600)
    copy = town.civil.dir / "shown.key"
    shutil.copy(town.civil.dir / "agent.key", copy)
    copy.chmod(0o640)
    config = town.civil.dir / "shown.yaml"
    config.write_text(town.civil.config.read_text().replace("agent.key", "shown.key"))
    done = subprocess.run([sys.argv[1], "--config", config, "--check-config"], capture_output=True, text=True)
    tap.equal(done.returncode, 2)
    tap.contains(done.stderr, "keys_file")


def test_a_provider_that_lost_its_store_goes_on_with_its_streams(town):
    before = [s for s in town.civil.call("GET", "/v1/streams")[1]["streams"]][0]
    town.civil.kill()
    shutil.rmtree(town.civil.dir / "state")
    town.civil.start()
    wait_for("the agent to be linked again", town.civil.linked)
    wait_for("the replica to be back", lambda: town.push([record("443400001")])[0] == 202)
    town.arrived("443400001", 1)
    after = town.civil.call("GET", "/v1/streams")[1]["streams"][0]
    tap.equal(after["stream"], before["stream"])
    assert after["stream_seq"] >= before["stream_seq"] + 2 and after["view_epoch"] == before["view_epoch"] + 1, (before, after)
    tap.equal(town.push([record("443400002")])[0], 202)
    town.arrived("443400002", 1)
    tap.equal(town.keys("4434"), ["443400001", "443400002"])


def test_no_value_lies_in_the_store_in_the_clear(town):
    town.away()
    tap.equal(town.push([record("442900001", "不可见之值")])[0], 202)
    data = b"".join(p.read_bytes() for p in (town.civil.dir / "state").iterdir())
    assert "不可见之值".encode() not in data
    assert b"442900001" not in data
    town.back()
    town.arrived("442900001", 1)
    data = b"".join(p.read_bytes() for p in (town.health.dir / "state").iterdir())
    assert "不可见之值".encode() not in data


def test_a_configuration_is_refused_with_line_and_column(town):
    for text, part in (("statedir: x\n", ":1:1:"), ("state_dir: [\n", ":"), ("outbox:\n  quota: many\n", ":2:"), ("api:\n  listen: tcp://127.0.0.1:1\n", "api.listen"),
                       ("sinks:\n  - source: nowhere\n    path: x\n", "source")):
        path = town.civil.dir / "bad.yaml"
        good = "" if "state" in text else "".join(line + "\n" for line in town.civil.config.read_text().splitlines() if line.split(":")[0] in ("state_dir", "keys_file", "welcome_file"))
        path.write_text(text + good)
        done = subprocess.run([sys.argv[1], "--config", path, "--check-config"], capture_output=True, text=True)
        tap.equal(done.returncode, 2, text)
        tap.contains(done.stderr, part)
    done = subprocess.run([sys.argv[1], "--config", town.civil.config, "--check-config"], capture_output=True, text=True)
    tap.equal(done.returncode, 0, done.stderr)


def test_metrics_and_health_tell_how_it_is(town):
    status, headers, text = town.raw("GET", "/metrics", None, {})
    tap.equal(status, 200)
    tap.contains(text.decode(), "shuyi_agent_link_up 1")
    tap.contains(text.decode(), "# TYPE shuyi_agent_records_pushed_total counter")
    tap.equal(town.raw("GET", "/healthz", None, {})[0], 200)
    tap.contains(town.raw("GET", "/readyz", None, {})[2].decode(), "link: up")
    status = town.civil.status()
    tap.equal((status["link"], status["trust"]["state"], status["store_ok"]), ("up", "fresh", True))
    streams = town.civil.call("GET", "/v1/streams")[1]["streams"]
    tap.equal((streams[0]["resource"], streams[0]["audience"]), (town.resource, [town.grant]))
    subscriptions = town.health.call("GET", "/v1/subscriptions")[1]["subscriptions"]
    tap.equal((subscriptions[0]["grant"], subscriptions[0]["state"]), (town.grant, "LIVE"))


tap.run(globals(), lambda: Town(sys.argv[1]), Town.end)
