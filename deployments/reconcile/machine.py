"""The loop: take a lease, take steps until one has to wait, say when to come back."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from deployments.compute.contract import DriverUnavailable
from deployments.failures import Failure
from deployments.lifecycle import TABLE
from deployments.models import Deployment, Instance, Revision
from deployments.reconcile import instances
from deployments.reconcile.steps import STEPS, Context, StepFailed, Waiting, heal
from endpoints.services import forget_deployment, remove_if_empty
from studio.lib.errors import StudioError
from workspaces import leases
from workspaces.lifecycle import finish, move
from workspaces.models import Operation, OperationStep, Target
from workspaces.queries import running_operation
from workspaces.services.record import record

log = logging.getLogger(__name__)
UNEXPECTED_ERRORS_UNTIL_FAILED = 5


def reconcile(deployment_id: int) -> float | None:
    """Bring one deployment as far towards what is wanted as it goes without waiting.

    Returns after how many seconds to be called again; None when nothing is left to do, or when another process is at it.
    Safe to run twice or late: it compares wanted with observed and does only the difference.
    """
    if not leases.take(Deployment, deployment_id):
        return None
    again: float | None = 2.0
    try:
        again = _step(deployment_id)
    finally:
        due = None if again is None else timezone.now() + timedelta(seconds=again)
        leases.release(Deployment, deployment_id, next_step_at=due)
    return again


def _step(deployment_id: int) -> float | None:
    related = ("endpoint__workspace", "serving_revision", "wanted_revision")
    deployment = Deployment.objects.select_related(*related).filter(pk=deployment_id).first()
    if deployment is None:
        return None
    operation = running_operation(Target.DEPLOYMENT, deployment.pk)
    if operation is not None:
        return _advance(deployment, operation)
    return _heal(deployment)


def _advance(deployment: Deployment, operation: Operation) -> float | None:
    Operation.objects.filter(pk=operation.pk).update(heartbeat_at=timezone.now())
    if operation.cancel_requested_at and operation.kind != Operation.Kind.DELETE_DEPLOYMENT:
        _give_up(deployment, operation, Deployment.State.CANCELED, _CANCELED)
        return 0
    revision = deployment.wanted_revision
    if operation.kind == Operation.Kind.SCALE_DEPLOYMENT:
        revision = deployment.serving_revision
    if revision is None:
        raise AssertionError(f"{deployment} has an operation but no revision")
    context = Context(deployment, operation, _whole(revision))
    for step in operation.steps.all():
        if step.state in (OperationStep.State.SUCCEEDED, OperationStep.State.SKIPPED):
            continue
        waiting = _run(step, context)
        if waiting is not None:
            return waiting.again_in_seconds
        if context.message == _ENDED:
            return 0
        if not leases.renew(Deployment, deployment.pk):
            return None
    _succeed(deployment, operation)
    return None


_ENDED = "\0ended"
_CANCELED = Failure("OperationCanceled", "Cancelled on request; what served before goes on serving.")


def _whole(revision: Revision) -> Revision:
    return Revision.objects.select_related(
        "model_version__model",
        "model_version__files",
        "code_version__files",
        "environment_version__build",
        "instance_type",
    ).get(pk=revision.pk)


def _run(step: OperationStep, context: Context) -> Waiting | None:
    """One step; failures end the operation (context.message is then _ENDED)."""
    if step.state == OperationStep.State.WAITING:
        _save(step, state=OperationStep.State.RUNNING, started_at=timezone.now())
    context.message = ""
    try:
        waiting = STEPS[step.name](context)
    except DriverUnavailable as error:
        waiting = Waiting(f"Compute does not answer: {error}", again_in_seconds=1.0)
    except StepFailed as error:
        return _fail(step, context, error.failure)
    except StudioError as error:
        return _fail(step, context, Failure(error.code, error.message, hint=error.hint))
    except Exception as error:
        log.exception("%s of %s: unexpected error", step.name, context.deployment)
        _save(step, attempts=step.attempts + 1)
        if step.attempts >= UNEXPECTED_ERRORS_UNTIL_FAILED:
            hint = "The studio's own log has the details. Try again; report it if it stays."
            return _fail(step, context, Failure("InternalServerError", f"{type(error).__name__}: {error}", hint=hint))
        waiting = Waiting(f"An unexpected error; trying again ({step.attempts})", again_in_seconds=2.0**step.attempts)
    if waiting is not None:
        _save(step, message=waiting.message, progress_percent=waiting.progress_percent)
        return waiting
    done = OperationStep.State.SUCCEEDED
    _save(step, state=done, finished_at=timezone.now(), message=context.message, progress_percent=100)
    return None


def _fail(step: OperationStep, context: Context, failure: Failure) -> Waiting | None:
    _save(step, state=OperationStep.State.FAILED, finished_at=timezone.now(), message=failure.message)
    assert context.operation is not None
    _give_up(context.deployment, context.operation, Deployment.State.FAILED, failure)
    context.message = _ENDED
    return None


def _give_up(deployment: Deployment, operation: Operation, outcome: str, failure: Failure) -> None:
    """End the operation; take down what it had started; leave what served before as it was."""
    now = timezone.now()
    with transaction.atomic():
        operation.steps.filter(state=OperationStep.State.RUNNING).update(
            state=OperationStep.State.FAILED, finished_at=now, message=failure.message
        )
        operation.steps.filter(state=OperationStep.State.WAITING).update(state=OperationStep.State.SKIPPED)
        move(
            deployment,
            outcome,
            TABLE,
            code=failure.code,
            message=failure.message,
            closes=operation,
            cause=failure.cause,
            hint=failure.hint,
            log_lines=failure.log_lines,
            also=_count_that_serves(deployment),
        )
        started = deployment.instances.filter(state__in=Instance.LIVE_STATES, is_admitted=False)
        instances.start_draining(started.select_related("revision"))


def _count_that_serves(deployment: Deployment) -> dict[str, object]:
    """A failed change of the count goes back to the number of instances that serve."""
    serving = deployment.instances.filter(
        revision=deployment.serving_revision, state__in=Instance.LIVE_STATES, is_admitted=True
    ).count()
    return {"wanted_instance_count": serving} if deployment.serving_revision_id and serving else {}


def _succeed(deployment: Deployment, operation: Operation) -> None:
    if operation.kind == Operation.Kind.DELETE_DEPLOYMENT:
        _remove(deployment, operation)
        return
    move(
        deployment,
        Deployment.State.SUCCEEDED,
        TABLE,
        closes=operation,
        verb=f"{operation.get_kind_display().lower()} succeeded",
    )


def _remove(deployment: Deployment, operation: Operation) -> None:
    endpoint = deployment.endpoint
    with transaction.atomic():
        forget_deployment(endpoint=endpoint, name=deployment.name)
        record(subject=deployment.activity_subject(), verb="deployment deleted", by=operation.by)
        finish(operation)
        instances.tell(deployment.pk)
        Deployment.objects.filter(pk=deployment.pk).update(serving_revision=None, wanted_revision=None)
        deployment.delete()
    remove_if_empty(endpoint=endpoint)


def _heal(deployment: Deployment) -> float | None:
    revision = deployment.serving_revision
    try:
        if revision is None:
            left = instances.stop_drained(deployment)
            return 0.5 if left else None
        waiting = heal(Context(deployment, None, _whole(revision)))
    except (DriverUnavailable, StepFailed) as error:
        log.warning("healing %s: %s", deployment, error)
        return 5.0
    return waiting.again_in_seconds if waiting else None


def _save(step: OperationStep, **values: object) -> None:
    changed = {name: value for name, value in values.items() if getattr(step, name) != value}
    if changed:
        OperationStep.objects.filter(pk=step.pk).update(**changed)
        for name, value in changed.items():
            setattr(step, name, value)
