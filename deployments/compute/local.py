"""The driver for this machine: each instance is a program of the studio's supervisord.

What exists is in files below the studio's home (`places.py`), so any process of the studio can drive any instance:

- `supervisor/instances/<name>.conf` makes supervisord start a launcher, also after a restart. Instances exist while it does.
- `instances/<name>/spec.json` is what the launcher runs, `state.json` what it says of it, `work/` what the instance may write.
- `sock/<name>.sock` is the address, `logs/instances/<name>.*` what stays.

`remove` takes away the conf file first and asks the launcher to stop; whoever looks next finds it stopped and clears the rest.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from deployments.compute import document, limits, records
from deployments.compute.contract import (
    ABSENT,
    NAME,
    Capacity,
    DriverUnavailable,
    Event,
    InstanceSpec,
    InstanceState,
    Observation,
    SpecRefused,
    Usage,
    check_spec,
)
from deployments.compute.identity import FIRST_UID, Identities
from deployments.compute.places import Places, append_event, read_document, write_private
from deployments.compute.supervisor import Program, Supervisor, can_stand_in_a_file, program_file

LAUNCHER = Path(__file__).with_name("launch.py")
PROGRAM_PREFIX = "instance-"
LOCK_SECONDS = 3.0


class LocalDriver:
    """Fulfils `contract.ComputeDriver` with processes of this machine.

    `home` is the studio's home folder; `supervisor_socket` is where its supervisord listens, `home/supervisor.sock` unless
    given. When the studio runs as root each instance gets its own user, numbered from `first_uid` on.
    """

    name = "local"

    def __init__(self, home: Path, supervisor_socket: Path | None = None, first_uid: int = FIRST_UID) -> None:
        self.places = Places(str(home.absolute()))
        if not can_stand_in_a_file(home.absolute()):
            raise ValueError(f"STUDIO_HOME {home} contains ' ;' or ' #', which supervisord would take for a comment.")
        self.supervisor = Supervisor(str(supervisor_socket or home.absolute() / "supervisor.sock"))
        self.identities = Identities(Path(self.places.uids_dir), first_uid) if os.geteuid() == 0 else None
        self.family = f"endpoint-studio-{zlib.crc32(self.places.home.encode()):08x}"

    def ensure(self, spec: InstanceSpec) -> None:
        check_spec(spec)
        name, program = spec.name, self._program(spec.name)
        if program is not None and self._is_wanted(name):
            if program.state in ("STOPPED", "FATAL"):
                self.supervisor.start(_program_name(name))
            return
        if program is not None and not program.has_ended:
            raise DriverUnavailable(f"Instance {name} is still stopping; it can start again once it is gone.")
        document.check_paths(spec, self.places, needs_other_user=self.identities is not None)
        with self._changing():
            if not self._is_wanted(name) or read_document(self.places.spec(name)) is None:
                if not self._clear(name):
                    raise DriverUnavailable(f"Instance {name} is still stopping; it can start again once it is gone.")
                self._write_files(spec)
            self.supervisor.add(_program_name(name))

    def observe(self, name: str) -> Observation:
        _check_name(name)
        program = self._program(name)
        return self._observe(name, program)

    def observe_all(self) -> dict[str, Observation]:
        programs = self._programs()
        observed = {name: self._observe(name, programs.get(name)) for name in sorted(programs.keys() | self._names())}
        return {name: seen for name, seen in observed.items() if seen.state is not InstanceState.ABSENT}

    def remove(self, name: str) -> None:
        _check_name(name)
        with self._changing():
            _unlink(self.places.conf(name))
        self.supervisor.stop(_program_name(name))
        self._observe(name, self._program(name))

    def logs(self, name: str, tail_lines: int = 500, container: str = "inference-server") -> list[str]:
        _check_name(name)
        if container == "storage-initializer":
            return [f"{event.at:%Y-%m-%dT%H:%M:%SZ} {event.name}: {event.message}" for event in self.events(name)][
                -tail_lines:
            ]
        if container != "inference-server":
            raise SpecRefused(
                f"An instance has no container {container!r}.", hint="Ask for inference-server or storage-initializer."
            )
        return records.tail(self.places.log(name), tail_lines)

    def events(self, name: str) -> list[Event]:
        _check_name(name)
        return records.read_events(self.places.events(name))

    def usage(self, name: str) -> Usage | None:
        _check_name(name)
        state = read_document(self.places.state(name))
        spec = read_document(self.places.spec(name))
        if state is None or spec is None or not state["pid"]:
            return None
        return records.measure(state["pid"], _groups(state), spec["limits"])

    def capacity(self) -> Capacity:
        specs = [read_document(self.places.spec(name)) for name in self._names()]
        promised = [spec["limits"] for spec in specs if spec is not None]
        memory = psutil.virtual_memory()
        cpu_total = float(len(os.sched_getaffinity(0)))
        return Capacity(
            cpu_total=cpu_total,
            cpu_promised=sum(limit["cpu"] for limit in promised),
            cpu_free=max(0.0, cpu_total - os.getloadavg()[0]),
            memory_total_bytes=memory.total,
            memory_promised_bytes=sum(limit["memory"] for limit in promised),
            memory_free_bytes=memory.available,
        )

    def forget(self, name: str) -> None:
        if self.observe(name).state is not InstanceState.ABSENT:
            return
        for file in Path(self.places.logs_dir).glob(f"{name}.*"):
            file.unlink(missing_ok=True)

    def _observe(self, name: str, program: Program | None) -> Observation:
        is_wanted = self._is_wanted(name)
        if program is None and is_wanted:
            return Observation(state=InstanceState.ABSENT, message="Its start was cut short; ensure() completes it.")
        if program is None or (program.has_ended and not is_wanted):
            return self._finish_removal(name)
        state = read_document(self.places.state(name)) or {}
        seen = _observation(state, self.places.socket(name))
        if not is_wanted:
            if program.may_be_stopped:  # whoever removed it did not get that far
                self.supervisor.stop(_program_name(name))
            return _but(seen, state=InstanceState.STOPPING, message="Finishing what it had begun.")
        return _as_supervised(seen, program, is_current=state.get("launcher_pid") == program.pid)

    def _is_wanted(self, name: str) -> bool:
        return os.path.exists(self.places.conf(name))

    def _finish_removal(self, name: str) -> Observation:
        """Clear what a stopped instance left. Somebody who is just making it holds the lock: then there is nothing to clear."""
        try:
            with self._changing(wait=False):
                is_cleared = self._is_wanted(name) or self._clear(name)
        except BlockingIOError:
            return ABSENT
        return ABSENT if is_cleared else Observation(state=InstanceState.STOPPING)

    def _clear(self, name: str) -> bool:
        """Take away all of an instance but its logs; False when supervisord still runs it. Of nothing: nothing."""
        if not self.supervisor.forget(_program_name(name)):
            return False
        if not os.path.isdir(self.places.folder(name)):
            return True
        state = read_document(self.places.state(name)) or {}
        spec = read_document(self.places.spec(name)) or {}
        limits.kill_all(_groups(state))
        limits.remove(_groups(state))
        _unlink(self.places.socket(name))
        shutil.rmtree(self.places.folder(name))
        if self.identities and spec.get("uid") is not None:
            self.identities.give_back(spec["uid"])
        return True

    def _write_files(self, spec: InstanceSpec) -> None:
        places, name = self.places, spec.name
        for folder in (places.conf_dir, places.instances_dir, places.sockets_dir, places.logs_dir, places.folder(name)):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        uid = self.identities.take(name) if self.identities else None
        work = places.work(name)
        for folder in (work, os.path.join(work, "home"), os.path.join(work, "tmp"), places.run(name)):
            os.makedirs(folder, mode=0o700, exist_ok=True)
            if uid is not None:
                os.chown(folder, uid, uid, follow_symlinks=False)
        write_private(places.spec(name), json.dumps(document.launch_document(spec, places, uid, self.family)))
        append_event(
            places.events(name), "Created", f"Created with {spec.cpu_limit:g} vCPU and {_mib(spec)} MiB of memory."
        )
        command = [sys.executable, "-I", "-S", str(LAUNCHER), places.spec(name)]
        text = program_file(_program_name(name), command, places.log(name), spec.stop_grace_seconds)
        write_private(places.conf(name), text)

    def _names(self) -> set[str]:
        found = {entry.name for entry in _entries(self.places.instances_dir) if not entry.name.startswith(".")}
        return found | {entry.name[:-5] for entry in _entries(self.places.conf_dir) if entry.name.endswith(".conf")}

    def _program(self, name: str) -> Program | None:
        return self.supervisor.programs([_program_name(name)]).get(_program_name(name))

    def _programs(self) -> dict[str, Program]:
        length = len(PROGRAM_PREFIX)
        programs = self.supervisor.programs().items()
        return {name[length:]: program for name, program in programs if name.startswith(PROGRAM_PREFIX)}

    @contextmanager
    def _changing(self, wait: bool = True) -> Iterator[None]:
        """Keep other processes from making or clearing instances meanwhile; BlockingIOError when not to wait for them."""
        os.makedirs(os.path.dirname(self.places.driver_lock), mode=0o700, exist_ok=True)
        descriptor = os.open(self.places.driver_lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor, LOCK_SECONDS if wait else 0.0)
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not seconds:
                raise
            if time.monotonic() >= until:
                raise DriverUnavailable(f"Other instances are being started; no turn within {seconds:g} s.") from None
        time.sleep(0.005)


def _observation(state: dict[str, Any], socket: str) -> Observation:
    """What a launcher wrote, in the contract's words."""
    shown = state.get("state", "Starting")
    is_serving = shown in ("Running", "Stopping")
    return Observation(
        state=InstanceState.EXITED if shown == "Stopped" else InstanceState(shown),
        pid=state.get("pid"),
        address=f"unix:{socket}" if is_serving else "",
        started_at=datetime.fromtimestamp(state["started_at"], UTC) if state.get("started_at") else None,
        exit_code=state.get("exit_code"),
        restarts=state.get("restarts", 0),
        oom_killed=state.get("oom_killed", False),
        message=state.get("message", ""),
        limits_applied=state.get("limits_applied", {}),
        spec_digest=state.get("spec_digest", ""),
    )


def _as_supervised(seen: Observation, program: Program, is_current: bool) -> Observation:
    """Correct what a launcher wrote by what supervisord knows of the launcher itself."""
    if program.state in ("STARTING", "RUNNING"):
        return seen if is_current else _but(seen, state=InstanceState.STARTING, message="Its launcher is starting.")
    if program.state == "STOPPING":
        return _but(seen, state=InstanceState.STOPPING)
    if program.state == "BACKOFF":
        return _but(seen, state=InstanceState.BACK_OFF, message=f"Its launcher ended: {program.error}")
    if program.state == "FATAL":
        return _but(
            seen, state=InstanceState.FATAL, message=f"Its launcher cannot start: {program.error}. See the log."
        )
    if program.state == "STOPPED":
        return _but(
            seen, state=InstanceState.EXITED, message="Stopped in supervisord by hand; ensure() starts it again."
        )
    return seen if seen.state.is_final else _but(seen, state=InstanceState.EXITED, exit_code=program.exit_status)


def _but(seen: Observation, **changes: Any) -> Observation:
    """The observation with other values; what does not run has neither address nor pid."""
    changed = replace(seen, **changes)
    is_serving = changed.state in (InstanceState.RUNNING, InstanceState.STOPPING)
    return changed if is_serving else replace(changed, address="", pid=None)


def _groups(state: dict[str, Any]) -> limits.Groups:
    return {controller: (version, folder) for controller, (version, folder) in state.get("groups", {}).items()}


def _check_name(name: str) -> None:
    if not NAME.match(name):
        raise SpecRefused(f"{name!r} cannot name an instance.")


def _program_name(name: str) -> str:
    return PROGRAM_PREFIX + name


def _mib(spec: InstanceSpec) -> int:
    return spec.memory_limit_bytes // 1024**2


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _unlink(path: str) -> None:
    Path(path).unlink(missing_ok=True)
