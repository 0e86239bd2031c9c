"""A studio's home with a running supervisord of its own, and a stand-in for the inference server that misbehaves on request."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from deployments.compute.contract import DriverUnavailable, InstanceSpec, InstanceState, Observation
from deployments.compute.local import LocalDriver

T = TypeVar("T")
PATIENCE_SECONDS = 30.0
MIB = 1024**2

SUPERVISORD_CONF = """\
[unix_http_server]
file={home}/supervisor.sock
chmod=0700
[supervisord]
nodaemon=true
silent=true
logfile={home}/logs/supervisord.log
pidfile={home}/supervisor/supervisord.pid
{user}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[include]
files={home}/supervisor/instances/*.conf
"""

STAND_IN = '''\
"""Serves what the environment variable BEHAVIOUR names, on the socket it is given."""
import http.server, json, os, signal, socketserver, subprocess, sys, time

behaviour = os.environ.get("BEHAVIOUR", "serve")
print(f"behaviour {behaviour}", flush=True)
if behaviour == "script fails":
    print("ModuleNotFoundError: No module named 'sklearn'", file=sys.stderr, flush=True)
    sys.exit(3)
if behaviour == "crash":
    sys.exit(1)
if behaviour == "crash once" and not os.path.exists(os.environ["HOME"] + "/crashed"):
    open(os.environ["HOME"] + "/crashed", "w").close()
    sys.exit(1)
if behaviour == "eat memory":
    hoard = []
    while True:
        hoard.append(bytearray(os.urandom(1024) * 1024))
if behaviour == "never listen":
    time.sleep(600)
if behaviour == "ignore stop":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if behaviour == "leave a child":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    print(f"child {child.pid}", flush=True)
if behaviour == "link elsewhere":
    os.symlink(os.environ["ELSEWHERE"], sys.argv[sys.argv.index("--socket") + 1])
    time.sleep(600)
if behaviour == "use cpu":
    while time.process_time() < 0.5:
        pass


def attempt(action):
    try:
        return repr(action())
    except OSError as error:
        return type(error).__name__


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answer = json.dumps(look_around(), default=str).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def address_string(self):
        return "-"


def look_around():
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    wanted = [path for path in os.environ.get("LOOK_AT", "").split(":") if path]
    return {
        "arguments": sys.argv,
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "uid": os.getuid(),
        "groups": os.getgroups(),
        "status": {key: value.strip() for key, value in status.items()},
        "processes": [int(name) for name in os.listdir("/proc") if name.isdigit()],
        "reads": {path: attempt(lambda: open(path).read()) for path in wanted},
        "lists": {path: attempt(lambda: sorted(os.listdir(path))) for path in wanted},
        "writes": {path: attempt(lambda: open(path + "/written", "w").close()) for path in wanted},
        "descriptors": [attempt(lambda: os.readlink(f"/proc/self/fd/{fd}")) for fd in os.listdir("/proc/self/fd")],
        "affinity": len(os.sched_getaffinity(0)),
    }


path = sys.argv[sys.argv.index("--socket") + 1]
socketserver.ThreadingUnixStreamServer.daemon_threads = True
socketserver.ThreadingUnixStreamServer(path, Handler).serve_forever()
'''


class Installation:
    """`start` and `stop` its supervisord at will; `close` ends everything and deletes the home."""

    def __init__(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="es-", dir="/tmp"))
        self.home = self.top / "home"
        for folder in ("supervisor/instances", "logs", "runtime/inference_server", "code", "model"):
            (self.home / folder).mkdir(parents=True)
        self.home.chmod(0o700)
        self.runtime = self.home / "runtime"
        (self.runtime / "inference_server" / "__main__.py").write_text(STAND_IN)
        (self.home / "code" / "score.py").write_text("def init(): ...\ndef run(data): ...\n")
        (self.home / "model" / "model.txt").write_text("weights")
        (self.home / "secret.txt").write_text("the studio's own")
        user = "user=root" if os.geteuid() == 0 else ""
        self.conf = self.home / "supervisor" / "supervisord.conf"
        self.conf.write_text(SUPERVISORD_CONF.format(home=self.home, user=user))
        self.driver = LocalDriver(self.home)
        self.process: subprocess.Popen[bytes] | None = None
        self.made = 0

    def start(self) -> None:
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.conf)]
        secret = {**os.environ, "DATABASE_URL": "postgres://secret"}
        self.process = subprocess.Popen(command, env=secret, stdout=subprocess.DEVNULL, start_new_session=True)
        insist(self.driver.observe_all)

    def stop(self) -> None:
        """End supervisord and, through it, every instance."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.top)

    def spec(self, behaviour: str = "serve", **overrides: object) -> InstanceSpec:
        """A specification nobody has used yet."""
        self.made += 1
        variables = {"BEHAVIOUR": behaviour, **overrides.pop("environment", {})}  # type: ignore[dict-item]
        settings: dict[str, object] = {
            "name": f"i-{os.getpid():x}-{self.made}",
            "python": Path(sys.prefix) / "bin" / "python",
            "runtime_dir": self.runtime,
            "app_dir": self.home / "code",
            "entry_script": "score.py",
            "model_dir": self.home / "model",
            "memory_limit_bytes": 128 * MIB,
            "stop_grace_seconds": 5.0,
            "environment": variables,
        }
        return InstanceSpec(**{**settings, **overrides})  # type: ignore[arg-type]

    def run(self, spec: InstanceSpec) -> Observation:
        """Start an instance and wait until it is Running."""
        self.driver.ensure(spec)
        return self.wait_for(spec.name, InstanceState.RUNNING)

    def wait_for(self, name: str, *states: InstanceState) -> Observation:
        return poll(lambda: self.driver.observe(name), lambda seen: seen.state in states)

    def remove(self, name: str) -> None:
        insist(lambda: self.driver.remove(name))
        self.wait_for(name, InstanceState.ABSENT)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE_SECONDS)
            self.process = None


def insist(call: Callable[[], T], seconds: float = PATIENCE_SECONDS) -> T:
    """Call until it is not temporarily unavailable."""
    until = time.monotonic() + seconds
    while True:
        try:
            return call()
        except DriverUnavailable:
            if time.monotonic() > until:
                raise
        time.sleep(0.02)


def poll(look: Callable[[], T], is_wanted: Callable[[T], object], seconds: float = PATIENCE_SECONDS) -> T:
    """Look until what is seen is wanted; fails with the last thing seen."""
    until = time.monotonic() + seconds
    while not is_wanted(seen := insist(look)):
        assert time.monotonic() < until, f"still {seen} after {seconds} s"
        time.sleep(0.02)
    return seen


def get(address: str, path: str = "/") -> bytes:
    """The body of an answer at an instance's address."""
    connection = http.client.HTTPConnection("localhost", timeout=PATIENCE_SECONDS)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(PATIENCE_SECONDS)
    try:
        connection.sock.connect(address.removeprefix("unix:"))
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()
