"""Talks to supervisord over its unix socket, and writes the files by which it knows instances.

supervisord reads one `*.conf` per instance from a folder that its main configuration includes; thus instances come back by
themselves when supervisord, or the whole machine, restarts.
"""

from __future__ import annotations

import http.client
import shlex
import socket
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.compute.contract import DriverUnavailable

BAD_NAME, NOT_RUNNING, ALREADY_STARTED, ALREADY_ADDED, STILL_RUNNING = 10, 70, 60, 90, 91
LOG_BYTES = 10 * 1024 * 1024
LOG_BACKUPS = 3
START_SECONDS = 1
START_RETRIES = 20
STOP_MARGIN_SECONDS = 10


@dataclass(frozen=True)
class Program:
    """What supervisord says of one program. `state` is its word: STARTING, RUNNING, BACKOFF, STOPPING, STOPPED, EXITED, FATAL."""

    state: str
    pid: int
    exit_status: int
    error: str

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs and supervisord will not start it by itself."""
        return self.state in ("STOPPED", "EXITED", "FATAL")

    @property
    def may_be_stopped(self) -> bool:
        """Whether it runs, or will, and has not been asked to stop."""
        return self.state in ("STARTING", "RUNNING", "BACKOFF")


class Supervisor:
    """A client of one supervisord. Safe to share between threads and after fork: each call opens its own connection."""

    def __init__(self, socket_path: str, timeout_seconds: float = 4.0) -> None:
        self.socket_path = socket_path
        self.timeout_seconds = timeout_seconds

    def programs(self, names: Sequence[str] | None = None) -> dict[str, Program]:
        """Programs by name: all of them, or those of `names` that exist."""
        if names is None:
            return {info["name"]: _program(info) for info in self._call("getAllProcessInfo")}
        answers = self._call_many([("getProcessInfo", name) for name in names])
        return {
            name: _program(info) for name, info in zip(names, answers, strict=True) if not _is_fault(info, BAD_NAME)
        }

    def add(self, name: str) -> None:
        """Have the program of that name read from its file and started; one that is there already stays as it is."""
        _, added = self._call_many([("reloadConfig",), ("addProcessGroup", name)])
        _raise_fault(added, allowed=(ALREADY_ADDED,))

    def start(self, name: str) -> None:
        """Start a program that has stopped or been given up; one that runs stays as it is."""
        (answer,) = self._call_many([("startProcess", name, False)])
        _raise_fault(answer, allowed=(ALREADY_STARTED,))

    def stop(self, name: str) -> None:
        """Ask a program to stop, without waiting for it; one that does not run, or does not exist, is no error."""
        (answer,) = self._call_many([("stopProcess", name, False)])
        _raise_fault(answer, allowed=(NOT_RUNNING, BAD_NAME))

    def forget(self, name: str) -> bool:
        """Drop a stopped program from memory; False when it still runs. One that does not exist is no error."""
        (answer,) = self._call_many([("removeProcessGroup", name)])
        _raise_fault(answer, allowed=(BAD_NAME, STILL_RUNNING))
        return not _is_fault(answer, STILL_RUNNING)

    def _call_many(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Several calls in one round trip; an answer is the value or a mapping with `faultCode`."""
        batch = [{"methodName": f"supervisor.{call[0]}", "params": list(call[1:])} for call in calls]
        return self._call("multicall", batch, space="system")

    def _call(self, method: str, *arguments: Any, space: str = "supervisor") -> Any:
        body = xmlrpc.client.dumps(arguments, f"{space}.{method}").encode()
        connection = _UnixConnection(self.socket_path, self.timeout_seconds)
        try:
            connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise DriverUnavailable(f"supervisord does not answer at {self.socket_path}: {error}.") from error
        finally:
            connection.close()
        if response.status != 200:
            raise DriverUnavailable(f"supervisord answered {response.status} {response.reason} at {self.socket_path}.")
        try:
            return xmlrpc.client.loads(answer)[0][0]
        except xmlrpc.client.Fault as fault:
            raise DriverUnavailable(f"supervisord refused {method}: {fault.faultString}.") from fault


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket. `timeout` bounds the whole exchange, not each read of it."""

    def __init__(self, path: str, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self.path = path

    def connect(self) -> None:
        self.sock = _DeadlineSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.deadline = time.monotonic() + (self.timeout or 0)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class _DeadlineSocket(socket.socket):
    deadline: float = 0.0

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left)
        return super().recv_into(*arguments, **options)


def program_file(name: str, command: Sequence[str], log: str, stop_seconds: float) -> str:
    """The text of a program's file.

    `startsecs` is above 0 because supervisord restarts a program that dies at 0 seconds without any pause; the launcher itself
    outlives it. Exit code 3 is expected and final.
    """
    settings: Mapping[str, object] = {
        "command": shlex.join(command),
        "directory": "/",
        "autostart": "true",
        "autorestart": "unexpected",
        "exitcodes": 3,
        "startsecs": START_SECONDS,
        "startretries": START_RETRIES,
        "stopsignal": "TERM",
        "stopwaitsecs": int(stop_seconds + STOP_MARGIN_SECONDS),
        "redirect_stderr": "true",
        "stdout_logfile": log,
        "stdout_logfile_maxbytes": LOG_BYTES,
        "stdout_logfile_backups": LOG_BACKUPS,
    }
    lines = [f"{key}={str(value).replace('%', '%%')}" for key, value in settings.items()]
    return "\n".join([f"[program:{name}]", *lines, ""])


def can_stand_in_a_file(path: Path) -> bool:
    """Whether supervisord's file format can express this path: it takes ' ;' and ' #' for the beginning of a comment."""
    return not any(mark in str(path) for mark in (" ;", " #", "\n"))


def _program(info: Mapping[str, Any]) -> Program:
    return Program(info["statename"], info["pid"], info["exitstatus"], info["spawnerr"])


def _is_fault(answer: object, *codes: int) -> bool:
    return isinstance(answer, Mapping) and answer.get("faultCode") in codes


def _raise_fault(answer: object, allowed: Sequence[int]) -> None:
    if isinstance(answer, Mapping) and "faultCode" in answer and answer["faultCode"] not in allowed:
        raise DriverUnavailable(f"supervisord answered: {answer.get('faultString')}.")
