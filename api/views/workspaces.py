"""Workspaces, the one datastore of each, and its secrets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import sas
from api.arm import CONTAINER, DATASTORE
from api.pagination import page
from api.schema import listing
from api.serializers.assets import datastore_answer
from api.serializers.shapes import OnlyDefault, Shape
from api.serializers.workspaces import AnyResource, workspace_answer
from api.views.base import ArmView, blob_account
from studio.lib.errors import NotFound
from workspaces.permissions import Need, may, member_of
from workspaces.queries import workspaces_for


class SecretsBody(Shape):
    expirableSecret = OnlyDefault(True)
    expireAfterHours = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=sas.HOURS_MAXIMUM
    )


class SecretsAnswer(serializers.Serializer[Any]):
    secretsType = serializers.CharField()
    sasToken = serializers.CharField()


class WorkspaceList(ArmView):
    """Every workspace the caller is a member of."""

    @extend_schema(responses=listing(AnyResource))
    def get(self, request: Request, sub: str, rg: str = "") -> Response:
        rows = workspaces_for(request.user).filter(subscription_id__iexact=sub)
        if rg:
            rows = rows.filter(resource_group__iexact=rg)
        if self.token.workspace_id is not None:
            rows = rows.filter(pk=self.token.workspace_id)
        return page(request, rows.order_by("name"), workspace_answer)


class WorkspaceDetail(ArmView):
    @extend_schema(responses=AnyResource)
    def get(self, request: Request, sub: str, rg: str, ws: str) -> Response:
        return self.resource(workspace_answer(self.workspace))


class DatastoreList(ArmView):
    """There is one, and it is the default."""

    @extend_schema(responses=listing(AnyResource))
    def get(self, request: Request, sub: str, rg: str, ws: str) -> Response:
        return Response({"value": [_datastore(self)]})


class DatastoreDetail(ArmView):
    @extend_schema(responses=AnyResource)
    def get(self, request: Request, sub: str, rg: str, ws: str, name: str) -> Response:
        _check_name(name)
        return self.resource(_datastore(self))


class DatastoreSecrets(ArmView):
    """A signature for the datastore's container: for writing, if the caller may write."""

    @extend_schema(request=SecretsBody, responses=SecretsAnswer)
    def post(self, request: Request, sub: str, rg: str, ws: str, name: str) -> Response:
        _check_name(name)
        given = self.read(SecretsBody)
        may_write = self.token.can_write and may(member_of(request.user, self.workspace), request.user, Need.WRITE)
        signature = sas.sign(
            workspace_id=self.workspace.pk,
            container=CONTAINER,
            token=self.token,
            may_write=may_write,
            lifetime=timedelta(hours=given.get("expireAfterHours") or 1),
        )
        return Response({"secretsType": "Sas", "sasToken": signature})


def _datastore(view: ArmView) -> dict[str, Any]:
    return datastore_answer(view.workspace_id, blob_account(view.request, view.workspace), CONTAINER)


def _check_name(name: str) -> None:
    if name.lower() != DATASTORE:
        raise NotFound(f"There is no datastore '{name}'; the studio has one, {DATASTORE}.")
