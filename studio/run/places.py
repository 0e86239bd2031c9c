"""Where everything of one installation lies below its STUDIO_HOME."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from deployments.compute.supervisor import can_stand_in_a_file
from studio.run.errors import StartRefused

MAX_SOCKET_PATH_BYTES = 107
LONGEST_INSTANCE_NAME = 40
LONGEST_PID = 7
# Instances may run as users of their own, and without mount namespaces they must get to their folders through the home.
_PASSABLE, _PRIVATE = 0o711, 0o700


@dataclass(frozen=True)
class Places:
    """Paths of one installation; nothing here reads anything. `home` is absolute."""

    home: Path

    @property
    def credentials(self) -> Path:
        return self.home / "credentials.json"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def tls(self) -> Path:
        return self.home / "tls"

    @property
    def gateway(self) -> Path:
        return self.home / "gateway"

    @property
    def redis_data(self) -> Path:
        return self.home / "redis"

    @property
    def redis_socket(self) -> Path:
        return self.run / "redis.sock"

    @property
    def web_socket(self) -> Path:
        return self.run / "web.sock"

    @property
    def start_lock(self) -> Path:
        return self.run / "start.lock"

    @property
    def started(self) -> Path:
        """What the running supervisord was started with."""
        return self.run / "started.json"

    @property
    def sample_state(self) -> Path:
        return self.run / "sample"

    @property
    def static_fingerprint(self) -> Path:
        return self.run / "static"

    @property
    def supervisor(self) -> Path:
        return self.home / "supervisor"

    @property
    def supervisor_socket(self) -> Path:
        return self.home / "supervisor.sock"

    @property
    def supervisor_pid(self) -> Path:
        return self.run / "supervisord.pid"

    @property
    def parts_conf(self) -> Path:
        return self.supervisor / "parts"

    @property
    def instances_conf(self) -> Path:
        return self.supervisor / "instances"

    def log(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    def make(self) -> None:
        """Create the folders, with their modes. Twice is the same as once."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(_PASSABLE if os.geteuid() == 0 else _PRIVATE)
        private = (self.run, self.logs, self.tls, self.gateway, self.redis_data, self.supervisor)
        for folder in (*private, self.parts_conf, self.instances_conf, self.home / "secrets", self.home / "tmp"):
            folder.mkdir(exist_ok=True, mode=_PRIVATE)
            folder.chmod(_PRIVATE)

    def longest_socket(self) -> Path:
        """The longest path that a socket of this installation may come to have."""
        instance = self.home / "sock" / f"{'x' * LONGEST_INSTANCE_NAME}.sock"
        # supervisord opens its socket under its own process id first.
        own = self.home / f"{self.supervisor_socket.name}.{'9' * LONGEST_PID}"
        candidates = (instance, own, self.gateway / "admin.sock", self.redis_socket, self.web_socket)
        return max(candidates, key=lambda path: len(os.fsencode(path)))


def check_home(places: Places) -> None:
    """Raises StartRefused when nothing could run below this home."""
    if not can_stand_in_a_file(places.home):
        raise StartRefused(
            f"STUDIO_HOME {str(places.home)!r} contains ' ;', ' #' or a line break, which supervisord cannot express.",
            hint="Use another folder.",
        )
    length = len(os.fsencode(places.longest_socket()))
    if length > MAX_SOCKET_PATH_BYTES:
        own = len(os.fsencode(places.home))
        raise StartRefused(
            f"STUDIO_HOME {places.home} is too long: it has {own} bytes, and the addresses of unix sockets below it may have "
            f"{MAX_SOCKET_PATH_BYTES}.",
            hint=f"Use a folder whose path has at most {own - (length - MAX_SOCKET_PATH_BYTES)} bytes.",
        )
