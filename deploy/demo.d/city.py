"""The city's machines on loopback: broker, agents, and the people who type `shuyi`."""
import http.client, json, os, pathlib, signal, socket, subprocess, time

BUSY_WAIT = 0.05
DOMAIN = "442000"


class Failed(Exception):
    """Something did not hold."""


def wait_for(what, condition, seconds=60):
    """Waits until condition() is true (its value is returned); says what it waited for if it never is."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s in vain for {what}")
        time.sleep(BUSY_WAIT)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A program that can be killed and started again with the same arguments; its log goes to a file."""

    def __init__(self, name, arguments, log, env=None):
        self.name, self.arguments, self.log, self.env, self.process = name, [str(a) for a in arguments], log, dict(env or {}), None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self.env})
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


class Agent(Process):
    """A department's agent: its daemon and its API."""

    def __init__(self, city, name, department, sink=None):
        self.dir = city.dir / name
        self.socket, self.config, self.department = self.dir / "api.sock", self.dir / "agent.yaml", department
        self.sink = self.dir / "received.ndjson" if sink else None
        super().__init__(name, [city.bin("agent/shuyi-agent"), "--config", self.config], self.dir / "agent.log")

    def configure(self, welcome):
        sinks = f"sinks:\n  - source: \"*\"\n    type: ndjson\n    path: {self.sink}\n" if self.sink else ""
        self.config.write_text(f"state_dir: {self.dir}/state\nkeys_file: {self.dir}/agent.key\nwelcome_file: {welcome}\n"
                               f"api:\n  listen: unix:{self.socket}\nstore:\n  allow_volatile: true\n{sinks}")

    def lines(self):
        """What the sink holds so far, by whole lines: the last one may just be on its way."""
        text = self.sink.read_bytes() if self.sink.exists() else b""
        return [json.loads(line) for line in text[:text.rfind(b"\n") + 1].splitlines()]

    def call(self, method, path, body=None, headers=None):
        connection = UnixConnection(self.socket)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text and "json" in (answer.getheader("Content-Type") or "") else text.decode()
        finally:
            connection.close()

    def status(self):
        try:
            status, answer = self.call("GET", "/v1/status")
            return answer if status == 200 else {}
        except (OSError, http.client.HTTPException):
            return {}

    def linked(self):
        return self.status().get("link") == "up"

    def agent_id(self):
        return self.status()["agent"]


class Witness(Process):
    """A body of its own that looks at every head of the log: neither the center nor a department runs it."""

    def __init__(self, city, name):
        self.city, self.dir, self.port = city, city.dir / name, free_port()
        self.full_name, self.url = f"{name}.{DOMAIN}.example", f"http://127.0.0.1:{self.port}/add-checkpoint"
        self.vkey = city.shuyi("witness", "init", "--dir", self.dir, "--name", self.full_name)["vkey"]
        super().__init__(name, [], city.dir / f"{name}.log")

    def serve(self, anchor):
        self.arguments = [str(a) for a in (self.city.bin("agent/cli/shuyi"), "witness", "serve", "--dir", self.dir,
                                           "--listen", f"tcp://127.0.0.1:{self.port}", "--anchor", anchor)]
        self.start()
        wait_for(f"the witness {self.name} to serve (see {self.log})", self.up)
        return self

    def up(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def size(self):
        """Of the head that it cosigned last, out of its state."""
        for line in (self.dir / "state").read_text().splitlines():
            if line.startswith("log "):
                return int(line.split(" ")[2])
        return 0


class Person:
    """Somebody with a key file of their own."""

    def __init__(self, city, name, department, roles, office="数据管理科"):
        self.name, self.department, self.roles, self.office = name, department, roles, office
        safe = "".join(c if c.isascii() and c.isalnum() else f"{ord(c):x}" for c in name)
        self.key, self.join, self.staff_file = (city.dir / "people" / f"{safe}-{'-'.join(roles)}{end}" for end in (".key", ".join", ".json"))
        self.staff = {"office": office, "name": name, "duty": "政务数据管理", "phone": "0760-88880000", "email": "data@example.invalid", "roles": roles}
        self.staff_file.write_text(json.dumps(self.staff, ensure_ascii=False))


class City:
    def __init__(self, build, directory):
        self.build, self.dir = pathlib.Path(build).resolve(), pathlib.Path(directory).resolve()
        (self.dir / "people").mkdir(parents=True, exist_ok=True)
        (self.dir / "broker").mkdir(exist_ok=True)
        self.passphrase = self.dir / "passphrase"
        self.passphrase.write_text("a long passphrase for the demo\n")
        self.passphrase.chmod(0o600)
        self.port, self.http_port, self.processes, self.map_bytes = free_port(), free_port(), [], "1GiB"
        self.endpoint = f"tcp://127.0.0.1:{self.port}"
        self.broker_config = self.dir / "broker" / "broker.yaml"
        self.broker = self.add(Process("broker", [self.bin("broker/shuyi-broker"), "--config", self.broker_config], self.dir / "broker" / "broker.log"))

    def bin(self, name):
        return self.build / name

    def configure_broker(self, domain, origin, more=""):
        self.broker_config.write_text(
            f"domain: \"{domain}\"\nlog:\n  origin: {origin}\nkeys:\n  broker: broker.key\n  log: log.key\n"
            f"store:\n  dir: store\n  allow_volatile: true\n  map_bytes: {self.map_bytes}\n"
            f"link:\n  listen: {self.endpoint}\nhttp:\n  listen: tcp://127.0.0.1:{self.http_port}\n{more}")

    def add(self, process):
        self.processes.append(process)
        return process

    def environment(self, agent=None):
        env = {**os.environ, "SHUYI_PASSPHRASE_FILE": str(self.passphrase), "SHUYI_DEMO_KEYS": "1",
               "SHUYI_BROKER": str(self.bin("broker/shuyi-broker"))}
        if agent:
            env["SHUYI_AGENT"] = str(agent.socket)
        return env

    def run(self, arguments, agent=None):
        """Runs a program of ours: (exit code, stdout, stderr)."""
        done = subprocess.run([str(a) for a in arguments], env=self.environment(agent), capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout, done.stderr

    def shuyi(self, *arguments, agent=None, expect=(0,)):
        """One `shuyi` command with --json: its decoded result."""
        code, out, err = self.run([self.bin("agent/cli/shuyi"), *arguments, "--json"], agent)
        if code not in expect:
            raise Failed(f"shuyi {' '.join(str(a) for a in arguments)} ended with {code}:\n{out}{err}")
        values = [json.loads(line) for line in out.splitlines() if line.startswith(("{", "["))]
        return values[-1] if values else {}

    def act(self, agent, person, *arguments, expect=(0,), role=None):
        """An act signed by one person."""
        more = ["--as", role] if role else []
        return self.shuyi(*arguments, "--key", person.key, "--yes", *more, agent=agent, expect=expect)

    def two(self, agent, first, second, *arguments, expect=(0,), roles=(None, None)):
        """An act that needs two signatures: a draft, then the second person signs it and it is sent."""
        draft = self.act(agent, first, *arguments, expect=(5,), role=roles[0])["draft"]
        return self.act(agent, second, "draft", "sign", draft, expect=expect, role=roles[1])

    def metric(self, name, **labels):
        """The sum of a broker metric over the series that carry these labels."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        total = 0.0
        for line in text.splitlines():
            if line.split("{")[0].split(" ")[0] == name and all(f'{k}="{v}"' in line for k, v in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def ready(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=2)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def stop(self):
        """Ends all programs; what a sanitizer had to say of one is a failure."""
        for process in reversed(self.processes):
            process.stop()
        for process in self.processes:
            text = pathlib.Path(process.log).read_text(errors="replace") if pathlib.Path(process.log).exists() else ""
            for mark in ("ThreadSanitizer", "AddressSanitizer", "LeakSanitizer", "runtime error:"):
                if mark in text:
                    raise Failed(f"{process.name}: {text[max(0, text.index(mark) - 200):][:4000]}")
