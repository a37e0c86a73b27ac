"""hostile, API: what a business system, or whoever reached the agent's socket, may send it.

Every answer but 2xx is a problem (RFC 9457) with a code and a sentence and is counted; the outbox and the log stay as they were.
Usage: hostile_api.py SHUYI SHUYI_BROKER SHUYI_AGENT"""
import base64, json, os, pathlib, shutil, socket, stat, subprocess, sys, tempfile, threading, time

root = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(root / "tests" / "lib"), str(root / "deploy" / "demo.d")]
sys.dont_write_bytecode = True

import tap
from city import City, UnixConnection, wait_for
from foundation import CIVIL, Foundation

SHUYI, BROKER, AGENT = (str(pathlib.Path(p).resolve()) for p in sys.argv[1:4])
AT = "2026-02-12T02:00:00.000Z"
JSON = {"Content-Type": "application/json"}


def record(code="442000001", **changes):
    return {"op": "UPSERT", "changed_at": AT, "values": {"code": code, "name": "示例", "level": "town", "parent": None}, **changes}


class Town(Foundation):
    def __init__(self):
        super().__init__(City(pathlib.Path(BROKER).parents[1], tempfile.mkdtemp(prefix="shuyi-api-")))
        self.resource, self.grant = self.build()
        self.path = f"/v1/resources/{self.resource}/records"

    def raw(self, method, path, body=None, headers=JSON, agent=None):
        connection = UnixConnection((agent or self.civil).socket)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def metric(self, name, agent=None):
        text = self.raw("GET", "/metrics", headers={}, agent=agent)[2].decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)

    def problem(self, want, method, path, body=None, headers=JSON, code=None, agent=None):
        """Refused with this status; the agent's counter moves by one, its outbox not at all."""
        before, outbox = self.metric("shuyi_agent_http_problems_total", agent), (agent or self.civil).status()["outbox"]
        status, reply, text = self.raw(method, path, body, headers, agent)
        name = f"{method} {path[:80]} {str(body)[:120]}"
        tap.equal(status, want, f"{name}: {text[:300]}")
        tap.contains(reply["Content-Type"], "application/problem+json")
        answer = json.loads(text)
        tap.equal((answer["status"], bool(answer["title"]), bool(answer.get("code"))), (want, True, True), name)
        if code:
            tap.equal(answer["code"], code, f"{name}: {answer}")
        tap.equal(self.metric("shuyi_agent_http_problems_total", agent), before + 1, name)
        tap.equal((agent or self.civil).status()["outbox"]["taken_records"] <= outbox["taken_records"], True, name)
        return answer

    def accepted(self):
        """Entries that the center took, but for its own."""
        return self.city.metric("shuyi_accepted_total") - sum(self.city.metric("shuyi_accepted_total", kind=k) for k in ("TICK", "TRUST_HEAD", "REFUSED", "HANDOVER", "OUTAGE"))

    def push_works(self, code):
        status, headers, text = self.raw("POST", self.path, json.dumps({"records": [record(code)]}))
        tap.equal(status, 202, text)
        push = json.loads(text)["id"]
        wait_for("the push to be received", lambda: self.civil.call("GET", f"/v1/pushes/{push}")[1]["state"] == "received")

    def act_envelope(self):
        """A whole act of 卫生健康局 that nobody has handed in: the bytes of a draft with its one signature."""
        draft = self.city.act(self.health, self.people["user"], "request", "get", self.resource, "--items", "1-2", "--purpose", "试", "--agent-id", self.health.agent_id(), expect=(5,))["draft"]
        status, answer = self.health.call("GET", f"/v1/drafts/{draft}")
        tap.equal(status, 200, answer)
        tap.equal(self.health.call("DELETE", f"/v1/drafts/{draft}")[0], 200)
        return base64.b64decode(answer["envelope"])

    def end(self):
        self.city.stop()
        shutil.rmtree(self.city.dir)


def test_bodies_that_are_no_json_object_are_E_FORM(t):
    for path in (t.path, "/v1/acts", "/v1/drafts", "/v1/read"):
        for body in (b"", b"{", b"nonsense", b"[]", b"null", b'"text"', b"1", b'{"a":1,"a":2}', b'{"records":[' + b"[" * 5000, b'{"a":"\xff\xfe"}', b'{"a":"\\u0000"}',
                     b'{"a":1e999}', b'{"a":"\\ud800"}', b"{} {}", b"\x00", '{"a":1}'.encode("utf-16")):
            t.problem(400, "POST", path, body, code="E_FORM")
        t.problem(415, "POST", path, b"{}", {"Content-Type": "text/plain"}, "E_FORM")
        t.problem(415, "POST", path, b"{}", {"Content-Type": "application/jsonp"}, "E_FORM")
        t.problem(415, "POST", path, b"{}", {}, "E_FORM")


def test_pushes_with_unknown_members_and_wrong_types_are_refused_whole(t):
    for body in ({}, {"records": []}, {"records": {}}, {"records": None}, {"records": [record()], "more": 1}, {"Records": [record()]}, {"records": [record()] * 10001}):
        t.problem(400, "POST", t.path, json.dumps(body), code="E_FORM")
    for bad in (1, None, [], "text", record(op="MERGE"), record(op=1), record(op=None), record(changed_at="yesterday"), record(changed_at=0), record(changed_at="2026-02-30T00:00:00Z"),
                record(values=[]), record(values=None), record(more=1), {"op": "UPSERT", "changed_at": AT}, {"values": record()["values"]}, record(changed_at="1970-01-01T00:00:00Z")):
        answer = t.problem(422, "POST", t.path, json.dumps({"records": [record(), bad]}), code="E_CONTENT")
        tap.equal([e["index"] for e in answer["errors"]], [1], bad)
    for values in ({"code": None}, {"code": ""}, {"code": 442000001}, {"code": True}, {"code": ["1"]}, {"code": "4" * 13}, {"name": "名" * 61}, {"name": None}, {"code": "1\u001f2"},
                   {"nom": "x"}, {"": "x"}, {"CODE": "1"}, {"parent": {"a": 1}}, {"name": "x" * 200000}):
        t.problem(422, "POST", t.path, json.dumps({"records": [record(values={**record()["values"], **values})]}), code="E_CONTENT")
    missing = {k: v for k, v in record()["values"].items() if k != "code"}
    t.problem(422, "POST", t.path, json.dumps({"records": [record(values=missing)]}), code="E_CONTENT")


def test_resources_and_identifiers_that_are_not_there_or_no_identifiers(t):
    body = json.dumps({"records": [record()]})
    for resource in ("101001/99", "999999/1", "x/y", "%00/1", "101001/1%00", "..%2f../1", "101001/-1", "a" * 300 + "/1", "%ff%fe/1"):
        t.problem(404, "POST", f"/v1/resources/{resource}/records", body, code="E_NOT_FOUND")
    t.problem(403, "POST", t.path, body, code="E_ROLE", agent=t.health)         # not the agent that the entry names
    for kind, n in (("pushes", 32), ("acts", 64), ("drafts", 64)):
        for word in ("0", "z" * n, "0" * (n - 1), "0" * (n + 1), "0" * (n - 2) + "%0"):
            t.problem(400, "GET", f"/v1/{kind}/{word}", code="E_FORM")
        t.problem(404, "GET", f"/v1/{kind}/{'0' * n}", code="E_NOT_FOUND")
    t.problem(404, "DELETE", "/v1/drafts/" + "0" * 64, code="E_NOT_FOUND")
    t.problem(400, "DELETE", "/v1/drafts/zz", code="E_FORM")
    t.problem(400, "POST", "/v1/subscriptions/zz", code="E_FORM")
    t.problem(400, "GET", "/v1/uses/zz", code="E_FORM")
    for query in ("credentials", "credentials?sign_key=", "credentials?sign_key=" + "g" * 64, "credentials?sign_key=00", "agents?department=1", "mail?after=x", "mail?after=-1",
                  "mail?after=99999999999999999999", f"uses/{'0' * 64}?after=1e3"):
        t.problem(400, "GET", f"/v1/{query}", code="E_FORM")
    t.problem(404, "GET", "/v1/credentials?sign_key=" + "0" * 64, code="E_NOT_FOUND")


def test_wrong_methods_and_paths(t):
    for method, path in (("DELETE", t.path), ("PUT", t.path), ("GET", t.path), ("POST", "/v1/status"), ("PATCH", "/v1/drafts"), ("POST", "/metrics")):
        t.problem(405, method, path, code="E_FORM")
    for path in ("/", "/v2/status", "/v1", "/v1/", "/v1/status/", "//v1/status", "/v1/../v1/status", "/v1/nothing", t.path + "/", "/v1/pushes/"):
        t.problem(404, "GET", path, code="E_NOT_FOUND")


def test_acts_that_cannot_hold_are_refused_before_they_leave(t):
    before = t.accepted()
    whole = t.act_envelope()
    flipped = bytes([*whole[:-1], whole[-1] ^ 1])
    for envelope, want, code in (("", 400, "E_FORM"), ("!", 400, "E_FORM"), ("AAA", 400, "E_FORM"), (None, 400, "E_FORM"), (7, 400, "E_FORM"), ("AAAA", 400, "E_FORM"),
                                 (base64.b64encode(whole[:-1]).decode(), 400, "E_FORM"), (base64.b64encode(whole + b"\0").decode(), 400, "E_FORM"),
                                 (base64.b64encode(flipped).decode(), 403, "E_CRED"), (base64.b64encode(b"x" * 1000000).decode(), 400, "E_FORM")):
        for path in ("/v1/acts", "/v1/drafts"):
            t.problem(want, "POST", path, json.dumps({"envelope": envelope}), code=code, agent=t.health)
    t.problem(400, "POST", "/v1/acts?check=no", json.dumps({"envelope": "AAAA"}), code="E_FORM", agent=t.health)
    t.problem(403, "POST", "/v1/acts", json.dumps({"envelope": base64.b64encode(whole).decode()}))       # over another department's agent
    tap.equal(t.accepted(), before)
    tap.equal(t.metric("shuyi_agent_acts_refused_total", t.health) > 0, True)


def test_a_draft_loses_no_signature_and_takes_no_other_act(t):
    one, other = t.act_envelope(), t.act_envelope()
    text = lambda b: json.dumps({"envelope": base64.b64encode(b).decode()})
    status, headers, body = t.raw("POST", "/v1/drafts", text(one), agent=t.health)
    tap.equal(status, 201, body)
    digest = json.loads(body)["digest"]
    t.problem(409, "POST", f"/v1/drafts/{digest}/signatures", text(other), agent=t.health)
    t.problem(400, "POST", "/v1/drafts/zz/signatures", text(one), agent=t.health)
    tap.equal(t.health.call("DELETE", f"/v1/drafts/{digest}")[0], 200)
    t.problem(404, "POST", f"/v1/drafts/{digest}/signatures", text(one), code="E_NOT_FOUND", agent=t.health)


def test_questions_of_no_form(t):
    for body in ({}, {"what": "NOTHING"}, {"what": 0}, {"what": 99}, {"what": None}, {"what": "GRANTS", "key": "0"}, {"what": "GRANTS", "key": "zz"}, {"what": "GRANTS", "key": 1},
                 {"what": "GRANTS", "key": "00" * 5000}, {"what": "GRANTS", "after": "x"}, {"what": "GRANTS", "limit": 1001}, {"what": "GRANTS", "limit": -1},
                 {"what": "GRANTS", "limit": "1"}, {"what": "GRANTS", "need_seq": -1}, {"what": "GRANTS", "need_seq": 1.5}, {"what": "AUDIT", "query": "!"}, {"what": "AUDIT", "query": ""}):
        t.problem(400, "POST", "/v1/read", json.dumps(body), code="E_FORM")
    status, answer = t.civil.call("POST", "/v1/read", {"what": "AUDIT", "query": "AAAA"})
    tap.equal((status, answer["code"]), (200, 8), answer)    # the center's own E_ROLE


def test_an_idempotency_key_is_for_one_body(t):
    body = json.dumps({"records": [record("442001001")]})
    tap.equal(t.raw("POST", t.path, body, {**JSON, "Idempotency-Key": "k1"})[0], 202)
    t.problem(422, "POST", t.path, json.dumps({"records": [record("442001002")]}), {**JSON, "Idempotency-Key": "k1"})
    for key in ("", "x" * 256):
        t.problem(400, "POST", t.path, body, {**JSON, "Idempotency-Key": key})


def test_bodies_beyond_the_limit_are_refused_with_and_without_a_length(t):
    before = t.metric("shuyi_agent_http_too_large_total")
    large = b'{"records":[' + b" " * (5 << 20) + b"]}"
    for headers in ({**JSON, "Content-Length": str(5 << 20)}, {**JSON, "Content-Length": "99999999999999999999"}):
        connection = UnixConnection(t.civil.socket)
        connection.putrequest("POST", t.path)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        tap.equal(connection.getresponse().status in (400, 413), True, headers)
        connection.close()
    connection = UnixConnection(t.civil.socket)
    connection.request("POST", t.path, iter([large[i:i + 65536] for i in range(0, len(large), 65536)]), JSON, encode_chunked=True)
    tap.equal(connection.getresponse().status, 413)
    connection.close()
    tap.equal(t.metric("shuyi_agent_http_too_large_total") >= before + 2, True)
    t.push_works("442002001")


def speak(t, data, wait=5):
    """Bytes as they are; what comes back."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(wait)
        s.connect(str(t.civil.socket))
        answer = b""
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while part := s.recv(65536):
                answer += part
        except (TimeoutError, ConnectionError):
            pass
        return answer


def test_what_is_no_http_ends_the_connection_and_nothing_else(t):
    for data in (b"\x00" * 100, b"\x16\x03\x01" + os.urandom(200), b"GET", b"GET /v1/status\r\n\r\n", b"GET /v1/status HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                 b"GET /v1/status HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20000 + b"\r\n", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"POST /v1/acts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 b"POST /v1/acts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n",
                 b"POST /v1/acts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
        answer = speak(t, data)
        tap.equal(b" 200 " in answer.split(b"\r\n")[0] or b" 202 " in answer.split(b"\r\n")[0], False, (data[:60], answer[:200]))
    t.push_works("442003001")


def test_slow_and_silent_clients_keep_nobody_out(t):
    half = b"POST " + t.path.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    held = []
    for i in range(100):
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(t.civil.socket))
        s.sendall(half if i % 2 else half[:20])
        held.append(s)
    begin = time.monotonic()
    t.push_works("442004001")
    tap.equal(time.monotonic() - begin < 10, True, "a push took too long")
    for s in held:
        s.close()
    tap.equal(t.civil.alive() and t.health.alive(), True)


def test_a_client_that_leaves_before_its_answer_harms_nobody(t):
    for i in range(30):
        body = json.dumps({"records": [record(f"4420050{i:02}")]}).encode()
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(t.civil.socket))
            s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (t.path.encode(), len(body), body))
    for i in range(30):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(t.civil.socket))
            body = b'{"what":"STATUS"}'
            s.sendall(b"POST /v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    t.push_works("442005099")


def test_the_socket_is_for_its_user_and_group_alone(t):
    mode = os.stat(t.civil.socket)
    tap.equal((stat.S_ISSOCK(mode.st_mode), stat.S_IMODE(mode.st_mode)), (True, 0o660))
    if os.getuid() != 0:
        return
    os.chmod(t.city.dir, 0o755)
    code = f"import os,socket;os.setgid(65534);os.setuid(65534);s=socket.socket(socket.AF_UNIX);s.connect({str(t.civil.socket)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    tap.contains(done.stderr, "PermissionError")


def test_the_command_says_what_is_wrong_with_a_file(t):
    bad = t.city.dir / "bad.json"
    for content, part in ((b"", "bad.json"), (b"{", "bad.json:1"), (b'{"resource_name":"x","resource_name":"y"}', "bad.json"), (b'{"colour":"red"}', "colour"),
                          (b'{"class_level":"SKY"}', "class_level"), (b"\xff\xfe", "bad.json"), (b'{"items":[{"item_no":"one"}]}', "item_no")):
        bad.write_bytes(content)
        code, out, err = t.city.run([SHUYI, "catalog", "submit", bad, "--agent-id", t.civil.agent_id(), "--key", t.people["civil_officer"].key, "--yes"], t.civil)
        tap.equal(code in (1, 2, 3), True, err)
        tap.contains(err + out, part)
    for name, content, part in (
            ("bad.csv", b"code,name\n1\n", "line 2"), ("bad.csv", b"code,nom,level,parent\n1,2,3,4\n", "name"), ("bad.csv", b"", "empty"),
            ("bad.csv", b"code,code,level,parent\n1,2,3,4\n", "twice"), ("bad.csv", b"code,name,level,parent\n1,x,town,\xff\xfe\n", "line 2"),
            ("bad.csv", b"code,name,level,parent\n1,x\x00y,town,\n", "line 2"), ("bad.ndjson", b'{"op":"UPSERT"\n', "line 1"), ("bad.ndjson", b"[]\n", "")):
        path = t.city.dir / name
        path.write_bytes(content)
        code, out, err = t.city.run([SHUYI, "push", "records", t.resource, path], t.civil)
        tap.equal(code != 0, True, (content, out))
        tap.equal(bool((err + out).strip()), True)
        tap.contains(err + out, part)
    join = t.city.dir / "bad.join"
    text = t.people["user"].join.read_text()
    for content in ("", text[:80], text.replace("join-v1", "draft-v1"), text.replace(text[60], "A" if text[60] != "A" else "B", 1)):
        join.write_text(content)
        code, out, err = t.city.run([SHUYI, "staff", "file", join, "--staff", t.people["user"].staff_file, "--key", t.people["health_officer"].key, "--yes"], t.health)
        tap.equal(code in (1, 2), True, (code, err))
        tap.contains(err + out, "bad.join")


def test_after_all_of_it_the_log_derives_again_and_data_still_flows(t):
    t.push_works("442009999")
    wait_for("the record at the consumer", lambda: t.health.sink.exists() and "442009999" in t.health.sink.read_text())
    tap.equal(t.civil.alive() and t.health.alive() and t.city.broker.alive(), True)
    t.city.stop()
    for how in (["check"], ["--replay"]):
        code, out, err = t.city.run([BROKER, *how, "--config", t.city.broker_config])
        tap.equal(code, 0, out + err)


tap.run(globals(), Town, Town.end)
