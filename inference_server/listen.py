"""Opening the listening sockets: a unix socket path or a TCP port."""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from typing import Callable

from inference_server.settings import Settings

BACKLOG = 2048
BUSY_PATIENCE_SECONDS = 5.0
BUSY_STEP_SECONDS = 0.1
UNIX_PATH_BYTES = 107


class AddressUnusable(Exception):
    """The server cannot listen where it was told to."""


def open_listener(settings: Settings) -> socket.socket:
    """The main listening socket, non-blocking. Waits up to 5 s for a predecessor to leave. Raises AddressUnusable."""
    if settings.socket_path:
        return _patiently(lambda: _unix(settings.socket_path or "", settings.socket_mode), settings.socket_path)
    return open_port(settings.host, settings.port)


def open_port(host: str, port: int) -> socket.socket:
    return _patiently(lambda: _tcp(host, port), f"{host}:{port}")


def remove_socket_file(path: str, listener_inode: int) -> None:
    """Unlink the socket file if it is still the one this server made; a successor's stays."""
    try:
        if os.stat(path).st_ino == listener_inode:
            os.unlink(path)
    except FileNotFoundError:
        return


def _patiently(attempt: Callable[[], socket.socket], where: str) -> socket.socket:
    ends_at = time.monotonic() + BUSY_PATIENCE_SECONDS
    while True:
        try:
            return attempt()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > ends_at:
                reason = "another server listens there" if error.errno == errno.EADDRINUSE else error.strerror or error
                raise AddressUnusable(
                    f"Cannot listen on {where}: {reason}. Stop that server or choose another."
                ) from error
        time.sleep(BUSY_STEP_SECONDS)


def _tcp(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _unix(path: str, mode: int) -> socket.socket:
    if len(os.fsencode(path)) > UNIX_PATH_BYTES:
        raise AddressUnusable(f"The socket path {path} is longer than {UNIX_PATH_BYTES} bytes; choose a shorter one.")
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        listener.bind(path)
        os.chmod(path, mode)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def _remove_stale(path: str) -> None:
    """Unlink a socket file nobody listens on any more. Raises OSError(EADDRINUSE) when somebody does."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise AddressUnusable(f"{path} exists and is not a socket; choose another path.")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                os.unlink(path)
                return
            raise
    raise OSError(errno.EADDRINUSE, "in use")
