"""Compute drivers in memory, named after the failure they act. They keep the contract as far as their failure allows.

Time passes by looking: each `observe` of an instance moves it one step on (Starting → Running, Stopping → Absent), so a test
never waits. Every fake passes `test_compute_drivers.py`, the suite of the real drivers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

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

LIMITS = {part: "fake" for part in ("cpu", "memory", "processes", "user", "filesystem")}


@dataclass
class FakeInstance:
    spec: InstanceSpec
    observation: Observation
    looks: int = 0


@dataclass
class FakeDriver:
    """Does what it is told. `address_of` says where instances listen, `calls` records what was asked, as (verb, name)."""

    name: str = "fake"
    address_of: Callable[[str], str] = "unix:/fake/{}.sock".format
    instances: dict[str, FakeInstance] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    lines: dict[str, list[str]] = field(default_factory=dict)
    happened: dict[str, list[Event]] = field(default_factory=dict)

    def ensure(self, spec: InstanceSpec) -> None:
        self._begin("ensure", spec.name)
        check_spec(spec)
        self._refuse(spec)
        known = self.instances.get(spec.name)
        if known is None:
            starting = Observation(state=InstanceState.STARTING, spec_digest=spec.digest, limits_applied=LIMITS)
            self.instances[spec.name] = FakeInstance(spec, starting)
            self.lines[spec.name] = [f"hello from {spec.name}"]
            self.happened[spec.name] = [Event(at=datetime.now(UTC), name="Created", message="Created.")]
        elif known.observation.state is InstanceState.STOPPING:
            raise DriverUnavailable(f"Instance {spec.name} is still stopping; it can start again once it is gone.")

    def observe(self, name: str) -> Observation:
        self._begin("observe", name)
        return self._look(name)

    def observe_all(self) -> dict[str, Observation]:
        self._begin("observe_all", "")
        seen = {name: self._look(name) for name in list(self.instances)}
        return {name: one for name, one in seen.items() if one.state is not InstanceState.ABSENT}

    def remove(self, name: str) -> None:
        self._begin("remove", name)
        if name in self.instances:
            instance = self.instances[name]
            instance.observation = replace(instance.observation, state=InstanceState.STOPPING)

    def logs(self, name: str, tail_lines: int = 500, container: str = "inference-server") -> list[str]:
        self._begin("logs", name)
        if container == "storage-initializer":
            return [event.message for event in self.happened.get(name, [])][-tail_lines:]
        if container != "inference-server":
            raise SpecRefused(f"An instance has no container {container!r}.")
        return self.lines.get(name, [])[-tail_lines:]

    def events(self, name: str) -> list[Event]:
        self._begin("events", name)
        return list(self.happened.get(name, []))

    def usage(self, name: str) -> Usage | None:
        self._begin("usage", name)
        instance = self.instances.get(name)
        if instance is None or instance.observation.state is not InstanceState.RUNNING:
            return None
        return Usage(
            cpu_seconds=float(instance.looks),
            memory_bytes=instance.spec.memory_limit_bytes // 2,
            processes=1,
            cpu_limit=instance.spec.cpu_limit,
            memory_limit_bytes=instance.spec.memory_limit_bytes,
            source="fake",
            measured_at=datetime.now(UTC),
        )

    def capacity(self) -> Capacity:
        self._begin("capacity", "")
        specs = [instance.spec for instance in self.instances.values()]
        cpu, memory = sum(spec.cpu_limit for spec in specs), sum(spec.memory_limit_bytes for spec in specs)
        return Capacity(
            cpu_total=64.0,
            cpu_promised=cpu,
            cpu_free=max(0.0, 64.0 - cpu),
            memory_total_bytes=256 * 1024**3,
            memory_promised_bytes=memory,
            memory_free_bytes=max(0, 256 * 1024**3 - memory),
        )

    def forget(self, name: str) -> None:
        self._begin("forget", name)
        if name not in self.instances:
            self.lines.pop(name, None)
            self.happened.pop(name, None)

    def _begin(self, verb: str, name: str) -> None:
        """Before every call: note it, and refuse names that cannot be."""
        self.calls.append((verb, name))
        if name and not NAME.match(name):
            raise SpecRefused(f"{name!r} cannot name an instance.")

    def _refuse(self, spec: InstanceSpec) -> None:
        """Where a fake says no to a specification."""

    def _look(self, name: str) -> Observation:
        instance = self.instances.get(name)
        if instance is None:
            return ABSENT
        seen = instance.observation
        instance.looks += 1
        following = self._next(instance)
        if following.state is InstanceState.ABSENT:
            del self.instances[name]
        else:
            instance.observation = following
        return seen

    def _next(self, instance: FakeInstance) -> Observation:
        """What the next look at an instance will see."""
        if instance.observation.state is InstanceState.STOPPING:
            return ABSENT
        if instance.observation.state is InstanceState.STARTING:
            return self._started(instance)
        return instance.observation

    def _started(self, instance: FakeInstance) -> Observation:
        """What becomes of an instance that was starting."""
        return replace(
            instance.observation,
            state=InstanceState.RUNNING,
            pid=1000 + len(self.calls),
            address=self.address_of(instance.spec.name),
            started_at=datetime.now(UTC),
        )


@dataclass
class FakeDriverThatNeverGetsReady(FakeDriver):
    """Its instances stay Starting for ever."""

    def _started(self, instance: FakeInstance) -> Observation:
        return replace(instance.observation, message="The process runs; it has not opened its address yet.")


@dataclass
class FakeDriverThatLosesAnInstance(FakeDriver):
    """The first instance that was seen Running is gone without a trace at the next look; also any that a test asks to `lose`."""

    lost: list[str] = field(default_factory=list)

    def lose(self, name: str) -> None:
        self.instances.pop(name, None)
        self.lost.append(name)

    def _next(self, instance: FakeInstance) -> Observation:
        if instance.observation.state is InstanceState.RUNNING and not self.lost:
            self.lost.append(instance.spec.name)
            return ABSENT
        return super()._next(instance)


@dataclass
class FakeDriverThatIsUnavailableAtFirst(FakeDriver):
    """The first `refusals` calls of any kind find nobody there; a test may raise the number again at any time."""

    refusals: int = 3

    def _begin(self, verb: str, name: str) -> None:
        super()._begin(verb, name)
        if self.refusals > 0:
            self.refusals -= 1
            raise DriverUnavailable("The fake machinery does not answer yet.")


@dataclass
class FakeDriverThatRefusesTheSpec(FakeDriver):
    """It can run nothing at all."""

    reason: str = "This host has no room for it."

    def _refuse(self, spec: InstanceSpec) -> None:
        raise SpecRefused(self.reason, hint="Choose a smaller instance type.")


@dataclass
class FakeDriverThatCrashesOnStart(FakeDriver):
    """Every instance ends with exit code 3: its script cannot be loaded. `last_words` is what its log says of it."""

    last_words: tuple[str, ...] = (
        "Traceback (most recent call last):",
        "ModuleNotFoundError: No module named 'sklearn'",
    )

    def _started(self, instance: FakeInstance) -> Observation:
        self.lines[instance.spec.name] = list(self.last_words)
        message = "The scoring script could not be loaded or its init() failed; see the log. It is not started again."
        return replace(instance.observation, state=InstanceState.EXITED, exit_code=3, message=message)


@dataclass
class FakeDriverThatKeepsCrashing(FakeDriver):
    """Every instance ends with exit code 1 soon after its start and is started again, for ever."""

    def _started(self, instance: FakeInstance) -> Observation:
        return replace(
            instance.observation, state=InstanceState.BACK_OFF, exit_code=1, message="Ended with exit code 1."
        )

    def _next(self, instance: FakeInstance) -> Observation:
        if instance.observation.state is InstanceState.BACK_OFF:
            return replace(
                instance.observation, state=InstanceState.STARTING, restarts=instance.observation.restarts + 1
            )
        return super()._next(instance)


@dataclass
class FakeDriverThatRunsOutOfMemory(FakeDriverThatKeepsCrashing):
    """Every instance is killed at its memory limit, again and again."""

    def _started(self, instance: FakeInstance) -> Observation:
        limit_mib = instance.spec.memory_limit_bytes // 1024**2
        message = f"Killed: it reached its memory limit of {limit_mib} MiB."
        return replace(
            instance.observation, state=InstanceState.BACK_OFF, exit_code=137, oom_killed=True, message=message
        )


@dataclass
class FakeDriverThatNeverStops(FakeDriver):
    """A removed instance stays Stopping until a test calls `let_go`."""

    is_let_go: bool = False

    def let_go(self) -> None:
        self.is_let_go = True

    def _next(self, instance: FakeInstance) -> Observation:
        if instance.observation.state is InstanceState.STOPPING and not self.is_let_go:
            return instance.observation
        return super()._next(instance)
