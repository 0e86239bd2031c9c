"""A whole studio for tests and measurements: `python -m studio.run` as a child, on free ports, in a short home of its own.

    with Studio.start(sample=True) as studio:
        httpx.get(f"{studio.url}/healthz")

Imports nothing of the studio: who uses this decides what Django is set up for.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from deployments.compute.supervisor import Program, Supervisor

REPOSITORY = Path(__file__).resolve().parent.parent
PORTS = ("STUDIO_PORT", "STUDIO_TLS_PORT", "GATEWAY_PORT", "GATEWAY_TLS_PORT")
UP_SECONDS = 150.0
SAMPLE_SECONDS = 300.0
STOP_SECONDS = 60.0
_OWN_VARIABLES = ("STUDIO_", "GATEWAY_", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "PYTEST_")


class Studio:
    """One installation and the foreground program that runs it."""

    def __init__(self, home: Path | None = None, *, sample: bool = False, **environment: str) -> None:
        """`environment` are variables beside the ports, which are free ones unless given. Nothing is started yet."""
        self.owns_home = home is None
        self.home = home or Path(tempfile.mkdtemp(prefix="es-", dir="/tmp"))
        self.sample = sample
        chosen = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self.environment = (
            chosen | {"STUDIO_HOME": str(self.home), "STUDIO_SAMPLE": "1" if sample else "0"} | environment
        )
        self.output_file = self.home.with_name(f"{self.home.name}.out")
        self.process: subprocess.Popen[bytes] | None = None
        self.runs = 0

    @classmethod
    def start(cls, home: Path | None = None, *, sample: bool = False, **environment: str) -> Self:
        """A studio all of whose parts are up; with `sample`, also its endpoint `churn`. Raises AssertionError with its output."""
        studio = cls(home, sample=sample, **environment)
        studio.run()
        studio.wait_until_up()
        return studio

    def run(self) -> None:
        """Start the foreground program, without waiting for anything. Its output is appended to that of earlier runs."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OWN_VARIABLES)}
        self.runs += 1
        with open(self.output_file, "ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "studio.run"],
                cwd=REPOSITORY,
                env=inherited | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_until_up(self) -> None:
        """Until all that is said at the start has been said, for the newest run."""
        patience_seconds = SAMPLE_SECONDS if self.sample else UP_SECONDS
        self.until(lambda: self.output.count("Try:") >= self.runs and self.is_healthy(), patience_seconds)
        if self.sample:
            assert self.credentials["sample_scoring_uri"], self.output

    def is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=10.0).status_code == 200
        except httpx.TransportError:
            return False

    def failing(self) -> list[str]:
        """The parts that are not up, as far as the studio itself can tell."""
        parts = self.client.get("/healthz").json()["parts"]
        return [part for part, found in parts.items() if found != "ok"]

    # --- what a test talks to

    @property
    def url(self) -> str:
        return f"http://localhost:{self.environment['STUDIO_PORT']}"

    @property
    def gateway_url(self) -> str:
        return f"http://localhost:{self.environment['GATEWAY_PORT']}"

    @property
    def credentials(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.home / "credentials.json").read_text())
        return found

    @cached_property
    def client(self) -> httpx.Client:
        """Signed in by nothing but what a request brings; trusts the installation's authority."""
        trust = ssl.create_default_context(cafile=self.credentials["ca_file"])
        return httpx.Client(base_url=self.url, verify=trust, timeout=30.0)

    @property
    def output(self) -> str:
        """What the foreground program has said since this object was made."""
        return self.output_file.read_text(errors="replace") if self.output_file.exists() else ""

    def log(self, part: str) -> str:
        return (self.home / "logs" / f"{part}.log").read_text(errors="replace")

    # --- its processes

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(str(self.home / "supervisor.sock"))

    def programs(self) -> dict[str, Program]:
        """Parts and instances by name."""
        return self.supervisor.programs()

    def pids(self) -> dict[str, int]:
        """Process ids of all that runs under supervisord, and of supervisord and the foreground program themselves."""
        found = {name: program.pid for name, program in self.programs().items() if program.pid}
        found["supervisord"] = int((self.home / "run" / "supervisord.pid").read_text())
        if self.process is not None:
            found["foreground"] = self.process.pid
        return found

    def tree(self) -> list[psutil.Process]:
        """Every process of the installation, instances included."""
        roots = [psutil.Process(self.pids()["supervisord"])]
        if self.process is not None and self.process.poll() is None:
            roots.append(psutil.Process(self.process.pid))
        found = {process.pid: process for root in roots for process in (root, *root.children(recursive=True))}
        return list(found.values())

    def kill(self, part: str) -> int:
        """kill -9 the part's process (gunicorn's first, for the web); returns the process id it had."""
        pid = self.pids()[part]
        os.kill(pid, signal.SIGKILL)
        return pid

    def until(self, is_so: Callable[[], bool], seconds: float = 60.0) -> None:
        """Poll until it is so. Raises AssertionError with the output when it is not in time or the program has ended."""
        deadline = time.monotonic() + seconds
        while not is_so():
            ended = self.process is not None and self.process.poll() is not None
            assert not ended, f"The foreground program has ended:\n{self.output}"
            assert time.monotonic() < deadline, f"Not within {seconds:.0f} s:\n{self.output}"
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM, and wait until everything has ended. Removes the home if it was made here. Twice is the same as once."""
        with ExitStack() as afterwards:
            if "client" in self.__dict__:
                afterwards.callback(self.client.close)
            if self.owns_home:
                afterwards.callback(shutil.rmtree, self.home, ignore_errors=True)
                afterwards.callback(self.output_file.unlink, missing_ok=True)
            self.halt()

    def halt(self) -> None:
        """Stop all processes, keep the data: `run` starts it again."""
        if self.process is None:
            return
        leftovers = self.tree() if (self.home / "supervisor.sock").exists() and self.process.poll() is None else []
        self.process.terminate()
        try:
            code = self.process.wait(STOP_SECONDS)
        finally:
            self.process = None
            _, alive = psutil.wait_procs(leftovers, timeout=1.0)
            for process in alive:
                process.kill()
        assert not alive, f"Still running after the stop: {alive}\n{self.output}"
        assert code in (0, 2), self.output

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
