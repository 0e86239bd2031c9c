"""What became of an operation: its status, and its result."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from api.serializers.workspaces import OperationStatus, operation_answer, operation_error
from api.views.base import POLL_SECONDS, ArmView, check_token
from studio.lib.errors import NotFound
from workspaces.models import Operation
from workspaces.permissions import Need
from workspaces.queries import get_operation_for

_RUNNING = Operation.State.IN_PROGRESS


class OperationDoor(ArmView):
    def operation(self, sub: str, op: UUID) -> Operation:
        """Raises NotFound."""
        found = get_operation_for(self.request.user, op)
        check_token(self.token, found.workspace, Need.READ)
        if found.workspace.subscription_id.lower() != sub.lower():
            raise NotFound(f"There is no operation '{op}' in subscription '{sub}'.")
        return found


class OperationStatusView(OperationDoor):
    @extend_schema(responses=OperationStatus)
    def get(self, request: Request, sub: str, location: str, op: UUID) -> Response:
        operation = self.operation(sub, op)
        headers = {"Retry-After": str(POLL_SECONDS)} if operation.state == _RUNNING else {}
        return Response(operation_answer(operation, request.path), headers=headers)


class OperationResultView(OperationDoor):
    @extend_schema(responses={200: dict, 202: None})
    def get(self, request: Request, sub: str, location: str, op: UUID) -> Response:
        """202 while it runs; then the target's name, or why there is none."""
        operation = self.operation(sub, op)
        if operation.state == _RUNNING:
            headers = {"Retry-After": str(POLL_SECONDS), "Location": request.build_absolute_uri()}
            return Response(status=202, headers=headers)
        if operation.state == Operation.State.SUCCEEDED:
            return Response({"name": operation.target_name})
        body: dict[str, Any] = {"error": operation_error(operation)}
        return Response(body, status=409)
