"""Write down what is being done and what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from studio.lib.errors import Conflict, OperationInProgress
from workspaces.models import Activity, Operation, OperationStep, Workspace
from workspaces.models.record import Subject

# what the column for the name of a target holds
NAME_CHARACTERS = 120


def record(
    *,
    subject: Subject,
    verb: str,
    by: Any = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    message: str = "",
) -> Activity:
    """Add a line to the activity of a workspace."""
    return Activity.objects.create(
        workspace_id=subject.workspace_id,
        by=by,
        verb=verb,
        target_kind=subject.kind,
        target_id=subject.id,
        target_name=subject.name[:NAME_CHARACTERS],
        before=dict(before or {}),
        after=dict(after or {}),
        message=message,
    )


def open_operation(
    *, workspace: Workspace, kind: str, subject: Subject, steps: Sequence[str], by: Any = None
) -> Operation:
    """Start an operation with its named steps. Raises OperationInProgress while another one on the target runs."""
    try:
        with transaction.atomic():
            operation = Operation.objects.create(
                workspace=workspace,
                kind=kind,
                target_kind=subject.kind,
                target_id=subject.id,
                target_name=subject.name[:NAME_CHARACTERS],
                by=by,
                heartbeat_at=timezone.now(),
            )
    except IntegrityError:
        running = Operation.objects.filter(
            target_kind=subject.kind, target_id=subject.id, state=Operation.State.IN_PROGRESS
        ).first()
        what = running.get_kind_display().lower() if running else "an operation"
        raise OperationInProgress(f"'{subject.name}' is busy: {what} is still running.") from None
    OperationStep.objects.bulk_create(
        OperationStep(operation=operation, position=position, name=name) for position, name in enumerate(steps)
    )
    return operation


def request_cancel(*, operation: Operation, by: Any) -> None:
    """Ask a running operation to stop; it does so at its next step. Twice is the same as once."""
    if operation.state != Operation.State.IN_PROGRESS:
        raise Conflict(f"{operation} has already ended: {operation.state}.")
    changed = Operation.objects.filter(
        pk=operation.pk, state=Operation.State.IN_PROGRESS, cancel_requested_at__isnull=True
    ).update(cancel_requested_at=timezone.now())
    if changed:
        subject = Subject(operation.workspace_id, operation.target_kind, operation.target_id, operation.target_name)
        record(subject=subject, verb="cancel requested", by=by, message=str(operation))
