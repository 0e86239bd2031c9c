"""Starts the serving process of an instance inside its bounds, and says which bounds those are.

Standard library only: launchers import this.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import zlib

from deployments.compute import limits, sandbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

SOCKET_NAME = "http.sock"
LIMIT_NAMES = {"memory": "memory", "cpu": "cpu", "pids": "processes"}


def make_groups(spec: dict[str, Any]) -> tuple[limits.Groups, dict[str, str]]:
    """Create the control groups of an instance; says for each limit which group bounds it, or why none does."""
    groups, applied = limits.create(limits.find_own_hierarchies(), spec["family"], spec["name"], spec["limits"])
    return groups, {LIMIT_NAMES[name]: text for name, text in applied.items() if name in LIMIT_NAMES}


def private_socket(spec: dict[str, Any]) -> str:
    """Where the instance opens its socket, as seen from outside: its public place when it runs as the studio's own user."""
    return spec["socket"] if spec["uid"] is None else os.path.join(spec["socket_folder"], SOCKET_NAME)


def start(spec: dict[str, Any], groups: limits.Groups, applied: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Start the serving process; returns its pid and what bounds it.

    Raises OSError when it could not be set up or executed, with the command as `filename` in the latter case.
    """
    launcher = os.getpid()
    report, reporter = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(report)
        _become_instance(spec, groups, dict(applied), reporter, launcher)
    os.close(reporter)
    with os.fdopen(report) as pipe:
        lines = pipe.read().splitlines()  # ends when the program is executed: the pipe closes with that
    final: dict[str, Any] = (
        json.loads(lines[-1]) if lines else {"error": "its process ended while being set up", "errno": 0}
    )
    if "error" in final:
        os.waitpid(pid, 0)
        raise OSError(final["errno"], final["error"], final.get("filename"))
    return pid, final


def _become_instance(
    spec: dict[str, Any], groups: limits.Groups, applied: dict[str, str], reporter: int, launcher: int
) -> NoReturn:
    """The child's way from fork to exec. Whatever goes wrong is told through the pipe; it never returns."""
    try:
        os.setsid()
        limits.join(groups, os.getpid())
        _bound_without_groups(spec, applied)
        socket = _take_own_view(spec, applied)
        sandbox.renounce_privileges()
        sandbox.die_with_parent(signal.SIGKILL)
        if os.getppid() != launcher:  # it died before we asked to die with it
            os._exit(0)
        os.chdir(spec["cwd"])
        command = [socket if argument == "{socket}" else argument for argument in spec["command"]]
        os.write(reporter, json.dumps(applied).encode() + b"\n")
        sandbox.reset_signals()
        os.execve(command[0], command, spec["environment"])
    except BaseException as error:
        number = error.errno if isinstance(error, OSError) else 0
        name = error.filename if isinstance(error, OSError) else None
        document = {"error": getattr(error, "strerror", None) or repr(error), "errno": number or 0, "filename": name}
        os.write(reporter, json.dumps(document).encode() + b"\n")
    finally:
        os._exit(127)


def _take_own_view(spec: dict[str, Any], applied: dict[str, str]) -> str:
    """Change to the instance's own user and view of the file system; returns where it opens its socket."""
    if spec["uid"] is None:
        applied["user"] = applied["filesystem"] = "none: the studio does not run as root"
        return spec["socket"]
    socket = os.path.join(sandbox.SOCKET_FOLDER, SOCKET_NAME)
    try:
        is_proc_private = sandbox.enter_private_view(
            spec["uid"], spec["visible"], spec["links"], spec["hidden"], spec["socket_folder"]
        )
        applied["filesystem"] = "private mount namespace" + ("" if is_proc_private else "; /proc shows other processes")
    except PermissionError as error:
        applied["filesystem"] = f"none: mount namespaces are not permitted ({error.strerror})"
        socket = private_socket(spec)
        unreachable = [path for path in spec["visible"] if not sandbox.is_reachable(path, spec["uid"])]
        if unreachable:
            applied["user"] = f"none: another user could not reach {unreachable[0]}"
            return socket
    if applied.get("processes", "none").startswith("none"):
        resource.setrlimit(resource.RLIMIT_NPROC, (spec["limits"]["pids"],) * 2)
        applied["processes"] = "RLIMIT_NPROC"
    sandbox.become(spec["uid"])
    applied["user"] = f"uid {spec['uid']}"
    return socket


def _bound_without_groups(spec: dict[str, Any], applied: dict[str, str]) -> None:
    """Where control groups cannot be had, bound each process by what needs no permission."""
    if applied["memory"].startswith("none"):
        # RLIMIT_AS would count address space, of which BLAS and CUDA reserve many times what they use; DATA counts heap
        # and private writable memory.
        resource.setrlimit(resource.RLIMIT_DATA, (int(spec["limits"]["memory"]),) * 2)
        applied["memory"] = f"RLIMIT_DATA for each process ({applied['memory'].removeprefix('none: ')})"
    if applied["cpu"].startswith("none"):
        usable = sorted(os.sched_getaffinity(0))
        count = max(1, -(-int(spec["limits"]["cpu"] * 1000) // 1000))
        if count >= len(usable):
            return
        first = zlib.crc32(spec["name"].encode()) % len(usable)
        os.sched_setaffinity(0, {usable[(first + i) % len(usable)] for i in range(count)})
        applied["cpu"] = f"bound to {count} of {len(usable)} CPUs ({applied['cpu'].removeprefix('none: ')})"
