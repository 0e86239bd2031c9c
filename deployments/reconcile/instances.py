"""Instances as rows and as what the driver sees: request, follow, drain, stop."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from deployments.compute.contract import ABSENT, ComputeDriver, InstanceSpec, InstanceState, Observation
from deployments.drivers import get_driver
from deployments.lifecycle import INSTANCE_TABLE
from deployments.models import Deployment, Instance, Revision
from deployments.probes import Answer, probe_many
from deployments.signals import instances_changed
from deployments.spec import Probe
from workspaces.lifecycle import move
from workspaces.services.environments import environment_variables
from workspaces.staging import Staged

_S = Instance.State
# after this many failed probes in a row a ready instance is shown as unready (the gateway notices by itself)
UNREADY_AFTER_PROBES = 3
# how much longer than the request timeout a draining instance may keep requests
DRAIN_SLACK_SECONDS = 30


def request(deployment: Deployment, revision: Revision) -> Instance:
    """A row for an instance to be; nothing is started yet."""
    return Instance.objects.create(
        deployment=deployment,
        revision=revision,
        workspace=deployment.endpoint.workspace,
        endpoint_name=deployment.endpoint.name,
        deployment_name=deployment.name,
        revision_number=revision.number,
        name=f"i-{secrets.token_hex(4)}",
        driver=get_driver().name,
        instance_type_name=revision.instance_type.name,
        price_per_hour=revision.instance_type.price_per_hour,
    )


def spec_for(instance: Instance, revision: Revision, staged: Staged) -> InstanceSpec:
    """What the driver is to start. `WORKER_COUNT` of the user decides how many processes serve, as in Azure."""
    variables = environment_variables(revision.environment_version) | dict(revision.environment_variables)
    workers = variables.get("WORKER_COUNT", "1")
    return InstanceSpec(
        name=instance.name,
        python=Path(revision.environment_version.build.python_path),
        runtime_dir=staged.runtime,
        app_dir=staged.code,
        entry_script=revision.scoring_script or None,
        model_dir=staged.model,
        cpu_limit=float(revision.instance_type.vcpu),
        memory_limit_bytes=revision.instance_type.memory_bytes,
        environment=variables,
        request_timeout_ms=revision.request_timeout_ms,
        max_concurrent_requests=revision.max_concurrent_requests_per_instance,
        worker_count=int(workers) if workers.isdigit() and int(workers) > 0 else 1,
        stop_grace_seconds=revision.request_timeout_ms / 1000 + 5,
    )


def live(deployment: Deployment, revision: Revision) -> list[Instance]:
    """Instances of the revision that run or are about to, oldest first."""
    return list(deployment.instances.filter(revision=revision, state__in=Instance.LIVE_STATES))


def follow(instances: Iterable[Instance]) -> dict[str, Observation]:
    """Look at the instances once, bring their rows up to date, and return what the driver saw, by name.

    Raises DriverUnavailable.
    """
    rows = list(instances)
    seen: dict[str, Observation] = {}
    for driver_name in {row.driver for row in rows}:
        seen |= get_driver(driver_name).observe_all()
    to_probe = {}
    for row in rows:
        observation = seen.setdefault(row.name, ABSENT)
        if observation.state is InstanceState.RUNNING and row.state in Instance.LIVE_STATES:
            to_probe[row.name] = (observation.address, float(_readiness(row).timeout))
    answers = probe_many(to_probe)
    for row in rows:
        if row.state in Instance.LIVE_STATES:
            _bring_up_to_date(row, seen[row.name], answers.get(row.name))
    return seen


def _readiness(row: Instance) -> Probe:
    return Probe(**row.revision.readiness_probe) if row.revision else Probe()


def _bring_up_to_date(row: Instance, observation: Observation, answer: Answer | None) -> None:
    now = timezone.now()
    columns = {
        "address": observation.address or row.address,
        "restarts": observation.restarts,
        "exit_code": observation.exit_code,
        "limits_applied": dict(observation.limits_applied) or row.limits_applied,
        "started_at": row.started_at or observation.started_at,
    }
    is_ready = answer is not None and answer.is_ready
    if answer is not None and answer.answered:
        columns["answered_at"] = now
    columns["failed_probes"] = 0 if is_ready else row.failed_probes + 1
    columns["passed_probes"] = row.passed_probes + 1 if is_ready else 0
    changed = {name: value for name, value in columns.items() if getattr(row, name) != value}
    if changed:
        Instance.objects.filter(pk=row.pk).update(**changed)
        for name, value in changed.items():
            setattr(row, name, value)
    _move_with(row, observation, is_ready)


def _move_with(row: Instance, observation: Observation, is_ready: bool) -> None:
    if row.state == _S.REQUESTED and observation.state is not InstanceState.ABSENT:
        move(row, _S.STARTING, INSTANCE_TABLE, verb="instance starting")
    if row.state in (_S.STARTING, _S.UNREADY) and is_ready and row.passed_probes >= _readiness(row).success_threshold:
        also = {"ready_at": row.ready_at or timezone.now()}
        if move(row, _S.READY, INSTANCE_TABLE, verb="instance ready", also=also):
            tell(row.deployment_id)
    elif row.state == _S.READY and not is_ready:
        dead = observation.state is not InstanceState.RUNNING
        if dead or row.failed_probes >= UNREADY_AFTER_PROBES:
            message = observation.message or f"{row.failed_probes} readiness probes failed in a row"
            move(row, _S.UNREADY, INSTANCE_TABLE, verb="instance unready", message=message)


def admit(instances: Iterable[Instance]) -> None:
    """Let the gateway send these instances requests."""
    for row in instances:
        if not row.is_admitted:
            Instance.objects.filter(pk=row.pk).update(is_admitted=True)
            row.is_admitted = True
            tell(row.deployment_id)


def start_draining(instances: Iterable[Instance]) -> None:
    """No new requests for these; what they have begun they finish."""
    for row in instances:
        if row.state in Instance.LIVE_STATES:
            move(row, _S.DRAINING, INSTANCE_TABLE, verb="instance draining", also={"draining_at": timezone.now()})
            tell(row.deployment_id)


def may_stop(row: Instance) -> bool:
    """Whether a draining instance has no request left: the gateway confirmed it, or its time is over."""
    if not row.is_admitted or row.routed == "":
        return True
    timeout_ms = row.revision.request_timeout_ms if row.revision else 180_000
    limit = timedelta(seconds=timeout_ms / 1000 + DRAIN_SLACK_SECONDS)
    return row.draining_at is not None and timezone.now() - row.draining_at > limit


def stop_drained(deployment: Deployment) -> list[Instance]:
    """Take each draining instance one step further; returns those that are not stopped yet. Raises DriverUnavailable."""
    left = []
    for row in deployment.instances.filter(state=_S.DRAINING).select_related("revision"):
        if not may_stop(row):
            left.append(row)
            tell(deployment.pk)
            continue
        driver = get_driver(row.driver)
        driver.remove(row.name)
        if driver.observe(row.name).state is InstanceState.ABSENT:
            move(row, _S.STOPPED, INSTANCE_TABLE, verb="instance stopped", also=_ended())
        else:
            left.append(row)
    return left


def give_up(row: Instance, driver: ComputeDriver, *, code: str, message: str) -> None:
    """End an instance that will not work; its logs stay."""
    driver.remove(row.name)
    move(row, _S.FAILED, INSTANCE_TABLE, code=code, message=message, verb="instance failed", also=_ended())
    tell(row.deployment_id)


def _ended() -> dict[str, object]:
    return {"stopped_at": timezone.now(), "routed": ""}


def tell(deployment_id: int | None) -> None:
    """Say to the rooms above that instances of a deployment changed."""
    if deployment_id is not None:
        send = partial(instances_changed.send, sender=Instance, deployment_id=deployment_id)
        transaction.on_commit(send)
