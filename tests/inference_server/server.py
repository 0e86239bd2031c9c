"""A real server process for tests, and a small HTTP client for its socket."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parent / "scripts"
MAIN = Path(__file__).resolve().parents[2] / "inference_server" / "__main__.py"
PATIENCE_SECONDS = 30.0


def eventually(is_so: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Poll until `is_so()` is truthy; its value."""
    ends_at = time.monotonic() + seconds
    while not (value := is_so()):
        assert time.monotonic() < ends_at, f"not within {seconds} s: {what}"
        time.sleep(0.01)
    return value


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client(http.client.HTTPConnection):
    """One keep-alive connection to a unix socket."""

    def __init__(self, path: str, timeout: float = PATIENCE_SECONDS) -> None:
        super().__init__("instance", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, method: str, target: str, body: bytes | str | None = None, headers: dict | None = None) -> Reply:
        self.request(method, target, body.encode() if isinstance(body, str) else body, headers or {})
        answer = self.getresponse()
        return Reply(answer.status, answer.headers, answer.read())


class Server:
    """`inference_server` on a unix socket in a short temporary folder; `stop` ends it and removes the folder."""

    def __init__(
        self, script: str | None, *flags: str, python: str = sys.executable, port: int = 0, **environment: str
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="es-", dir="/tmp"))
        self.socket_path = str(self.folder / "s")
        self.log_path = self.folder / "log"
        self.clients: list[Client] = []
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        root = {"AML_APP_ROOT": str(SCRIPTS), "STUDIO_LAME_DUCK_SECONDS": "0.02"}
        entry = ["--entry_script", str(SCRIPTS / script)] if script else []
        where = ["--port", str(port)] if port else [] if "--socket" in flags else ["--socket", self.socket_path]
        command = [python, str(MAIN), *entry, *where, *flags]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command, env={**kept, **root, **environment}, stdout=log, stderr=log, cwd=self.folder
            )

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                for pid in [*self.worker_pids(), self.process.pid]:
                    os.kill(pid, signal.SIGKILL)
                self.process.wait(10)
        shutil.rmtree(self.folder)

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def until_ready(self) -> Server:
        def is_ready() -> bool:
            assert self.process.poll() is None, self.log
            try:
                return self.ask("GET", "/ready").status == 200
            except OSError:
                return False

        eventually(is_ready, "readiness")
        return self

    def exit_code(self, seconds: float = PATIENCE_SECONDS) -> int:
        return self.process.wait(seconds)

    def client(self, timeout: float = PATIENCE_SECONDS) -> Client:
        made = Client(self.socket_path, timeout)
        self.clients.append(made)
        return made

    def ask(self, method: str, target: str, body: bytes | str | None = None, headers: dict | None = None) -> Reply:
        client = self.client()
        try:
            return client.ask(method, target, body, headers)
        finally:
            client.close()

    def do(self, what: str, headers: dict | None = None, **wish: Any) -> Reply:
        return self.ask("POST", "/score", json.dumps({"do": what, **wish}), headers)

    def raw_socket(self) -> socket.socket:
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(PATIENCE_SECONDS)
        plain.connect(self.socket_path)
        return plain

    def metric(self, name: str) -> float:
        text = self.ask("GET", "/metrics").body.decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found.group(1))

    def worker_pids(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()] if children.exists() else []

    def logged(self, pattern: str) -> re.Match[str]:
        """Wait for a line of the log that matches."""
        return eventually(lambda: re.search(pattern, self.log, re.MULTILINE), f"{pattern!r} in the log:\n{self.log}")
