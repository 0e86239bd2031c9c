"""Workspaces and operations in Azure's shape."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers

from api.arm import PROVIDER, workspace_id
from api.serializers.shapes import rfc3339, system_data
from workspaces.models import Operation, Workspace

_NAMESPACE = uuid.UUID("5a8e0c52-6b0e-4b5e-9a44-1a1b8f1f7c11")


class AnyResource(serializers.Serializer[Any]):
    """For the OpenAPI document: an answer of which only the envelope is promised."""

    id = serializers.CharField()
    name = serializers.CharField()
    type = serializers.CharField()
    properties = serializers.DictField()


class OperationStatus(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=Operation.State.values)
    startTime = serializers.DateTimeField()
    endTime = serializers.DateTimeField(required=False)
    percentComplete = serializers.FloatField()
    error = serializers.DictField(required=False)
    properties = serializers.DictField()


def id_of(workspace: Workspace) -> str:
    return workspace_id(workspace.subscription_id, workspace.resource_group, workspace.name)


def workspace_answer(workspace: Workspace) -> dict[str, Any]:
    return {
        "id": id_of(workspace),
        "name": workspace.name,
        "type": f"{PROVIDER}/workspaces",
        "location": workspace.location,
        "kind": "Default",
        "tags": {},
        "systemData": system_data(workspace.created_at, None),
        "properties": {
            "friendlyName": workspace.name,
            "description": workspace.description,
            "provisioningState": "Succeeded",
            "publicNetworkAccess": "Enabled",
            # stable, and no other installation's: the subscription's id is a random one
            "workspaceId": str(uuid.uuid5(_NAMESPACE, id_of(workspace))),
        },
    }


def operation_answer(operation: Operation, address: str) -> dict[str, Any]:
    """`properties.steps` says more than Azure does: each step with its state and message."""
    steps = list(operation.steps.all())
    done = sum(step.state in ("Succeeded", "Skipped") for step in steps)
    body: dict[str, Any] = {
        "id": address,
        "name": str(operation.pk),
        "status": operation.state,
        "startTime": rfc3339(operation.created_at),
        "percentComplete": 100.0 if operation.state == "Succeeded" else round(100.0 * done / max(len(steps), 1), 1),
        "properties": {
            "kind": operation.kind,
            "target": operation.target_name,
            "steps": [{"name": step.name, "state": step.state, "message": step.message} for step in steps],
        },
    }
    if operation.finished_at is not None:
        body["endTime"] = rfc3339(operation.finished_at)
    if operation.state in (Operation.State.FAILED, Operation.State.CANCELED):
        body["error"] = operation_error(operation)
    return body


def operation_error(operation: Operation) -> dict[str, Any]:
    """What happened, the probable cause, what to do next, and the lines of the log that matter."""
    sentences = [operation.message, operation.cause, operation.hint]
    message = " ".join(sentence for sentence in sentences if sentence)
    if operation.log_lines:
        message = "\n".join([message, *operation.log_lines])
    return {
        "code": operation.code or "OperationCanceled",
        "message": message,
        "target": operation.target_name,
        "details": [],
    }
