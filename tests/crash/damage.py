"""Flipped bytes in the files of a real broker and a real agent: `check` and the next start name them, and the state comes back from the log."""
import shutil, sys

from town import SLOW, Failed, Town, equal, wait_for
import tap


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def flip_rows(path):
    """In each page of a store, for which ones are in use we do not know: rows lie at a page's end."""
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 + 4090] ^= 0x10
    path.write_bytes(data)


def check(town):
    return town.city.run([town.city.bin("broker/shuyi-broker"), "check", "--config", town.city.broker_config])


def ends_with(process, text):
    """It does not start, and says why."""
    since = process.log.stat().st_size
    process.start()
    wait_for(f"{process.name} to end", lambda: not process.alive(), SLOW)
    said = process.log.read_text(errors="replace")[since:]
    equal((process.process.returncode > 0, text in said), (True, True), f"{process.name} ended with {process.process.returncode}: {said[-800:]}")


def work(town):
    town.wait_up()
    before = len(town.feed.pushes)
    town.feed.go()
    wait_for("some pushes", lambda: town.feed.fault or len(town.feed.pushes) > before + 8)
    town.settle()


def test_all_damage_of_a_log_is_named_with_its_entries(town):
    work(town)
    town.city.broker.stop()
    path = sorted((town.directory / "broker" / "store" / "log").glob("*.seg"))[0]
    whole = path.read_bytes()
    flip(path, 4096 + 100)
    flip(path, 4096 + 5000)
    code, out, err = check(town)
    equal(code, 1, f"check: {out}{err}")
    lines = [line for line in err.splitlines() if line.startswith("damaged: log file 1 ")]
    equal(len(lines), 2, f"named: {err}")
    equal("entry 1 " in lines[0], True, lines[0])
    path.write_bytes(whole)
    equal(check(town)[0], 0, "check of the whole log")


def test_a_damaged_state_is_named_is_not_used_and_comes_back_from_the_log(town):
    state = town.directory / "broker" / "store" / "state"
    whole = (state / "data.mdb").read_bytes()
    flip_rows(state / "data.mdb")
    code, out, err = check(town)
    equal((code, "move" in out, "damaged" in err), (1, True, True), f"check of damaged rows: {out}{err}")
    (state / "data.mdb").write_bytes(whole)
    flip(state / "data.mdb", 16 + 128)  # the number of the last transaction
    code, out, err = check(town)
    equal((code, "move" in out), (1, True), f"check: {out}{err}")
    ends_with(town.city.broker, "store.damaged")
    shutil.move(state, town.directory / "state-damaged")
    work(town)
    town.log_holds()


def test_a_damaged_row_of_an_agent_is_named_at_its_start(town):
    town.wait_up()
    town.civil.stop()
    path = town.directory / "civil" / "state" / "data.mdb"
    whole = path.read_bytes()
    flip_rows(path)
    ends_with(town.civil, "store.damaged")
    path.write_bytes(whole)
    work(town)


def test_another_storage_key_is_told_at_the_start(town):
    town.health.stop()
    path = town.directory / "health" / "state" / "storage.key"
    flip(path, 7)
    ends_with(town.health, "agent.vault")
    flip(path, 7)
    work(town)
    town.compare_all()


if __name__ == "__main__":
    tap.run(globals(), before=lambda: Town(sys.argv[1]), after=lambda town: town.end())
