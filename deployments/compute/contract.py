"""What a compute driver promises: it starts, watches and stops instances, and knows nothing of endpoints or databases.

Every driver and every fake passes the one suite in `tests/contract/`. How to write another: `docs/howto/add-a-compute-driver.md`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

CALL_SECONDS = 5.0
"""Every call of a driver returns, or raises, within this time."""

SCRIPT_FAILED_EXIT_CODE = 3
"""How an instance says that the user's script cannot be loaded or its init() failed: starting again would not help."""

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?\Z")
"""What an instance may be called: it becomes a file name, a program name and, elsewhere, a DNS label."""


class DriverError(Exception):
    """The compute driver could not do what was asked."""

    code = "InternalServerError"
    hint = ""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or type(self).__doc__ or "")
        self.hint = hint or self.hint


class DriverUnavailable(DriverError):
    """The machinery behind the driver does not answer at the moment; the same call succeeds later."""

    code = "InternalServerError"
    hint = "Nothing to do: the call is repeated until the machinery answers."


class SpecRefused(DriverError):
    """This specification can never be run here; the message says what is wrong with it."""

    code = "BadArgument"


class InstanceState(StrEnum):
    """What a driver saw. `is_final` states change only when somebody asks for something."""

    ABSENT = "Absent"  # nothing of it runs, and nothing will start by itself
    STARTING = "Starting"  # asked for; there is no address to talk to yet
    RUNNING = "Running"  # the process lives and its address exists; whether it answers is the probes' question
    BACK_OFF = "BackOff"  # it ended and will be started again after a pause
    STOPPING = "Stopping"  # it was removed and is finishing what it had begun; Absent follows
    EXITED = "Exited"  # it ended and is not started again
    FATAL = "Fatal"  # it could not be started at all and is not tried again

    @property
    def is_final(self) -> bool:
        return self in (InstanceState.ABSENT, InstanceState.EXITED, InstanceState.FATAL)


@dataclass(frozen=True, kw_only=True)
class InstanceSpec:
    """All a driver needs to run one instance. Paths are absolute and readable for every user: files `a+r`, folders `a+rx`.

    `python` is the interpreter of the built environment, `runtime_dir` the folder that holds the `inference_server` package.
    `app_dir` is the user's code (None: there is none), `entry_script` a path inside it, `model_dir` what the script finds as
    AZUREML_MODEL_DIR. `cpu_limit` counts vCPUs, 0.5 is half of one. `environment` holds the user's own variables, secrets among
    them: a driver shows them to the instance and to nobody else.

    `max_concurrent_requests` and `request_timeout_ms` are the request settings of the deployment; `worker_count` how many
    processes serve. `server_arguments` is handed on to the inference server as it is. `max_processes` bounds processes and
    threads together. `stop_grace_seconds` is how long a removed instance may take to finish what it had begun.
    """

    name: str
    python: Path
    runtime_dir: Path
    app_dir: Path | None = None
    entry_script: str | None = None
    model_dir: Path | None = None
    cpu_limit: float = 1.0
    memory_limit_bytes: int = 1024**3
    environment: Mapping[str, str] = field(default_factory=dict)
    request_timeout_ms: int = 5_000
    max_concurrent_requests: int = 1
    worker_count: int = 1
    server_arguments: tuple[str, ...] = ()
    max_processes: int = 2_048
    stop_grace_seconds: float = 30.0

    @property
    def digest(self) -> str:
        """The same for equal specifications, whatever the order of their variables; says nothing about the values."""
        document = json.dumps(asdict(self), sort_keys=True, default=str)
        return hashlib.sha256(document.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a driver saw of one instance, at the time of the call.

    `pid` is the serving process as this machine numbers it, None when nothing runs or it runs elsewhere. `address` is where to
    send requests, `unix:/path` or `host:port`, and empty unless `state` is Running or Stopping. `started_at` (aware, UTC) and
    `restarts` speak of the running process and of how often it had to be started again. `exit_code` is that of the last run
    that ended, 128 + n when signal n ended it. `oom_killed`: the last run, or a part of this one, was killed at the memory limit.
    `limits_applied` says for "cpu", "memory", "processes", "user" and "filesystem" by which means each is bounded, or
    "none: <why>". `spec_digest` is the digest of the specification it was started with.
    """

    state: InstanceState
    pid: int | None = None
    address: str = ""
    started_at: datetime | None = None
    exit_code: int | None = None
    restarts: int = 0
    oom_killed: bool = False
    message: str = ""
    limits_applied: Mapping[str, str] = field(default_factory=dict)
    spec_digest: str = ""


ABSENT = Observation(state=InstanceState.ABSENT)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one instance has consumed. `cpu_seconds` only grows while it lives and starts anew after a restart.

    `memory_bytes` is what counts against the limit and cannot be reclaimed; `source` says where the figures come from.
    """

    cpu_seconds: float
    memory_bytes: int
    processes: int
    cpu_limit: float
    memory_limit_bytes: int
    source: str
    measured_at: datetime


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What the host has. `*_promised` is the sum of its instances' limits; `*_free` is measured, so may be more than the rest."""

    cpu_total: float
    cpu_promised: float
    cpu_free: float
    memory_total_bytes: int
    memory_promised_bytes: int
    memory_free_bytes: int


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to an instance; `name` is Created, Started, Exited, Failed, BackOff, Killing or OOMKilled."""

    at: datetime
    name: str
    message: str


@runtime_checkable
class ComputeDriver(Protocol):
    """Starts, watches and stops instances somewhere.

    Every method:
    1. Returns or raises within `CALL_SECONDS`; what takes longer goes on behind the call and shows in `observe`.
    2. May be called twice, late, and by several processes at once.
    3. Raises DriverUnavailable for trouble that passes, and leaves nothing behind that the next call does not repair.
    """

    name: str
    """How instances of this driver are marked in the database and chosen in the settings."""

    def ensure(self, spec: InstanceSpec) -> None:
        """See that an instance of this name exists.

        1. Starts it when it is absent, or completes a start that was cut short.
        2. Called again for an instance that exists it changes nothing, whatever the specification says: an instance is
           never altered. `Observation.spec_digest` tells which one it runs; to run another, use a new name.
        3. Does not start an Exited one again: its script would fail the same way. Remove it and ensure another.
        4. Returns before the instance has started.

        Raises SpecRefused when it can never run here, DriverUnavailable also while one of this name is still stopping.
        """

    def observe(self, name: str) -> Observation:
        """Look at one instance. One that does not exist is Absent: no error."""

    def observe_all(self) -> dict[str, Observation]:
        """Look at every instance of this installation at once, by name; those that are Absent are left out."""

    def remove(self, name: str) -> None:
        """End an instance gracefully and take away all of it but its logs and events.

        1. Asks it to stop (SIGTERM) and returns; it has the specification's `stop_grace_seconds` to finish, then it is killed.
        2. Meanwhile it is observed as Stopping, in the end as Absent.
        3. Removing what does not exist, or is being removed, is no error.
        """

    def logs(self, name: str, tail_lines: int = 500, container: str = "inference-server") -> list[str]:
        """The newest lines an instance wrote, oldest first, without line ends. Empty when there is nothing.

        `container` is "inference-server" (its output) or "storage-initializer" (what was done to bring it up). Works after
        removal too, until `forget`. Raises SpecRefused for another container.
        """

    def events(self, name: str) -> list[Event]:
        """What happened to an instance, oldest first; kept like its logs."""

    def usage(self, name: str) -> Usage | None:
        """What an instance consumes, or None when nothing of it runs."""

    def capacity(self) -> Capacity:
        """What the host, or the cluster, has and has promised."""

    def forget(self, name: str) -> None:
        """Delete logs and events of an instance that is Absent. Does nothing while it exists; twice is no error."""


def check_spec(spec: InstanceSpec) -> None:
    """Refuse what no driver could run: bad names, limits, variables, a script without a folder. Raises SpecRefused."""
    if not NAME.match(spec.name):
        raise SpecRefused(
            f"{spec.name!r} cannot name an instance.",
            hint="Use 1-40 small letters, digits and hyphens, with a letter or digit at both ends.",
        )
    if not (0 < spec.cpu_limit < 100_000):
        raise SpecRefused(f"A CPU limit of {spec.cpu_limit} vCPU is not possible; it must be above 0.")
    if spec.memory_limit_bytes < 16 * 1024**2:
        raise SpecRefused(
            f"A memory limit of {spec.memory_limit_bytes} bytes is too small; a server needs 16 MiB at least."
        )
    for number_name in ("request_timeout_ms", "max_concurrent_requests", "worker_count", "max_processes"):
        if getattr(spec, number_name) < 1:
            raise SpecRefused(f"{number_name} is {getattr(spec, number_name)}; it must be 1 or more.")
    if spec.stop_grace_seconds < 0:
        raise SpecRefused(f"stop_grace_seconds is {spec.stop_grace_seconds}; it cannot be negative.")
    if spec.entry_script is not None and spec.app_dir is None:
        raise SpecRefused(f"The scoring script {spec.entry_script!r} is named, but no code folder.")
    for variable, value in spec.environment.items():
        if not variable or "=" in variable or "\0" in variable + value:
            raise SpecRefused(
                f"The environment variable {variable!r} cannot be set.",
                hint="Names are not empty and hold no '='; neither names nor values hold a NUL character.",
            )
