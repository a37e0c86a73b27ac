"""A city of real programs under load, measured beside what the parts cost in the same minute."""
import os, shutil, signal, subprocess, time

import crowd, full, longlog, model
from city import City, Failed, wait_for
from foundation import Foundation
from table import lines

MEMO = {"item_no": 5, "name_cn": "备注", "name_en": "memo", "data_type": "C", "length": 1000, "nullable": True,
        "sensitivity": "PUBLIC", "source_role": "AUTHORITATIVE"}
READERS = 8
SETTLE_S = 3                    # after a load, until what it freed is given back


class LoadFoundation(Foundation):
    """The demonstration's city, its entry with one more item: a memo that makes a record about 1 KiB."""

    def entry(self):
        entry = super().entry()
        entry["items"].append(MEMO)
        for sample in entry["sample"]:
            sample["values"].append("")
        return entry

    def get(self, resource, agent, items="1-5", **more):
        return super().get(resource, agent, items, **more)


def rss_anon_mib(process):
    with open(f"/proc/{process.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon:")) / 1024


class Exchange:
    def __init__(self, build, directory, table, quick, perf=None):
        self.build, self.dir, self.table, self.quick, self.perf = build, directory, table, quick, perf
        self.seconds = 2 if quick else 8

    # ---- calibration ----

    def calibrate(self):
        work = self.dir / "calibrate"
        work.mkdir()
        done = subprocess.run([self.build / "tests/bench/calibrate", work], capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise Failed(f"calibrate: {done.stderr}")
        shutil.rmtree(work)
        return lines(done.stdout)

    def beside(self, measure):
        """(what the parts cost meanwhile, what was measured): calibrated before, and in a long run after it, too."""
        before, result = self.calibrate(), measure()
        after = before if self.quick else self.calibrate()
        return {part: (before[part] + after[part]) / 2 for part in before}, result

    def show_calibration(self):
        for name, value in self.calibrate().items():
            self.table.add(f"calibrate {name}", value, "us")

    # ---- the city ----

    def found(self):
        self.city = City(self.build, self.dir / "city")
        self.city.map_bytes = "32GiB"
        self.foundation = LoadFoundation(self.city)
        self.resource, self.grant = self.foundation.build()
        self.readers = [(self.foundation.health, self.grant)]

    def memory(self):
        """After founding, before load: what each keeps that no file backs."""
        self.table.add("broker, idle, RssAnon", rss_anon_mib(self.city.broker), "MiB")
        self.table.add("agent, RssAnon", rss_anon_mib(self.foundation.health), "MiB")

    def stop_agents(self):
        """Their places are taken by the load programs, for good (a higher outbox epoch); what they held open must be settled first."""
        wait_for("the sink to have all", lambda: self.foundation.civil.status().get("outbox", {}).get("taken", 0) == 0, 60)
        for agent in [self.foundation.civil] + [agent for agent, _ in self.readers]:
            agent.stop()

    def more_readers(self):
        """Further agents with a subscription each, of the same view."""
        f = self.foundation
        for i in range(1, READERS):
            agent = f.further_agent(f"reader-{i}", f"代理{i}")
            grant = f.get(self.resource, agent)["digest"]
            self.readers.append((agent, grant))
        for _, grant in self.readers:
            f.wait_live(grant)

    # ---- a long log ----

    def long_log(self):
        """The same on ten thousand entries and on ten million, and how soon it is back after a kill."""
        store = longlog.LongLog(self)
        store.fill(longlog.SHORT)
        opened = store.clean_start()
        short = store.throughput()
        rate, ceiling = store.replay()
        self.table.add("replay from BASE", rate, "entries/s", ceiling)
        store.fill(longlog.LONG)
        self.table.add("clean start on 10 million entries", store.clean_start(), "us", opened)
        self.table.add("throughput on 10 million entries", store.throughput(), "of ceiling", short)
        back, tail = store.restart()
        self.table.add("restart after kill -9 on 10 million entries", back, "us", opened + tail)

    # ---- a crowd ----

    def join_crowd(self):
        self.crowd = crowd.Crowd(self)
        self.crowd.join()

    def crowded(self):
        """What a thousand agents cost the broker, and what a hundred bad ones among them cost the others."""
        with self.crowd.connected():
            good = self.core("crowd-good", "--rate", "500")
            self.core("crowd-load", "--records", "64")
            time.sleep(SETTLE_S)
            self.table.add("broker, 1,000 agents, RssAnon", rss_anon_mib(self.city.broker), "MiB")
        with self.crowd.connected(dead=crowd.DEAD, hostile=crowd.HOSTILE):
            bad = self.core("crowd-bad", "--rate", "500")
        self.table.add("delivery p99, 1,000 agents, 100 hostile or dead", bad["delivery_p99"], "us", good["delivery_p99"])

    # ---- through the agents ----

    def full_throughput(self):
        load = full.Throughput(self.foundation, self.resource)
        parts, result = self.beside(lambda: load.run(warm=1, seconds=self.seconds))
        cost = model.full(parts)
        self.table.add("full, 100 records a push, 1 to 1", result["delivered"], "records/s", cost.ceiling)
        for side in ("provider", "broker", "consumer"):
            self.table.add(f"full, {side} CPU", result[side], "us/record", getattr(cost, side))

    def full_latency(self):
        load = full.Latency(self.foundation, self.resource)
        parts, result = self.beside(lambda: load.run(rate=500, seconds=self.seconds))
        for name, figure, against in (("push answered at 500/s", "taken", model.taken(parts)), ("push to sink at 500/s", "delivered", model.delivery(parts))):
            for q in ("p50", "p99"):
                self.table.add(f"{name}, {q}", result[f"{figure}_{q}"], "us", against)

    # ---- the core alone ----

    def core_command(self, *arguments, readers=1):
        f, pid = self.foundation, self.city.broker.process.pid
        subscriptions = [part for agent, grant in self.readers[:readers] for part in (agent.config, grant)]
        return [str(a) for a in (self.build / "tests/bench/core", *arguments, "--seconds", self.seconds, "--broker", pid, f.civil.config, self.dir, *subscriptions)]

    def start_core(self, *arguments):
        return subprocess.Popen(self.core_command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def core(self, name, *arguments, readers=1):
        pid = self.city.broker.process.pid
        perf = None
        if self.perf:
            perf = subprocess.Popen(["perf", "record", "-q", "-g", "-F", "999", "-o", self.perf / f"{name}.data", "-p", str(pid)])
        try:
            done = subprocess.run(self.core_command(*arguments, readers=readers), capture_output=True, text=True, timeout=300)
        finally:
            if perf:
                perf.send_signal(signal.SIGINT)
                perf.wait()
        if done.returncode:
            raise Failed(f"core: {done.stderr}")
        return lines(done.stdout)

    def groups(self):
        return self.city.metric("shuyi_group_entries_sum"), self.city.metric("shuyi_group_entries_count")

    def core_throughput(self, records, readers=1):
        before = self.groups()
        parts, result = self.beside(lambda: self.core(f"core-{records}-{readers}", "--records", str(records), readers=readers))
        after = self.groups()
        cost = model.core(parts, records, readers)
        name = f"core, {records} {'record ' if records == 1 else ''}an envelope"
        self.table.add(f"{name}, 1 to {readers}", result["delivered"], "records/s", cost.ceiling)
        for side in ("provider", "broker", "consumer"):
            self.table.add(f"{name}, 1 to {readers}, {side} CPU", result[f"{side}_cpu"], "us/record", getattr(cost, side))
        self.table.add(f"{name}, 1 to {readers}, entries a group", (after[0] - before[0]) / max(after[1] - before[1], 1), "")
        return result

    def core_fan_out(self):
        result = self.core_throughput(64, READERS)
        self.table.add(f"receipts a delivery, 1 to {READERS}", result["receipts_per_delivery"], "")

    def core_latency(self):
        parts, (alone, paced) = self.beside(lambda: (self.core("core-alone", "--alone"), self.core("core-500", "--rate", "500")))
        for name, result, figure, against in (("acknowledgement, one in flight", alone, "ack", model.acknowledgement(parts)),
                                              ("acknowledgement at 500/s", paced, "ack", model.acknowledgement(parts)),
                                              ("core delivery to disk at 500/s", paced, "delivery", model.core_delivery(parts))):
            for q in ("p50", "p99"):
                self.table.add(f"{name}, {q}", result[f"{figure}_{q}"], "us", against)

    def stop(self):
        self.city.stop()
