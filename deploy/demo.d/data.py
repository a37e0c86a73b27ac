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
        self.random, self.rows, self.sent = random.Random(seed), {}, 0
        self.villages = {r["code"]: r for r in divisions() if r["level"] == "village"}
        self.codes = sorted(self.villages)

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
        """One change: mostly a renamed village, sometimes one that is dissolved or comes back."""
        code = self.random.choice(self.codes)
        if code in self.rows and self.random.random() < 0.1:
            return self.delete(code)
        village = self.villages[code]
        return self.upsert({**village, "name": f"{village['name']}#{self.random.randrange(10**6)}"})
