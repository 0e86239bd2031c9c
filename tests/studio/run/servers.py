"""Servers that an installation may be pointed at: a Postgres from the system's packages, a Redis on a port with a password."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from studio.run.redis_server import redis_server_binary
from tests.stack import free_ports

PASSWORD = "not-a-secret"
START_SECONDS = 60.0


def postgres_programs() -> Path | None:
    """The folder with `initdb` and `postgres`, or None when this machine has no Postgres server."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    if (found := shutil.which("initdb")) is not None:
        candidates.append(Path(found).resolve().parent)
    usable = [folder for folder in candidates if (folder / "initdb").exists() and (folder / "postgres").exists()]
    return usable[-1] if usable else None


class Postgres:
    """A cluster of its own in a temporary folder, on a port of 127.0.0.1. Postgres refuses to run as root: another user runs it."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.user = _unprivileged_user()
        self.folder = Path(tempfile.mkdtemp(prefix="es-pg-", dir="/tmp"))
        (self.port,) = free_ports(1)
        self.url = f"postgres://studio:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        self.process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(PASSWORD)
        if self.user:
            shutil.chown(self.folder, self.user)
            shutil.chown(password_file, self.user)
        command = [str(self.programs / "initdb"), "-D", str(self.folder / "data"), "-U", "studio", "--no-sync"]
        command += ["--auth", "scram-sha-256", "--pwfile", str(password_file), "--encoding", "UTF8", "--locale", "C"]
        subprocess.run(command, check=True, capture_output=True, user=self.user, cwd=self.folder)

    def run(self) -> None:
        """Start it and wait until it accepts connections."""
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-k", str(self.folder), "-c", "fsync=off"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, user=self.user, cwd=self.folder)
        _until(self.accepts)

    def accepts(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def halt(self) -> None:
        """At once, with connections cut."""
        if self.process is not None:
            children = psutil.Process(self.process.pid).children(recursive=True)
            self.process.kill()
            self.process.wait()
            psutil.wait_procs(children, timeout=10)
            (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)


@contextmanager
def postgres(programs: Path) -> Iterator[Postgres]:
    server = Postgres(programs)
    try:
        server.create()
        server.run()
        yield server
    finally:
        server.halt()
        shutil.rmtree(server.folder, ignore_errors=True)


@contextmanager
def redis_on_a_port() -> Iterator[str]:
    """The address of a Redis that asks for a password."""
    folder = tempfile.mkdtemp(prefix="es-redis-", dir="/tmp")
    (port,) = free_ports(1)
    command = [str(redis_server_binary()), "-", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.write(f"requirepass {PASSWORD}\nsave ''\n".encode())
    process.stdin.close()
    try:
        yield f"redis://:{PASSWORD}@127.0.0.1:{port}/3"
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged_user() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"Not within {START_SECONDS:.0f} s"
        time.sleep(0.05)
