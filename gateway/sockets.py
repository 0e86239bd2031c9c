"""HTTP over a unix socket. Standard library only: the program that watches over Envoy imports nothing else."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path


class SocketConnection(http.client.HTTPConnection):
    """One connection to the server that listens on `path`."""

    def __init__(self, path: Path, *, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path
        self._timeout_seconds = timeout_seconds

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_seconds)
        self.sock.connect(str(self._path))


def request(path: Path, method: str, target: str, *, timeout_seconds: float = 5.0) -> tuple[int, bytes]:
    """Status and body. Raises OSError or http.client.HTTPException."""
    connection = SocketConnection(path, timeout_seconds=timeout_seconds)
    try:
        connection.request(method, target)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
