"""Whether the ports of the installation are free, asked before anything is started."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Collection, Mapping

import psutil

from studio.run.errors import StartRefused


def check_ports(bind: str, ports: Mapping[str, int]) -> None:
    """Raises StartRefused naming every port that cannot be had, by the variable that sets it.

    `ports` maps variables to ports; `bind` is an IP address.
    """
    _check_distinct(ports)
    troubles = [trouble for name, port in ports.items() if (trouble := _trouble(bind, name, port))]
    if troubles:
        names = " ".join(f"{name}=…" for name, port in ports.items() if _trouble(bind, name, port))
        raise StartRefused(" ".join(troubles), hint=f"Stop what uses it, or choose another port: {names} make run")


def _check_distinct(ports: Mapping[str, int]) -> None:
    by_port: dict[int, list[str]] = {}
    for name, port in ports.items():
        by_port.setdefault(port, []).append(name)
    for port, names in by_port.items():
        if len(names) > 1:
            raise StartRefused(f"{' and '.join(names)} are both {port}.", hint="Give each a port of its own.")


def _trouble(bind: str, name: str, port: int) -> str:
    try:
        with socket.socket(family_of(bind), socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((bind, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"Port {port} ({name}) is taken{_holder(port)}."
        if error.errno == errno.EADDRNOTAVAIL:
            return f"{bind} (STUDIO_BIND) is not an address of this machine."
        if error.errno == errno.EACCES:
            return f"Port {port} ({name}) needs privileges that this user does not have."
        return f"Port {port} ({name}) on {bind} cannot be opened: {error.strerror}."
    return ""


def family_of(bind: str) -> socket.AddressFamily:
    """Raises StartRefused when `bind` is no IP address."""
    try:
        version = ipaddress.ip_address(bind).version
    except ValueError:
        raise StartRefused(
            f"STUDIO_BIND is {bind!r}, which is no IP address.", hint="Use 127.0.0.1, 0.0.0.0, ::1 or ::."
        ) from None
    return socket.AF_INET6 if version == 6 else socket.AF_INET


def _holder(port: int) -> str:
    """ " by process 123 (name)" where this user may know it."""
    try:
        listening = [
            c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port == port
        ]
        pids: Collection[int] = {connection.pid for connection in listening if connection.pid}
        return f" by process {min(pids)} ({psutil.Process(min(pids)).name()})" if pids else ""
    except psutil.Error:
        return ""
