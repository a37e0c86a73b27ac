"""Real witnesses beside a real city: three of them, two must have cosigned.

Usage: witness.py SHUYI SHUYI_BROKER SHUYI_AGENT"""
import http.client, pathlib, re, shutil, sys, tempfile

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "deploy" / "demo.d")]
import tap
from city import City, wait_for
from foundation import Foundation

BUILD = pathlib.Path(sys.argv[1]).resolve().parents[2]
QUORUM = 2


def ask(w, body, path="/add-checkpoint"):
    connection = http.client.HTTPConnection("127.0.0.1", w.port, timeout=10)
    try:
        connection.request("POST", path, body.encode() if isinstance(body, str) else body)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()
    finally:
        connection.close()


class Watched(Foundation):
    """A city whose heads three witnesses cosign."""

    def __init__(self):
        super().__init__(City(BUILD, tempfile.mkdtemp(prefix="shuyi-witness-")))
        self.appoint_witnesses(("archive", "audit", "court"), QUORUM)
        self.make_genesis()
        self.start_center(self.serve_witnesses())

    def checkpoint(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.city.http_port, timeout=10)
        connection.request("GET", "/checkpoint")
        answer = connection.getresponse()
        return answer.read().decode() if answer.status == 200 else ""

    def published(self):
        note = self.checkpoint()
        return int(note.splitlines()[1]) if note else 0

    def published_file(self):
        return int((self.city.dir / "broker" / "store" / "published").read_text().splitlines()[2])

    def cosigners(self):
        return set(re.findall(r"^— (\S+) ", self.checkpoint(), re.M)) - {self.origin}

    def seq(self):
        return int(self.city.metric("shuyi_log_synced_sequence"))

    def wait_published(self, at_least=None):
        """All that is in the log now lies under a witnessed head."""
        size = at_least or self.seq()
        wait_for(f"a witnessed head of {size}", lambda: self.published() >= size)
        return size

    def grow(self):
        """Each start of a broker adds entries."""
        self.city.broker.stop()
        self.restart()

    def restart(self):
        self.city.broker.start()
        wait_for("the broker to be ready", self.city.ready)

    def act_once(self):
        """An entry while the broker stays: a version that is there already is refused, and that is an entry too."""
        wait_for("the agent to be linked", self.center.linked)
        self.city.two(self.center, self.people["sec"], self.people["operator"], "policy", "publish", ROOT / "deploy" / "policies" / "zs.conf", expect=(3,))

    def count(self, what, witness):
        return self.city.metric(f"shuyi_witness_{what}_total", witness=witness.full_name)

    def events(self, name):
        return self.city.broker.log.read_text(errors="replace").count(f'"event":"{name}"')


def test_a_head_is_published_with_the_quorum_and_covers_the_log(t):
    t.wait_published()
    tap.equal(len(t.cosigners()) >= QUORUM, True, t.checkpoint())
    tap.equal(t.city.metric("shuyi_witness_quorum"), QUORUM)
    for w in t.witnesses:
        wait_for(f"{w.name} to have cosigned", lambda: t.count("cosignatures", w) > 0)
    tap.equal(t.city.metric("shuyi_published_age_seconds") < 60, True)


def test_an_agent_gets_trust_heads_that_are_witnessed(t):
    """Records do not wait for witnesses, heads do: they come up with the records a moment later."""
    def caught_up():
        trust = t.center.status().get("trust", {})
        return trust.get("state") == "fresh" and trust["head_trust_seq"] == trust["trust_seq"] > 0
    wait_for("a witnessed head of all trust records", caught_up)


def test_people_act_and_every_head_is_witnessed(t):
    t.publish_policy()
    t.departments()
    t.resource = t.approve(t.submit("entry", t.entry())["digest"])
    t.grant = t.get(t.resource, t.health)["digest"]
    t.wait_live(t.grant)
    status, answer = t.civil.call("POST", f"/v1/resources/{t.resource}/records", {"records": [
        {"op": "UPSERT", "changed_at": "2026-02-12T02:00:00.000Z", "values": {"code": "442000000001", "name": "某村", "level": "village", "parent": None}}]})
    tap.equal(status, 202, answer)
    wait_for("the record at the sink", t.health.lines)
    t.wait_published()
    for agent in (t.center, t.civil, t.health):
        wait_for(f"{agent.name} to be under a witnessed head of all its records",
                 lambda: (s := agent.status()["trust"])["state"] == "fresh" and s["head_trust_seq"] == s["trust_seq"])


def test_hostile_bodies_get_their_codes(t):
    w = t.witnesses[0]
    note = t.checkpoint()
    size = w.size()
    for body, status in ((b"", 400), (b"old", 400), (b"\xff" * 100, 400), (b"old 1\n\n" + b"a" * 10000 + b"\n", 400), (f"old 0\n\n{note}".encode(), 409),
                         (f"old {2**64}\n\n{note}".encode(), 400), (f"old {size}\n\n{note.replace(t.origin, 'other.example')}".encode(), 404),
                         (f"old {size}\n\n{note.split('—')[0]}".encode(), 403), (b"old 1\n" + b"A" * 43 + b"=\n" * 64 + note.encode(), 400)):
        got = ask(w, body)
        tap.equal(got[0], status, (body[:80], got))
    tap.equal(ask(w, f"old 0\n\n{note}")[1], "text/x.tlog.size")
    tap.equal(ask(w, b"x" * 100000)[0], 413)
    tap.equal(ask(w, note, "/elsewhere")[0], 404)
    tap.equal(w.up(), True)


def test_the_witnessed_head_is_there_after_a_restart(t):
    t.wait_published()
    t.city.broker.kill()
    before = t.published_file()
    t.restart()
    wait_for("a published head", t.published)
    tap.equal(t.published() >= before, True)


def test_with_one_down_the_others_are_enough(t):
    t.witnesses[2].kill()
    t.grow()
    t.wait_published()
    tap.equal(t.cosigners(), {w.full_name for w in t.witnesses[:2]})
    wait_for("the failure to be counted", lambda: t.count("failures", t.witnesses[2]) > 0)


def test_without_quorum_the_log_goes_on_and_the_published_head_waits(t):
    t.witnesses[1].kill()
    t.grow()
    seq, published = t.seq(), t.published()
    tap.equal(published < seq, True, (published, seq))
    wait_for("the agent to be linked", t.center.linked)
    tap.equal(t.city.shuyi("ping", agent=t.center)["center"]["seq"] >= seq, True)
    wait_for("the missing quorum to be told", lambda: t.events("witness.no_quorum") > 0)
    tap.equal(t.published() < seq, True)
    for w in t.witnesses[1:]:
        w.start()
        wait_for(f"{w.name} to serve", w.up)
    t.wait_published(seq)


def test_a_witness_killed_and_started_again_goes_on_where_it_was(t):
    w = t.witnesses[0]
    for _ in range(3):
        w.kill()
        w.start()
        wait_for(f"{w.name} to serve", w.up)
        t.grow()
        t.wait_published()
    size = t.wait_published()
    wait_for(f"{w.name} to be there again", lambda: w.size() >= size)
    tap.equal(t.count("refusals", w), 0)


def test_a_witness_with_an_old_state_is_noticed_and_proved_to_anew(t):
    w = t.witnesses[0]
    wait_for(f"{w.name} to be there", lambda: w.size() >= t.published())
    old = (w.dir / "state").read_text()
    t.grow()
    size = t.wait_published()
    wait_for(f"{w.name} to go on", lambda: w.size() >= size)
    w.kill()
    (w.dir / "state").write_text(old)
    w.start()
    wait_for(f"{w.name} to serve", w.up)
    seq, other = t.seq(), next(x for x in t.witnesses if x is not w)
    other.kill()                        # the quorum needs the one that went back
    t.act_once()
    wait_for("the broker to notice", lambda: t.events("witness.went_back") > 0)
    size = t.wait_published(seq + 1)
    wait_for(f"{w.name} to have it proved", lambda: w.size() >= size)
    other.start()
    wait_for(f"{other.name} to serve", other.up)


def test_a_witness_with_a_damaged_state_does_not_start(t):
    w = t.witnesses[0]
    w.kill()
    good = (w.dir / "state").read_bytes()
    (w.dir / "state").write_bytes(good.replace(b"log ", b"log  ", 1))
    code, _, err = t.city.run(w.arguments)
    tap.equal(code, 1, err)
    tap.contains(err, "damaged")
    (w.dir / "state").unlink()
    code, _, err = t.city.run(w.arguments)
    tap.equal(code, 1, err)
    (w.dir / "state").write_bytes(good)
    w.start()
    wait_for(f"{w.name} to serve", w.up)


def test_a_broker_whose_log_was_cut_and_written_anew_is_refused_by_all(t):
    store, copy = t.city.dir / "broker" / "store", t.city.dir / "store.copy"
    t.wait_published()
    t.city.broker.stop()
    shutil.copytree(store, copy)
    t.restart()
    t.wait_published()
    size = max(w.size() for w in t.witnesses)
    t.city.broker.stop()
    published = (store / "published").read_bytes()
    shutil.rmtree(store)
    shutil.copytree(copy, store)
    (store / "published").write_bytes(published)

    # what was published says more than this log has: it does not start
    code, out, err = t.city.run([t.city.bin("broker/shuyi-broker"), "--config", t.city.broker_config])
    tap.equal(code, 1, out + err)
    tap.contains(err, "published.more_than_the_log")

    # without that file the witnesses say it: that they have seen more, or that it is another tree
    (store / "published").unlink()
    t.restart()
    for w in t.witnesses:
        wait_for(f"{w.name} to refuse", lambda: t.count("refusals", w) > 0)
    tap.equal(t.events("witness.log_refused") >= len(t.witnesses), True)
    tap.equal(t.published(), 0)
    for _ in range(8):
        if t.seq() > size:
            break
        t.grow()
    tap.equal(t.seq() > size, True)
    for w in t.witnesses:
        wait_for(f"{w.name} to refuse the other tree", lambda: t.count("refusals", w) > 0)
    wait_for("a refusal by proof", lambda: '"status":422' in t.city.broker.log.read_text(errors="replace"))
    tap.equal(t.published(), 0)
    tap.equal(max(w.size() for w in t.witnesses), size)


def end(t):
    t.city.stop()
    shutil.rmtree(t.city.dir)


if __name__ == "__main__":
    tap.run(globals(), Watched, end)
