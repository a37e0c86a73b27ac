"""Disk full at broker, provider and consumer: senders are told why, nothing acknowledged is lost, service resumes by itself.

Where mounts are permitted the stores lie on small tmpfs of their own, in a mount namespace that ends with this process."""
import errno, os, re, shutil, signal, subprocess, sys

from town import Town, equal, wait_for
import tap

MOUNTED = "SHUYI_TEST_MOUNTS"           # yes: we are in a namespace of our own; else why not
MIB = 1 << 20
NO_DATA, RESERVED = 2, 3                # steps of the ladder (broker/space.h)


# ---- mounts ----

def in_namespace():
    """Starts this script again where it may mount; or goes on without."""
    if MOUNTED in os.environ:
        return
    why = "unshare is not there"
    for how in (["unshare", "-m"], ["unshare", "-rm"]):
        if shutil.which("unshare"):
            probe = subprocess.run([*how, "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"], capture_output=True, text=True)
            if probe.returncode == 0:
                os.environ[MOUNTED] = "yes"
                os.execvp(how[0], [*how, sys.executable, "-B", *sys.argv])
            why = probe.stderr.strip() or "no mounts here"
    os.environ[MOUNTED] = why


def mount(directory, size):
    directory.mkdir(parents=True, exist_ok=True)
    if os.environ[MOUNTED] == "yes":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", directory], check=True)


def mount_all(town):
    mount(town.directory / "broker" / "store", 48 * MIB)
    mount(town.directory / "civil" / "state", 32 * MIB)
    mount(town.directory / "health", 48 * MIB)


def clear(town):
    town.city.stop()
    for name in ("broker/store", "civil/state", "health"):
        subprocess.run(["umount", town.directory / name], capture_output=True)
    town.end()


def needs_mounts():
    if os.environ[MOUNTED] != "yes":
        raise tap.Skip(f"cannot mount a small file system: {os.environ[MOUNTED]}")


class Filled:
    """A file that takes all but a share of a file system, while it is there."""

    def __init__(self, directory, percent):
        self.path, self.percent = directory / "filler", percent

    def __enter__(self):
        v = os.statvfs(self.path.parent)
        wanted = v.f_frsize * (v.f_blocks * self.percent // 100 - (v.f_blocks - v.f_bfree))
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            if self.percent < 100:
                os.posix_fallocate(fd, 0, max(wanted, v.f_frsize))
            else:
                self.write_on(fd)
        finally:
            os.close(fd)
        return self

    @staticmethod
    def write_on(fd):
        try:
            while True:
                os.write(fd, bytes(4096))
        except OSError as fault:
            equal(fault.errno, errno.ENOSPC, "filling up")

    def __exit__(self, *_):
        self.path.unlink()


# ---- helpers ----

def told(case):
    """Shows what the programs said last, when a case fails; all must run at its end."""
    def run(town):
        try:
            town.feed.going.clear()
            town.wait_up()
            case(town)
            town.must_live()
        except tap.Skip:
            raise
        except Exception:
            town.tails()
            recover(town)
            raise
    run.__name__ = case.__name__
    return run


def recover(town):
    """After a failure: no limit, all as it was, for the next case."""
    set_limit(town, 0)
    for line in (("outbox", "quota: "), ("store", "size_max: ")):
        agent_setting(town.civil, *line)
    for process in town.city.processes:
        process.stop()


def busy(town):
    return town.city.metric("shuyi_busy_total", reason="SPACE")


def step_is(town, step):
    return lambda: town.city.metric("shuyi_space_step") == step


def replace(path, text):
    """A file, whole or not at all: a program may be starting with it."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def set_limit(town, limit):
    """space.limit_bytes, by SIGHUP."""
    path = town.city.broker_config
    text = re.sub(r"space:\n.*\n", "", path.read_text())
    replace(path, text + (f"space:\n  limit_bytes: {limit}\n" if limit else ""))
    if town.city.broker.alive():
        town.city.broker.process.send_signal(signal.SIGHUP)


def used(directory):
    return sum(p.stat().st_blocks * 512 for p in directory.rglob("*") if p.is_file())


def agent_setting(agent, section, line):
    """Sets one line of a section of the agent's configuration; None takes it away again."""
    text = re.sub(rf"{section}:\n  test.*\n", "", agent.config.read_text())
    text = re.sub(rf"^  {line.split(':')[0]}: .*\n", "", text, flags=re.M)
    text = re.sub(rf"^{section}:\n(?!  )", "", text, flags=re.M)
    value = line.split(": ")[1]
    if value:
        text = text.replace(f"{section}:\n", f"{section}:\n  {line}\n") if f"{section}:\n" in text else text + f"{section}:\n  {line}\n"
    replace(agent.config, text)


def fill_until(town, status):
    """Pushes until the agent answers so; its answer."""
    town.feed.go(400)
    wait_for(f"a push to be answered {status}, not {sorted(town.feed.answers)}", lambda: town.feed.fault or status in town.feed.answers, 120)
    if town.feed.fault:
        raise town.feed.fault
    return town.feed.answers[status]


# ---- the broker ----

@told
def test_a_limit_stops_data_at_90_percent_and_acts_go_on(town):
    set_limit(town, used(town.directory / "broker" / "store") * 100 // 92)
    wait_for("the ladder's step", step_is(town, NO_DATA))
    before = busy(town)
    town.feed.go()
    wait_for("BUSY SPACE", lambda: busy(town) > before)
    equal(town.city.ready(), False, "ready while data is refused")
    town.receipted(*town.act(town.prepare_act(town.health)))
    wait_for("a push", lambda: town.feed.pushes)
    equal(town.push_state(-1) in ("taken", "sealed"), True, "a push that the center does not take waits")
    set_limit(town, 0)
    town.settle()


@told
def test_at_95_percent_only_what_must_pass_and_room_lets_all_pass(town):
    needs_mounts()
    prepared = town.prepare_act(town.health)
    with Filled(town.directory / "broker" / "store", 97):
        wait_for("the ladder's step", step_is(town, RESERVED))
        before = busy(town)
        town.feed.go()
        agent, digest = town.act(prepared)
        wait_for("BUSY SPACE", lambda: busy(town) > before)
        equal(town.act_state(agent, digest)["state"] in ("kept", "sent"), True, "an act that the center does not take")
    town.settle()
    town.receipted(agent, digest)


@told
def test_a_full_disk_under_the_broker_loses_nothing(town):
    needs_mounts()
    town.feed.go()
    with Filled(town.directory / "broker" / "store", 100):
        wait_for("the ladder's step", step_is(town, RESERVED))
        before = busy(town)
        wait_for("BUSY SPACE", lambda: busy(town) > before)
        town.must_live()
    town.settle()
    town.receipts_stand()


# ---- the provider's agent ----

@told
def test_at_the_outbox_quota_pushes_are_answered_429_until_the_broker_is_back(town):
    agent_setting(town.civil, "outbox", "quota: 64KiB")
    town.civil.process.send_signal(signal.SIGHUP)
    town.city.broker.kill()
    problem = fill_until(town, 429)
    equal((problem["status"], problem["code"]), (429, "E_QUOTA"), "the problem told")
    agent_setting(town.civil, "outbox", "quota: ")
    town.civil.process.send_signal(signal.SIGHUP)
    town.city.broker.start()
    town.settle()


@told
def test_a_full_disk_under_the_provider_answers_507_until_there_is_room(town):
    needs_mounts()
    town.city.broker.kill()
    with Filled(town.directory / "civil" / "state", 100):
        problem = fill_until(town, 507)
        equal(problem["status"], 507, "the problem told")
        town.must_live(but=town.city.broker)
        town.city.broker.start()
        wait_for("what was taken to be received by the center", lambda: town.push_state(0) == "received")
    town.settle()


@told
def test_a_store_at_its_size_answers_429_until_the_broker_is_back(town):
    town.civil.stop()
    agent_setting(town.civil, "store", "size_max: 16MiB")
    town.civil.start()
    wait_for("the agent to answer", town.civil.status)
    town.city.broker.kill()
    fill_until(town, 429)
    town.city.broker.start()
    town.settle()
    town.civil.stop()
    agent_setting(town.civil, "store", "size_max: ")
    town.civil.start()


# ---- the consumer's agent ----

@told
def test_a_full_disk_under_the_consumer_holds_its_stream_until_there_is_room(town):
    needs_mounts()
    with Filled(town.directory / "health", 100):
        town.feed.go()
        wait_for("what is pushed to be received by the center", lambda: town.feed.fault or (len(town.feed.pushes) > 30 and town.push_state(-20) == "received"))
        town.must_live()
    town.settle()


def test_at_the_end_every_record_is_at_the_consumer_as_at_the_source(town):
    town.compare_all()


def test_at_the_end_every_receipt_stands(town):
    town.receipts_stand()


@told
def test_at_the_end_the_log_derives_again_and_no_number_is_used_twice(town):
    town.log_holds()
    town.city.broker.start()


if __name__ == "__main__":
    in_namespace()
    only = sys.argv[2:]
    cases = {k: v for k, v in globals().items() if k.startswith("test_") and (not only or "at_the_end" in k or any(o in k for o in only))}
    tap.run(cases, before=lambda: Town(sys.argv[1], mount_all), after=clear)
