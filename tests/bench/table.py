"""The figures of a run: printed as they come, kept as tab-separated values, held against the goals."""
import collections, operator

Goal = collections.namedtuple("Goal", "of compare bound")       # of: "value" or "ratio"
COMPARE = {">=": operator.ge, "<=": operator.le}

# What the exchange is held to (README.md): figure -> goal.  A ratio is to the ceiling or the sum of parts of the same minute.
GOALS = {
    "core, 1 record an envelope, 1 to 1": Goal("ratio", ">=", 0.8),
    "core, 64 an envelope, 1 to 1": Goal("ratio", ">=", 0.7),
    "core, 64 an envelope, 1 to 8": Goal("ratio", ">=", 0.6),
    "receipts a delivery, 1 to 8": Goal("value", "<=", 0.1),
    "full, 100 records a push, 1 to 1": Goal("ratio", ">=", 0.6),
    "acknowledgement, one in flight, p50": Goal("ratio", "<=", 1.5),
    "push to sink at 500/s, p50": Goal("ratio", "<=", 2.0),
    "push to sink at 500/s, p99": Goal("ratio", "<=", 4.0),
    "throughput on 10 million entries": Goal("ratio", ">=", 0.95),
    "replay from BASE": Goal("ratio", ">=", 0.5),
    "restart after kill -9 on 10 million entries": Goal("ratio", "<=", 3.0),
    "broker, idle, RssAnon": Goal("value", "<=", 16.0),
    "broker, 1,000 agents, RssAnon": Goal("value", "<=", 96.0),
    "agent, RssAnon": Goal("value", "<=", 8.0),
    "delivery p99, 1,000 agents, 100 hostile or dead": Goal("ratio", "<=", 2.0),
}


def number(value, digits):
    return "" if value is None else f"{value:,.{digits}f}"


def lines(text):
    """name, value, unit: what the programs of this folder print."""
    return {f[0]: float(f[1]) for f in (line.split("\t") for line in text.splitlines()) if len(f) == 3}


class Table:
    """In the order in which they are measured.  A figure that fails is a row without a value."""

    def __init__(self):
        self.rows, self.failed, self.skipped = [], [], []

    def head(self):
        print(f"{'figure':<76} {'value':>12} {'unit':<11} {'ceiling':>12} {'ratio':>6}  goal", flush=True)

    def add(self, name, value, unit, against=None):
        ratio = value / against if against else None
        self.rows.append((name, value, unit, against, ratio))
        print(f"{name:<76} {number(value, 1 if abs(value) >= 10 else 3):>12} {unit:<11} {number(against, 1):>12} {number(ratio, 2):>6}  {self.verdict(name)}".rstrip(), flush=True)

    def fail(self, name, why):
        self.failed.append(name)
        print(f"{name:<76} not measured: {why}", flush=True)

    def skip(self, name):
        """Not part of a quick run."""
        self.skipped.append(name)

    def met(self, name):
        """True, False, or None where there is no goal or no figure."""
        goal, row = GOALS.get(name), next((r for r in self.rows if r[0] == name), None)
        if not goal or not row:
            return None
        return COMPARE[goal.compare](row[1] if goal.of == "value" else row[4], goal.bound)

    def verdict(self, name):
        goal = GOALS.get(name)
        return f"{goal.compare} {goal.bound:g} {'met' if self.met(name) else 'MISSED'}" if goal else ""

    def sum(self):
        """(goals met, goals that this run had to measure, are all of them measured)."""
        wanted = [g for g in GOALS if g not in self.skipped]
        return sum(1 for g in wanted if self.met(g)), len(wanted), not self.failed and all(self.met(g) is not None for g in wanted)

    def write(self, path):
        with open(path, "w", encoding="utf-8") as f:
            f.write("figure\tvalue\tunit\tceiling\tratio\tgoal\tmet\n")
            for name, value, unit, against, ratio in self.rows:
                goal, met = GOALS.get(name), self.met(name)
                f.write("\t".join([name, f"{value:.4f}", unit, f"{against:.4f}" if against else "", f"{ratio:.4f}" if ratio else "",
                                   f"{goal.of} {goal.compare} {goal.bound:g}" if goal else "", "" if met is None else "yes" if met else "no"]) + "\n")
