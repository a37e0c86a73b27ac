"""One store, short and long: the program `fill` makes the difference, outside of what is timed."""
import re, subprocess, time

import model
from city import Failed
from table import lines

SHORT, REPLAYED, LONG = 10_000, 200_000, 10_000_000
TAIL_S = 0.1                    # state is committed so often: what a restart applies again at most


class LongLog:
    def __init__(self, exchange):
        self.x, self.city = exchange, exchange.city
        self.entry_us = None            # what the broker needs to apply one entry of the log again

    def fill(self, entries):
        """Between two runs of the broker."""
        self.city.broker.stop()
        self.grow(entries)
        self.start()

    def grow(self, entries):
        print(f"  (filling the log to {entries:,} entries)", flush=True)
        done = subprocess.run([self.x.build / "tests/bench/fill", self.city.broker_config, self.x.grant, str(entries)], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"fill: {done.stderr}")
        self.entry_us = 1e6 / lines(done.stdout)["filled"]

    def start(self):
        """us from exec to readiness."""
        began = time.monotonic_ns()
        self.city.broker.start()
        while not self.city.ready():
            if not self.city.broker.alive() or time.monotonic_ns() - began > 600e9:
                raise Failed(f"the broker does not become ready (see {self.city.broker.log})")
            time.sleep(0.002)
        return (time.monotonic_ns() - began) / 1e3

    def clean_start(self):
        self.city.broker.stop()
        return self.start()

    def throughput(self):
        """Of the ceiling, so that a busier minute does not count."""
        parts, result = self.x.beside(lambda: self.x.core("long", "--records", "1"))
        return result["delivered"] / model.core(parts, 1).ceiling

    def broker_command(self, *arguments):
        done = subprocess.run([self.x.build / "broker/shuyi-broker", *arguments, "--config", self.city.broker_config], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"shuyi-broker {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def replay(self):
        """From an image of the short log over what follows it: (entries a second of processor time, the same of its parts)."""
        self.city.broker.stop()
        self.broker_command("--base")
        self.grow(SHORT + REPLAYED)
        parts, told = self.x.beside(lambda: self.broker_command("--replay", "--from-base"))
        self.start()
        entries, cpu_s = (float(re.search(rf"\b{name}=([0-9.]+)", told[told.index("\nentries="):]).group(1)) for name in ("entries", "cpu_seconds"))
        if entries < REPLAYED / 2:
            raise Failed(f"the replay did not begin at the image: {told}")
        return entries / cpu_s, 1e6 / model.replayed(parts)

    def restart(self):
        """(us from exec to readiness after a kill in mid-load, us that the tail of the log costs)."""
        load = self.x.start_core("--records", "1")
        before = self.city.metric("shuyi_log_sequence")
        time.sleep(2)
        rate = (self.city.metric("shuyi_log_sequence") - before) / 2
        if load.poll() is not None or rate <= 0:
            raise Failed("there is no load to kill the broker under")
        self.city.broker.kill()
        load.kill()
        load.wait()
        return self.start(), rate * TAIL_S * self.entry_us
