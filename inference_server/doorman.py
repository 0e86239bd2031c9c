"""Answers in the workers' place: on the main socket while none is ready, on the health port always.

Runs in the supervisor on a selector, without threads or an event loop, because the supervisor forks.
"""

from __future__ import annotations

import json
import selectors
import socket
from email.utils import formatdate
from time import monotonic

from inference_server import metrics
from inference_server.board import Board
from inference_server.outputs import NOT_RUN_HEADER

MAX_CLIENTS = 256
MAX_HEAD_BYTES = 16384
CLIENT_SECONDS = 5.0
STARTING = "The instance is not ready: {why} Try again in a second."


class _Client:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = b""
        self.is_answered = False
        self.ends_at = monotonic() + CLIENT_SECONDS


class Doorman:
    """Accepts on the listeners it is given, answers one request each connection, and closes."""

    def __init__(self, selector: selectors.BaseSelector, board: Board) -> None:
        self._selector, self._board = selector, board
        self._clients: set[_Client] = set()
        self._watched: set[socket.socket] = set()
        self.why_not_ready = "init() is running."

    def watch(self, listener: socket.socket, wanted: bool) -> None:
        """Begin or stop accepting on a listener; twice is the same as once."""
        if wanted and listener not in self._watched:
            self._watched.add(listener)
            self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))
        elif not wanted and listener in self._watched:
            self._watched.discard(listener)
            self._selector.unregister(listener)

    def close_all(self) -> None:
        """Close every socket of its own; what a forked child calls first."""
        for client in list(self._clients):
            client.sock.close()
        self._clients.clear()

    def expire(self, now: float) -> None:
        for client in [one for one in self._clients if now > one.ends_at]:
            self._drop(client)

    @property
    def is_idle(self) -> bool:
        return not self._clients

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        if len(self._clients) >= MAX_CLIENTS:
            sock.close()
            return
        sock.setblocking(False)
        client = _Client(sock)
        self._clients.add(client)
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._receive(client))

    def _receive(self, client: _Client) -> None:
        try:
            data = client.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        if client.is_answered:
            return  # the rest of a body: read so that closing does not cut the answer off
        client.received += data
        if b"\r\n\r\n" in client.received or len(client.received) > MAX_HEAD_BYTES:
            client.is_answered = True
            client.ends_at = monotonic() + 1.0
            try:
                client.sock.send(self._answer(client.received))
                client.sock.shutdown(socket.SHUT_WR)
            except OSError:
                self._drop(client)

    def _drop(self, client: _Client) -> None:
        if client in self._clients:
            self._clients.discard(client)
            self._selector.unregister(client.sock)
            client.sock.close()

    def _answer(self, received: bytes) -> bytes:
        words = received.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3:
            return _response("400 Bad Request", b'{"message": "The request is not valid HTTP/1.1."}')
        method, path = words[0], words[1].split(b"?", 1)[0]
        if path not in (b"/", b"/ready", b"/metrics") or method not in (b"GET", b"HEAD"):
            return self._unavailable(received)
        body, kind = b"Healthy", "text/html; charset=utf-8"
        status = "200 OK"
        if path == b"/metrics":
            body, kind = metrics.render(self._board), metrics.CONTENT_TYPE
        elif path == b"/ready":
            is_ready = self._board.is_ready
            status, body = (
                ("200 OK", b"Ready") if is_ready else ("503 Service Unavailable", self.why_not_ready.encode())
            )
        return _response(status, body, kind, with_body=method != b"HEAD")

    def _unavailable(self, received: bytes) -> bytes:
        body = json.dumps({"message": STARTING.format(why=self.why_not_ready)}).encode()
        extra = "Retry-After: 1\r\nx-ms-run-function-failed: False\r\n" + "{}: {}\r\n".format(*NOT_RUN_HEADER)
        for line in received.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() in (b"x-request-id", b"x-ms-client-request-id") and len(value) < 128:
                extra += f"{name.decode('latin-1')}: {value.strip().decode('latin-1')}\r\n"
        return _response("503 Service Unavailable", body, extra=extra)


def _response(
    status: str, body: bytes, kind: str = "application/json", extra: str = "", with_body: bool = True
) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}"
    head += f"Date: {formatdate(usegmt=True)}\r\nConnection: close\r\n\r\n"
    return head.encode("latin-1", "replace") + (body if with_body else b"")
