"""The only writer of state, in every room.

A row with a state has the columns `state`, `code`, `message` and `state_changed_at`; `activity_subject()` says what it is called
in the activity. Each room keeps its own table of allowed moves and passes it in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from studio.lib.errors import StudioError
from workspaces.models import Activity, EnvironmentBuild, Operation
from workspaces.models.record import Subject

Table = Mapping[str, frozenset[str]]


class MoveNotAllowed(StudioError):
    """This change of state is not in the table of allowed moves."""

    code = "Conflict"
    http_status = 409


def move(
    row: Any,
    new: str,
    table: Table,
    *,
    by: Any = None,
    code: str = "",
    message: str = "",
    verb: str = "",
    closes: Operation | None = None,
    cause: str = "",
    hint: str = "",
    log_lines: list[str] | None = None,
    also: Mapping[str, Any] | None = None,
) -> bool:
    """Change `row.state` to `new`, if it still is what this process last saw, with its Activity in the same transaction.

    `also` names further columns of the row to set with it. `closes` is the operation that ends with this move: it becomes
    Succeeded, Canceled, or Failed (with code, message, cause, hint and log lines), whichever `new` is; any other new state
    closes it as Succeeded. Returns False, and changes nothing, when another process moved the row first.

    Raises MoveNotAllowed when the table has no such move.
    """
    old = row.state
    if new not in table.get(old, frozenset()):
        raise MoveNotAllowed(f"{row} is {old}; it cannot become {new}.")
    now = timezone.now()
    values = {"state": new, "code": code, "message": message, "state_changed_at": now, **(also or {})}
    model: type[models.Model] = type(row)
    with transaction.atomic():
        if model._default_manager.filter(pk=row.pk, state=old).update(**values) != 1:
            return False
        subject: Subject = row.activity_subject()
        Activity.objects.create(
            workspace_id=subject.workspace_id,
            by=by,
            verb=verb or f"{subject.kind} {new.lower()}",
            target_kind=subject.kind,
            target_id=subject.id,
            target_name=subject.name[:120],
            before={"state": old},
            after={"state": new},
            message=message,
        )
        if closes is not None:
            outcome = _OUTCOMES.get(new, Operation.State.SUCCEEDED)
            explanation = dict(code=code, message=message, cause=cause, hint=hint, log_lines=log_lines or [])
            finish(closes, outcome, **({} if outcome == Operation.State.SUCCEEDED else explanation))
    for name, value in values.items():
        setattr(row, name, value)
    return True


def finish(operation: Operation, outcome: str = Operation.State.SUCCEEDED, **explanation: Any) -> None:
    """End a running operation whose target has no state to move, for instance because it is gone. Twice is once."""
    now = timezone.now()
    values = {"state": outcome, "finished_at": now, "state_changed_at": now, "heartbeat_at": now, **explanation}
    Operation.objects.filter(pk=operation.pk, state=Operation.State.IN_PROGRESS).update(**values)
    for name, value in values.items():
        setattr(operation, name, value)


_OUTCOMES = {"Failed": Operation.State.FAILED, "Canceled": Operation.State.CANCELED}

_BUILD = EnvironmentBuild.State
BUILD_TABLE: Table = {
    _BUILD.QUEUED: frozenset({_BUILD.RUNNING, _BUILD.CANCELED}),
    _BUILD.RUNNING: frozenset({_BUILD.SUCCEEDED, _BUILD.FAILED, _BUILD.CANCELED, _BUILD.QUEUED}),
    # a build whose directory was collected or damaged is built again
    _BUILD.SUCCEEDED: frozenset({_BUILD.QUEUED}),
    _BUILD.FAILED: frozenset({_BUILD.QUEUED}),
    _BUILD.CANCELED: frozenset({_BUILD.QUEUED}),
}
