"""The contract of a compute driver, held against every driver and every fake.

A new driver adds its `Case` here. `outcome` is where its instances end up by themselves; a promise about running instances is
asked only of those that run, all others of every driver.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deployments.compute.contract import (
    CALL_SECONDS,
    ComputeDriver,
    DriverUnavailable,
    InstanceSpec,
    InstanceState,
    Observation,
    SpecRefused,
)
from tests.contract import fakes
from tests.contract.installation import Installation, insist, poll

RUNNING, ABSENT = InstanceState.RUNNING, InstanceState.ABSENT


@dataclass
class Case:
    """One driver under test: how specifications for it are made, and what becomes of them."""

    driver: ComputeDriver
    make_spec: Callable[[], InstanceSpec]
    outcome: InstanceState | None = RUNNING
    stops: bool = True

    def start(self) -> InstanceSpec:
        spec = self.make_spec()
        if self.outcome is None:
            with pytest.raises(SpecRefused):
                insist(lambda: self.driver.ensure(spec))
            pytest.skip("this driver runs nothing")
        insist(lambda: self.driver.ensure(spec))
        return spec

    def start_running(self) -> tuple[InstanceSpec, Observation]:
        if self.outcome is not RUNNING:
            pytest.skip("instances of this driver do not come up")
        spec = self.start()
        return spec, self.wait_for(spec.name, RUNNING)

    def wait_for(self, name: str, *states: InstanceState) -> Observation:
        return poll(lambda: self.driver.observe(name), lambda seen: seen.state in states)

    def remove(self, name: str) -> None:
        insist(lambda: self.driver.remove(name))
        if not self.stops:
            pytest.skip("instances of this driver do not stop")
        self.wait_for(name, ABSENT)


FAKES: dict[str, tuple[fakes.FakeDriver, InstanceState | None]] = {
    "obedient": (fakes.FakeDriver(), RUNNING),
    "never gets ready": (fakes.FakeDriverThatNeverGetsReady(), InstanceState.STARTING),
    "loses an instance": (fakes.FakeDriverThatLosesAnInstance(lost=["one before"]), RUNNING),
    "unavailable at first": (fakes.FakeDriverThatIsUnavailableAtFirst(), RUNNING),
    "refuses the spec": (fakes.FakeDriverThatRefusesTheSpec(), None),
    "crashes on start": (fakes.FakeDriverThatCrashesOnStart(), InstanceState.EXITED),
    "keeps crashing": (fakes.FakeDriverThatKeepsCrashing(), InstanceState.BACK_OFF),
    "out of memory": (fakes.FakeDriverThatRunsOutOfMemory(), InstanceState.BACK_OFF),
    "never stops": (fakes.FakeDriverThatNeverStops(), RUNNING),
}


@pytest.fixture(params=[pytest.param("local", marks=pytest.mark.process), *FAKES])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    if request.param == "local":
        installation: Installation = request.getfixturevalue("installation")
        yield Case(installation.driver, installation.spec)
        return
    template, outcome = FAKES[request.param]
    driver = replace(template, instances={}, calls=[], lines={}, happened={})
    yield Case(driver, _fake_spec, outcome, stops=not isinstance(driver, fakes.FakeDriverThatNeverStops))


def _fake_spec() -> InstanceSpec:
    _fake_spec.made = getattr(_fake_spec, "made", 0) + 1  # type: ignore[attr-defined]
    return InstanceSpec(name=f"i-{_fake_spec.made}", python=Path("/bin/python"), runtime_dir=Path("/srv"))  # type: ignore[attr-defined]


def test_a_driver_has_a_name_and_every_method_of_the_contract(case: Case) -> None:
    assert isinstance(case.driver, ComputeDriver)
    assert case.driver.name


def test_what_was_never_started_is_absent_and_that_is_no_error(case: Case) -> None:
    seen = insist(lambda: case.driver.observe("i-nobody"))
    assert (seen.state, seen.pid, seen.address) == (ABSENT, None, "")


def test_removing_nothing_is_no_error(case: Case) -> None:
    insist(lambda: case.driver.remove("i-nobody"))
    insist(lambda: case.driver.remove("i-nobody"))
    assert insist(lambda: case.driver.observe("i-nobody")).state is ABSENT


def test_nothing_is_known_of_what_never_was(case: Case) -> None:
    assert insist(lambda: case.driver.logs("i-nobody")) == []
    assert insist(lambda: case.driver.events("i-nobody")) == []
    assert insist(lambda: case.driver.usage("i-nobody")) is None
    insist(lambda: case.driver.forget("i-nobody"))


def test_a_started_instance_runs_at_an_address(case: Case) -> None:
    spec, seen = case.start_running()
    assert seen.pid
    assert seen.address.startswith("unix:/") or ":" in seen.address
    assert seen.started_at is not None
    assert seen.started_at.tzinfo is not None
    assert (seen.restarts, seen.exit_code, seen.oom_killed) == (0, None, False)
    assert seen.spec_digest == spec.digest


def test_an_instance_ends_up_where_its_driver_takes_it(case: Case) -> None:
    spec = case.start()
    assert case.outcome is not None
    assert case.wait_for(spec.name, case.outcome).state is case.outcome


def test_every_observation_says_by_what_an_instance_is_bounded(case: Case) -> None:
    _, seen = case.start_running()
    assert set(seen.limits_applied) == {"cpu", "memory", "processes", "user", "filesystem"}
    assert all(seen.limits_applied.values())


def test_an_instance_that_is_not_running_has_no_address(case: Case) -> None:
    spec = case.start()
    seen = insist(lambda: case.driver.observe(spec.name))
    assert seen.address == "" or seen.state in (RUNNING, InstanceState.STOPPING)


def test_ensuring_twice_starts_one(case: Case) -> None:
    spec, first = case.start_running()
    insist(lambda: case.driver.ensure(spec))
    second = case.wait_for(spec.name, RUNNING)
    assert (second.pid, second.started_at, second.restarts) == (first.pid, first.started_at, 0)
    assert list(insist(case.driver.observe_all)).count(spec.name) == 1


def test_ensuring_with_another_specification_changes_nothing(case: Case) -> None:
    spec, first = case.start_running()
    insist(lambda: case.driver.ensure(replace(spec, request_timeout_ms=9_999)))
    second = insist(lambda: case.driver.observe(spec.name))
    assert (second.pid, second.spec_digest) == (first.pid, spec.digest)


def test_ensuring_does_not_start_what_its_script_ended(case: Case) -> None:
    if case.outcome is not InstanceState.EXITED:
        pytest.skip("scripts of this driver work")
    spec = case.start()
    case.wait_for(spec.name, InstanceState.EXITED)
    insist(lambda: case.driver.ensure(spec))
    assert insist(lambda: case.driver.observe(spec.name)).state is InstanceState.EXITED


def test_all_are_seen_at_once(case: Case) -> None:
    names = {case.start().name, case.start().name}
    seen = insist(case.driver.observe_all)
    assert names <= set(seen)
    assert all(one.state is not ABSENT for one in seen.values())


def test_a_removed_instance_is_stopping_and_then_absent(case: Case) -> None:
    spec, _ = case.start_running()
    insist(lambda: case.driver.remove(spec.name))
    assert insist(lambda: case.driver.observe(spec.name)).state in (InstanceState.STOPPING, ABSENT)
    case.remove(spec.name)
    assert spec.name not in insist(case.driver.observe_all)


def test_whatever_state_it_is_in_it_can_be_removed(case: Case) -> None:
    spec = case.start()
    case.remove(spec.name)
    assert insist(lambda: case.driver.usage(spec.name)) is None


def test_a_name_can_be_used_again_once_it_is_absent(case: Case) -> None:
    spec, first = case.start_running()
    case.remove(spec.name)
    insist(lambda: case.driver.ensure(spec))
    assert case.wait_for(spec.name, RUNNING).pid != first.pid


def test_ensuring_what_is_still_stopping_is_put_off(case: Case) -> None:
    spec, _ = case.start_running()
    insist(lambda: case.driver.remove(spec.name))
    try:
        case.driver.ensure(spec)
    except DriverUnavailable as error:
        assert spec.name in str(error)  # noqa: PT017 - a fast driver may be done already
    else:
        assert case.wait_for(spec.name, RUNNING).state is RUNNING


def test_logs_and_events_outlive_the_instance_until_they_are_forgotten(case: Case) -> None:
    spec, _ = case.start_running()
    poll(lambda: case.driver.logs(spec.name), len)
    case.remove(spec.name)
    assert insist(lambda: case.driver.logs(spec.name))
    assert "Created" in [event.name for event in insist(lambda: case.driver.events(spec.name))]
    insist(lambda: case.driver.forget(spec.name))
    assert insist(lambda: case.driver.logs(spec.name)) == []
    assert insist(lambda: case.driver.events(spec.name)) == []


def test_forgetting_an_instance_that_exists_keeps_its_log(case: Case) -> None:
    spec, _ = case.start_running()
    poll(lambda: case.driver.logs(spec.name), len)
    insist(lambda: case.driver.forget(spec.name))
    assert insist(lambda: case.driver.logs(spec.name))


def test_what_was_done_to_bring_it_up_is_in_the_other_log(case: Case) -> None:
    spec = case.start()
    assert insist(lambda: case.driver.logs(spec.name, container="storage-initializer"))
    with pytest.raises(SpecRefused, match="no container"):
        insist(lambda: case.driver.logs(spec.name, container="sidecar"))


def test_a_running_instance_is_measured_against_its_limits(case: Case) -> None:
    spec, _ = case.start_running()
    usage = insist(lambda: case.driver.usage(spec.name))
    assert usage is not None
    assert usage.cpu_seconds >= 0
    assert 0 < usage.memory_bytes <= spec.memory_limit_bytes
    assert usage.processes >= 1
    assert (usage.cpu_limit, usage.memory_limit_bytes) == (spec.cpu_limit, spec.memory_limit_bytes)


def test_capacity_counts_what_is_promised(case: Case) -> None:
    before = insist(case.driver.capacity)
    spec = case.start()
    after = insist(case.driver.capacity)
    assert after.cpu_promised - before.cpu_promised == pytest.approx(spec.cpu_limit)
    assert after.memory_promised_bytes - before.memory_promised_bytes == spec.memory_limit_bytes
    assert after.cpu_total >= after.cpu_free >= 0
    assert after.memory_total_bytes >= after.memory_free_bytes > 0


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "Not A Name"}, "cannot name"),
        ({"name": "../up"}, "cannot name"),
        ({"cpu_limit": 0.0}, "CPU limit"),
        ({"memory_limit_bytes": 1}, "memory limit"),
        ({"worker_count": 0}, "worker_count"),
        ({"environment": {"A=B": "c"}}, "environment variable"),
        ({"entry_script": "score.py", "app_dir": None}, "no code folder"),
    ],
)
def test_what_can_never_run_is_refused(case: Case, change: dict[str, object], complaint: str) -> None:
    spec = replace(case.make_spec(), **change)  # type: ignore[arg-type]
    with pytest.raises(SpecRefused, match=complaint):
        insist(lambda: case.driver.ensure(spec))


def test_every_call_returns_in_time(case: Case) -> None:
    spec = case.make_spec()
    driver = case.driver
    calls: list[Callable[[], object]] = [
        lambda: driver.ensure(spec),
        lambda: driver.observe(spec.name),
        driver.observe_all,
        lambda: driver.logs(spec.name),
        lambda: driver.events(spec.name),
        lambda: driver.usage(spec.name),
        driver.capacity,
        lambda: driver.remove(spec.name),
        lambda: driver.forget(spec.name),
    ]
    for call in calls:
        began = time.monotonic()
        try:
            call()
        except (DriverUnavailable, SpecRefused):
            pass
        assert time.monotonic() - began < CALL_SECONDS
