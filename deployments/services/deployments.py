"""Create, update, scale, delete and cancel deployments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from deployments import spec
from deployments.lifecycle import TABLE
from deployments.models import Deployment
from deployments.quota import check_quota
from deployments.reconcile import plan
from deployments.services.revisions import RevisionSpec, checked, defaults_of, difference, spec_of, write_revision
from endpoints.models import Endpoint
from endpoints.queries import current_traffic
from studio.lib.errors import Conflict, InUse
from workspaces.lifecycle import move
from workspaces.models import Operation, Target
from workspaces.queries import running_operation
from workspaces.services.environments import ensure_build_wanted
from workspaces.services.record import open_operation, record, request_cancel


def create_deployment(
    *,
    endpoint: Endpoint,
    name: str,
    wanted: RevisionSpec,
    by: Any,
    instance_count: int = 1,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
) -> Operation:
    """A new deployment behind the endpoint, without traffic. Returns the operation that provisions it.

    Raises SpecInvalid, OutOfQuota, and Conflict (the name is taken, the endpoint is being deleted).
    """
    if endpoint.state == Endpoint.State.DELETING:
        raise Conflict(f"Endpoint '{endpoint.name}' is being deleted.")
    wanted = checked(wanted, workspace=endpoint.workspace)
    deployment = Deployment(
        endpoint=endpoint,
        name=name,
        description=description,
        tags=dict(tags or {}),
        properties=dict(properties or {}),
        wanted_instance_count=spec.check_instance_count(instance_count),
        created_by=by,
    )
    _check_name(deployment)
    check_quota(instance_type=wanted.instance_type, count=instance_count)
    if endpoint.deployments.count() >= spec.DEPLOYMENTS_PER_ENDPOINT:
        raise Conflict(f"An endpoint has at most {spec.DEPLOYMENTS_PER_ENDPOINT} deployments.")
    try:
        with transaction.atomic():
            deployment.save()
            revision = write_revision(deployment=deployment, wanted=wanted, by=by)
            deployment.wanted_revision = revision
            deployment.save(update_fields=["wanted_revision"])
            operation = _open(deployment, Operation.Kind.CREATE_DEPLOYMENT, plan.CREATE, by)
            _, after = difference(defaults_of(wanted), wanted)
            after |= {
                "instance_count": instance_count,
                "instance_type": wanted.instance_type.name,
                "environment": str(wanted.environment_version),
            }
            record(subject=deployment.activity_subject(), verb="deployment created", by=by, after=after)
            ensure_build_wanted(build=wanted.environment_version.build)
            _reconcile_soon(deployment)
    except IntegrityError:
        raise Conflict(f"Endpoint '{endpoint.name}' already has a deployment '{name}'.", field="name") from None
    return operation


def update_deployment(
    *,
    deployment: Deployment,
    by: Any,
    change: Callable[[RevisionSpec], RevisionSpec] | None = None,
    instance_count: int | None = None,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
    always: bool = False,
) -> Operation | None:
    """Change only what is given; what is left out stays as it is. None when nothing needs provisioning.

    `change` maps what is wanted now to what shall be wanted. A changed revision starts beside the old one, which serves until
    the new one is ready, and goes on serving when the new one fails. When the count changes too, it is changed first.
    `always` provisions a new revision even when nothing differs (to try again after a failure).

    Raises SpecInvalid, OutOfQuota, OperationInProgress.
    """
    base = deployment.wanted_revision or deployment.serving_revision
    assert base is not None, "a deployment has a revision from its first transaction on"
    before = spec_of(base)
    after = checked(change(before), workspace=deployment.endpoint.workspace) if change else before
    count = deployment.wanted_instance_count if instance_count is None else spec.check_instance_count(instance_count)
    old, new = difference(before, after)
    revised = bool(new) or always or deployment.serving_revision_id != base.pk
    rescaled = count != deployment.wanted_instance_count
    with transaction.atomic():
        _describe(deployment, by=by, description=description, tags=_copied(tags), properties=_copied(properties))
        if not revised and not rescaled:
            return None
        check_quota(instance_type=after.instance_type, count=count, leaving_out=deployment)
        if not revised:
            return _scale(deployment, count, by)
        return _revise(deployment, after, count, by, old=old, new=new)


def scale_deployment(*, deployment: Deployment, instance_count: int, by: Any) -> Operation | None:
    """Run this many instances. Further ones are ready before they get traffic; surplus ones are drained first."""
    return update_deployment(deployment=deployment, instance_count=instance_count, by=by)


def delete_deployment(*, deployment: Deployment, by: Any, with_endpoint: bool = False) -> Operation:
    """Drain and stop the instances, then remove the deployment. Its activity, logs and cost stay.

    Raises InUse while it has live or mirrored traffic (unless the whole endpoint goes), and OperationInProgress.
    """
    newest = current_traffic(deployment.endpoint)
    share = newest.percents.get(deployment.name, 0)
    if not with_endpoint and (share or newest.mirror.get(deployment.name)):
        what = f"{share} % of the traffic" if share else "mirrored traffic"
        raise InUse(
            f"'{deployment}' has {what} and cannot be deleted.",
            hint="Give its share to another deployment first; then delete it.",
        )
    with transaction.atomic():
        operation = _open(deployment, Operation.Kind.DELETE_DEPLOYMENT, plan.DELETE, by)
        move(deployment, Deployment.State.DELETING, TABLE, by=by, verb="deployment deletion started")
        _reconcile_soon(deployment)
    return operation


def cancel_operation(*, deployment: Deployment, by: Any) -> None:
    """Stop the running operation at its next step; what served before goes on serving.

    Raises Conflict when nothing runs, or when it is a deletion, which cannot be taken back.
    """
    operation = running_operation(Target.DEPLOYMENT, deployment.pk)
    if operation is None:
        raise Conflict(f"Nothing is running on '{deployment}'.")
    if operation.kind == Operation.Kind.DELETE_DEPLOYMENT:
        raise Conflict("A deletion cannot be cancelled.")
    with transaction.atomic():
        request_cancel(operation=operation, by=by)
        _reconcile_soon(deployment)


def _scale(deployment: Deployment, count: int, by: Any) -> Operation:
    operation = _open(deployment, Operation.Kind.SCALE_DEPLOYMENT, plan.SCALE, by)
    _record_count(deployment, count, by)
    also = {"wanted_instance_count": count, "next_step_at": None}
    move(deployment, Deployment.State.SCALING, TABLE, by=by, verb="deployment scaling", also=also)
    _reconcile_soon(deployment)
    return operation


def _revise(
    deployment: Deployment, after: RevisionSpec, count: int, by: Any, *, old: dict[str, Any], new: dict[str, Any]
) -> Operation:
    scales_first = deployment.serving_revision_id is not None and count != deployment.wanted_instance_count
    steps = plan.SCALE_THEN_UPDATE if scales_first else plan.UPDATE
    operation = _open(deployment, Operation.Kind.UPDATE_DEPLOYMENT, steps, by)
    revision = write_revision(deployment=deployment, wanted=after, by=by)
    if count != deployment.wanted_instance_count:
        _record_count(deployment, count, by)
    verb = f"deployment updating to revision {revision.number}"
    record(subject=deployment.activity_subject(), verb=verb, by=by, before=old, after=new)
    also = {"wanted_instance_count": count, "wanted_revision": revision, "next_step_at": None}
    move(deployment, Deployment.State.UPDATING, TABLE, by=by, verb="deployment updating", also=also)
    ensure_build_wanted(build=after.environment_version.build)
    _reconcile_soon(deployment)
    return operation


def _record_count(deployment: Deployment, count: int, by: Any) -> None:
    record(
        subject=deployment.activity_subject(),
        verb="instance count changed",
        by=by,
        before={"instance_count": deployment.wanted_instance_count},
        after={"instance_count": count},
    )


def _copied(values: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if values is None else dict(values)


def _describe(deployment: Deployment, *, by: Any, **wanted: Any) -> None:
    changes = {k: v for k, v in wanted.items() if v is not None and v != getattr(deployment, k)}
    if not changes:
        return
    before = {field: getattr(deployment, field) for field in changes}
    for field, value in changes.items():
        setattr(deployment, field, value)
    deployment.save(update_fields=[*changes, "updated_at"])
    record(subject=deployment.activity_subject(), verb="deployment described", by=by, before=before, after=changes)


def _open(deployment: Deployment, kind: str, steps: list[str], by: Any) -> Operation:
    return open_operation(
        workspace=deployment.endpoint.workspace,
        kind=kind,
        subject=deployment.activity_subject(),
        steps=steps,
        by=by,
    )


def _check_name(deployment: Deployment) -> None:
    try:
        deployment.clean_fields(exclude=["endpoint", "created_by", "serving_revision", "wanted_revision"])
    except ValidationError as error:
        field, problems = next(iter(error.message_dict.items()))
        raise spec.SpecInvalid(f"{field}: {problems[0]}", field=field) from None


def _reconcile_soon(deployment: Deployment) -> None:
    from deployments.tasks import reconcile_deployment

    transaction.on_commit(partial(reconcile_deployment.delay, deployment.pk))
