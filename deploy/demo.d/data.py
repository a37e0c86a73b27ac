"""The divisions of Zhongshan, and a seeded day's work of changes to them."""
import csv, datetime, pathlib, random

ITEMS = ("code", "name", "level", "parent")


def divisions():
    path = pathlib.Path(__file__).parent / "divisions-zhongshan.csv"
    with open(path, encoding="utf-8", newline="") as f:
        return [{"code": r["code"], "name": r["name"], "level": r["level"], "parent": r["parent"] or None} for r in csv.DictReader(f)]


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + "000Z"


class Source:
    """The business system's own table: what every consumer must end up with."""

    def __init__(self, seed):
        self.random, self.rows, self.sent, self.next_village = random.Random(seed), {}, 0, 990

    def upsert(self, row):
        self.rows[row["code"]] = dict(row)
        self.sent += 1
        return {"op": "UPSERT", "changed_at": now(), "values": {k: row[k] for k in ITEMS}}

    def delete(self, code):
        del self.rows[code]
        self.sent += 1
        return {"op": "DELETE", "changed_at": now(), "values": {"code": code}}

    def load(self):
        return [self.upsert(row) for row in divisions()]

    def change(self):
        """One change: mostly a renamed village, sometimes a new one, sometimes one that is dissolved."""
        roll = self.random.random()
        villages = self.villages = [c for c in self.rows if len(c) == 12] if self.sent % 500 == 0 or not hasattr(self, "villages") else self.villages
        code = self.random.choice(villages)
        if roll < 0.1 and code in self.rows:
            return self.delete(code)
        base = self.rows.get(code) or {"code": code, "level": "village", "parent": code[:9], "name": "新村"}
        name = base["name"].split("#")[0] + f"#{self.random.randrange(10**6)}"
        return self.upsert({**base, "name": name})
