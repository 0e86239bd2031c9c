"""What each step of an operation does. A step returns None when it is done, or says what it waits for.

Every step looks at what is, and does only the difference: it may be run again after any interruption.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from deployments.compute.contract import InstanceState, Observation, SpecRefused
from deployments.drivers import get_driver
from deployments.failures import Failure, explain_exit, explain_not_ready
from deployments.models import Deployment, Instance, Revision
from deployments.quota import check_quota
from deployments.reconcile import instances, plan
from deployments.spec import Probe
from studio.lib.errors import StudioError
from workspaces import staging
from workspaces.models import EnvironmentBuild, Operation

POLL_SECONDS = 0.15
CRASHES_UNTIL_FAILED = 3
LOG_LINES = 400


@dataclass(frozen=True)
class Waiting:
    """The step goes on later."""

    message: str
    again_in_seconds: float = POLL_SECONDS
    progress_percent: int | None = None


class StepFailed(StudioError):
    """A step cannot be completed; `failure` says why and what to do."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message, code=failure.code, hint=failure.hint)


@dataclass
class Context:
    """What the steps of one operation work on. `revision` is what the operation leads to."""

    deployment: Deployment
    operation: Operation | None
    revision: Revision
    message: str = ""


Step = Callable[[Context], Waiting | None]


def check_quota_again(context: Context) -> Waiting | None:
    deployment, kind = context.deployment, context.revision.instance_type
    check_quota(instance_type=kind, count=deployment.wanted_instance_count, leaving_out=deployment)
    context.message = f"{deployment.wanted_instance_count} × {kind.name} fit"
    return None


def build_environment(context: Context) -> Waiting | None:
    build = EnvironmentBuild.objects.get(pk=context.revision.environment_version.build_id)
    if build.state == EnvironmentBuild.State.SUCCEEDED:
        context.message = f"Python {build.python_used}, {len(build.packages)} packages"
        if build.substitution:
            context.message += f". {build.substitution}"
        return None
    if build.state in (EnvironmentBuild.State.FAILED, EnvironmentBuild.State.CANCELED):
        raise StepFailed(
            Failure(
                code=build.code or "ImageBuildFailure",
                message=f"The environment {context.revision.environment_version} could not be built: {build.message}",
                cause=build.error_text,
                hint=build.hint,
                log_lines=staging.build_log(build, most=30),
            )
        )
    last = staging.build_log(build, most=1)
    return Waiting(last[0] if last else "Waiting for a worker to build it", again_in_seconds=0.3)


def fetch_model(context: Context) -> Waiting | None:
    staged = staging.stage(
        model=context.revision.model_version,
        code=context.revision.code_version,
        build=context.revision.environment_version.build,
    )
    context.message = staged.summary
    return None


def start_instances(context: Context) -> Waiting | None:
    deployment, revision = context.deployment, context.revision
    rows = instances.live(deployment, revision)
    while len(rows) < deployment.wanted_instance_count:
        rows.append(instances.request(deployment, revision))
    staged = staging.stage(
        model=revision.model_version, code=revision.code_version, build=revision.environment_version.build
    )
    for row in rows:
        try:
            get_driver(row.driver).ensure(instances.spec_for(row, revision, staged))
        except SpecRefused as refused:
            raise StepFailed(Failure(code="BadArgument", message=str(refused), hint=refused.hint)) from refused
    seen = instances.follow(rows)
    absent = [row.name for row in rows if seen[row.name].state is InstanceState.ABSENT]
    if absent:
        return Waiting(f"{len(rows) - len(absent)} of {len(rows)} started")
    context.message = f"{len(rows)} started"
    return None


def wait_for_readiness(context: Context) -> Waiting | None:
    rows = instances.live(context.deployment, context.revision)
    if len(rows) < context.deployment.wanted_instance_count:
        return start_instances(context) or Waiting("An instance was lost and is started again")
    seen = instances.follow(rows)
    for row in rows:
        _fail_if_hopeless(row, seen[row.name], context.revision)
    if any(seen[row.name].state is InstanceState.ABSENT for row in rows):
        return start_instances(context) or Waiting("An instance was lost and is started again")
    ready = [row for row in rows if row.state == Instance.State.READY]
    context.message = f"{len(ready)} of {len(rows)} ready"
    if len(ready) == len(rows):
        return None
    return Waiting(context.message, progress_percent=100 * len(ready) // len(rows))


def _fail_if_hopeless(row: Instance, seen: Observation, revision: Revision) -> None:
    if row.is_admitted:
        return
    crashed = seen.restarts >= CRASHES_UNTIL_FAILED
    if seen.state in (InstanceState.EXITED, InstanceState.FATAL) or crashed:
        lines = get_driver(row.driver).logs(row.name, LOG_LINES)
        raise StepFailed(explain_exit(seen.exit_code, lines, oom_killed=seen.oom_killed, message=seen.message))
    readiness = Probe(**revision.readiness_probe)
    began = row.started_at or row.created_at
    waited = (timezone.now() - began).total_seconds()
    if row.state != Instance.State.READY and waited > readiness.deadline_seconds:
        lines = get_driver(row.driver).logs(row.name, LOG_LINES)
        raise StepFailed(explain_not_ready(readiness, lines, answered=row.answered_at is not None))


def route(context: Context) -> Waiting | None:
    deployment, revision = context.deployment, context.revision
    rows = instances.live(deployment, revision)
    instances.admit(rows)
    if deployment.serving_revision_id != revision.pk:
        Deployment.objects.filter(pk=deployment.pk).update(serving_revision=revision)
        deployment.serving_revision = revision
    waiting = [row for row in rows if row.routed != "traffic"]
    if waiting:
        instances.tell(deployment.pk)
        return Waiting(f"The gateway has {len(rows) - len(waiting)} of {len(rows)}")
    context.message = f"The gateway has {len(rows)} of {len(rows)}"
    return None


def retire_surplus(context: Context) -> Waiting | None:
    deployment, revision = context.deployment, context.revision
    others = deployment.instances.filter(state__in=Instance.LIVE_STATES).exclude(revision=revision)
    instances.start_draining(others.select_related("revision"))
    surplus = instances.live(deployment, revision)[deployment.wanted_instance_count :]
    instances.start_draining(surplus)
    left = instances.stop_drained(deployment)
    if left:
        return Waiting(f"{len(left)} still finishing requests or stopping")
    return None


def scale_first(context: Context) -> Waiting | None:
    """The count is changed before anything else: on the revision that serves now."""
    serving = context.deployment.serving_revision
    if serving is None:
        return None
    inner = Context(context.deployment, context.operation, serving)
    for step in (start_instances, wait_for_readiness, route, retire_surplus):
        waiting = step(inner)
        if waiting:
            return waiting
    context.message = f"{context.deployment.wanted_instance_count} instances of revision {serving.number}"
    return None


def drain_all(context: Context) -> Waiting | None:
    deployment = context.deployment
    instances.start_draining(deployment.instances.filter(state__in=Instance.LIVE_STATES))
    busy = [row for row in _draining(deployment) if not instances.may_stop(row)]
    if busy:
        instances.tell(deployment.pk)
        return Waiting(f"{len(busy)} still finishing requests")
    return None


def stop_all(context: Context) -> Waiting | None:
    left = instances.stop_drained(context.deployment)
    return Waiting(f"{len(left)} still stopping") if left else None


def remove(context: Context) -> Waiting | None:
    """Nothing is left but the rows, which the machine removes when it closes the operation."""
    return None


def _draining(deployment: Deployment) -> Any:
    return deployment.instances.filter(state=Instance.State.DRAINING).select_related("revision")


STEPS: dict[str, Step] = {
    plan.QUOTA: check_quota_again,
    plan.BUILD: build_environment,
    plan.FETCH: fetch_model,
    plan.SCALE_FIRST: scale_first,
    plan.START: start_instances,
    plan.READY: wait_for_readiness,
    plan.ROUTE: route,
    plan.RETIRE: retire_surplus,
    plan.DRAIN: drain_all,
    plan.STOP: stop_all,
    plan.REMOVE: remove,
}


def heal(context: Context) -> Waiting | None:
    """Without an operation: keep as many instances of the serving revision as wanted, and finish what still drains."""
    deployment = context.deployment
    rows = instances.live(deployment, context.revision)
    seen = instances.follow(rows)
    for row in rows:
        _replace_if_hopeless(row, seen[row.name], context.revision)
    rows = instances.live(deployment, context.revision)
    recent = timezone.now() - timedelta(minutes=10)
    failures = deployment.instances.filter(state=Instance.State.FAILED, stopped_at__gte=recent).count()
    missing = deployment.wanted_instance_count - len(rows)
    if (missing > 0 or any(seen[row.name].state is InstanceState.ABSENT for row in rows)) and not _too_soon(
        deployment, failures
    ):
        start_instances(context)
        rows = instances.live(deployment, context.revision)
    instances.admit(row for row in rows if row.state == Instance.State.READY)
    waiting = retire_surplus(context)
    starting = [row for row in rows if row.state in (Instance.State.REQUESTED, Instance.State.STARTING)]
    unrouted = [row for row in rows if row.is_admitted and row.routed != "traffic"]
    if unrouted:
        instances.tell(deployment.pk)
    if waiting:
        return waiting
    if starting or unrouted or missing > 0:
        return Waiting("healing", again_in_seconds=0.5)
    return None


def _too_soon(deployment: Deployment, failures: int) -> bool:
    """Replacements of instances that fail again and again come at growing distances, up to a minute."""
    newest = deployment.instances.order_by("-created_at").first()
    if newest is None or not failures:
        return False
    pause = timedelta(seconds=min(2 ** min(failures, 6), 60))
    return timezone.now() - newest.created_at < pause


def _replace_if_hopeless(row: Instance, seen: Observation, revision: Revision) -> None:
    driver = get_driver(row.driver)
    if seen.state in (InstanceState.EXITED, InstanceState.FATAL):
        lines = driver.logs(row.name, LOG_LINES)
        failure = explain_exit(seen.exit_code, lines, oom_killed=seen.oom_killed, message=seen.message)
        instances.give_up(row, driver, code=failure.code, message=failure.message)
        return
    liveness = Probe(**revision.liveness_probe)
    silent_since = row.answered_at or row.started_at
    if row.state == Instance.State.UNREADY and silent_since and seen.state is InstanceState.RUNNING:
        silent = (timezone.now() - silent_since).total_seconds()
        if silent > liveness.deadline_seconds:
            with transaction.atomic():
                message = f"It answered no probe for {silent:.0f} s and is replaced."
                instances.give_up(row, driver, code="LivenessProbeFailed", message=message)
