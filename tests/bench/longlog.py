"""One store, short and long: the program `fill` makes the difference, outside of what is timed."""
import subprocess, time

import model
from city import Failed
from table import lines

SHORT, LONG = 10_000, 10_000_000
TAIL_S = 0.1                    # state is committed so often: what a restart applies again at most


class LongLog:
    def __init__(self, exchange):
        self.x, self.city = exchange, exchange.city
        self.entry_us = None            # what the broker needs to apply one entry of the log again

    def fill(self, entries):
        """Between two runs of the broker."""
        self.city.broker.stop()
        print(f"  (filling the log to {entries:,} entries)", flush=True)
        done = subprocess.run([self.x.build / "tests/bench/fill", self.city.broker_config, self.x.grant, str(entries)], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"fill: {done.stderr}")
        self.entry_us = 1e6 / lines(done.stdout)["filled"]
        self.start()

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
