"""Online endpoints: the address, its keys and tokens, its traffic."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from api.errors import NotSupported
from api.pagination import page, with_tags
from api.schema import listing
from api.serializers import endpoints as shapes
from api.views.base import ArmView, merged
from endpoints import services
from endpoints.models import Endpoint, TrafficVersion
from endpoints.queries import current_traffic, endpoints_in, get_endpoint_for
from studio.lib.errors import BadRequest, NotFound
from workspaces.models import Target
from workspaces.permissions import Need
from workspaces.queries import running_operation


class EndpointDoor(ArmView):
    """What the doors of one endpoint share."""

    def endpoint(self, ep: str) -> Endpoint:
        """Raises NotFound and Forbidden."""
        return get_endpoint_for(self.request.user, self.workspace.name, ep, need=self.need)

    def answer(self, endpoint: Endpoint, traffic: TrafficVersion | None = None) -> dict[str, Any]:
        traffic = traffic or current_traffic(endpoint)
        return shapes.endpoint_answer(
            endpoint,
            workspace_id=self.workspace_id,
            location=self.workspace.location,
            percents=traffic.percents,
            mirror=traffic.mirror,
            number=traffic.number,
        )


class EndpointList(EndpointDoor):
    @extend_schema(responses=listing(shapes.EndpointBody))
    def get(self, request: Request, sub: str, rg: str, ws: str) -> Response:
        """By name. As many queries for a thousand as for one."""
        rows = with_tags(request, endpoints_in(self.workspace)).select_related("created_by")
        name = request.query_params.get("name")
        if name:
            rows = rows.filter(name__iexact=name)
        return page(request, rows, self._row)

    def _row(self, row: Any) -> dict[str, Any]:
        return shapes.endpoint_answer(
            row,
            workspace_id=self.workspace_id,
            location=self.workspace.location,
            percents=row.percents_now or {},
            mirror=row.mirror_now or {},
            number=row.number_now or 0,
        )


class EndpointDetail(EndpointDoor):
    needs: ClassVar[dict[str, Need]] = {"PUT": Need.WRITE, "PATCH": Need.WRITE, "DELETE": Need.OPERATE}

    @extend_schema(responses=shapes.EndpointBody)
    def get(self, request: Request, sub: str, rg: str, ws: str, ep: str) -> Response:
        return self.resource(self.answer(self.endpoint(ep)))

    @extend_schema(request=shapes.EndpointBody, responses=shapes.EndpointBody)
    def put(self, request: Request, sub: str, rg: str, ws: str, ep: str) -> Response:
        """Replaces. An allocation that is left out stays; an empty one stops all traffic."""
        given = self.read(shapes.EndpointBody)
        self.check_location(given.get("location"))
        with transaction.atomic():
            endpoint = self._locked(ep)
            self.check_preconditions(None if endpoint is None else self.answer(endpoint))
            made = self._create(ep, given) if endpoint is None else self._replace(endpoint, given)
        return self._done(made, is_new=endpoint is None)

    @extend_schema(request=shapes.EndpointBody, responses=shapes.EndpointBody)
    def patch(self, request: Request, sub: str, rg: str, ws: str, ep: str) -> Response:
        """Changes what is given: objects are merged, tags and allocations replaced."""
        with transaction.atomic():
            endpoint = self._locked(ep)
            if endpoint is None:
                raise NotFound(f"There is no endpoint '{ep}' in '{self.workspace.name}'.")
            current = self.answer(endpoint)
            self.check_preconditions(current)
            given = self.read(shapes.EndpointBody, merged(current, request.data))
            self.check_location(given.get("location"))
            made = self._replace(endpoint, given)
        return self._done(made, is_new=False)

    @extend_schema(responses={202: None, 204: None})
    def delete(self, request: Request, sub: str, rg: str, ws: str, ep: str) -> Response:
        """With every deployment behind it. An endpoint that is not there is deleted already: 204."""
        with transaction.atomic():
            endpoint = self._locked(ep)
            if endpoint is None:
                return Response(status=204)
            self.check_preconditions(self.answer(endpoint))
            operation = services.delete_endpoint(endpoint=endpoint, by=self.by)
        return self.accepted(operation)

    def check_location(self, location: str | None) -> None:
        """Raises NotSupported: a workspace has one location, and what is in it is there too."""
        if location and location.lower() != self.workspace.location.lower():
            raise NotSupported(
                f"The workspace is in '{self.workspace.location}', not in '{location}'.", field="location"
            )

    def _locked(self, ep: str) -> Endpoint | None:
        """Held until the transaction ends, so that of two writers with the same etag the second sees the first's change."""
        rows = Endpoint.objects.select_for_update(of=("self",)).select_related("workspace", "created_by")
        return rows.filter(workspace=self.workspace, name__iexact=ep).first()

    def _create(self, name: str, given: dict[str, Any]) -> Endpoint:
        properties = given["properties"]
        endpoint = services.create_endpoint(
            workspace=self.workspace,
            name=name,
            by=self.by,
            auth_mode=properties["authMode"],
            description=properties.get("description") or "",
            tags=given.get("tags"),
            properties=properties.get("properties"),
        )
        self._set_traffic(endpoint, properties)
        return endpoint

    def _replace(self, endpoint: Endpoint, given: dict[str, Any]) -> Endpoint:
        properties = given["properties"]
        services.update_endpoint(
            endpoint=endpoint,
            by=self.by,
            auth_mode=properties["authMode"],
            description=properties.get("description") or "",
            tags=given.get("tags") or {},
            properties=properties.get("properties") or {},
        )
        self._set_traffic(endpoint, properties)
        return endpoint

    def _set_traffic(self, endpoint: Endpoint, properties: dict[str, Any]) -> None:
        percents, mirror = properties.get("traffic"), properties.get("mirrorTraffic")
        if not percents and not mirror and endpoint.state == Endpoint.State.CREATING:
            return
        if percents is None and mirror is None:
            return
        names = {name.lower(): name for name in endpoint.deployments.values_list("name", flat=True)}
        newest = current_traffic(endpoint)
        services.set_traffic(
            endpoint=endpoint,
            percents=_shares(newest.percents) if percents is None else _named(percents, names),
            mirror=None if mirror is None else _named(mirror, names),
            by=self.by,
        )

    def _done(self, endpoint: Endpoint, *, is_new: bool) -> Response:
        operation = running_operation(Target.ENDPOINT, endpoint.pk) if is_new else None
        endpoint.refresh_from_db()
        return self.resource(self.answer(endpoint), status=201 if is_new else 200, operation=operation)


def _shares(percents: dict[str, int]) -> dict[str, int]:
    return {name: percent for name, percent in percents.items() if percent}


def _named(percents: dict[str, int], names: dict[str, str]) -> dict[str, int]:
    """With the deployments' own spelling: the official client sends small letters."""
    return {names.get(name.lower(), name): percent for name, percent in percents.items()}


class EndpointKeys(EndpointDoor):
    needs: ClassVar[dict[str, Need]] = {"POST": Need.KEYS}

    @extend_schema(request=None, responses=shapes.KeysAnswer)
    def post(self, request: Request, sub: str, rg: str, ws: str, ep: str) -> Response:
        endpoint = self.endpoint(ep)
        if endpoint.auth_mode != "key":
            raise BadRequest(f"Endpoint '{endpoint.name}' uses tokens, not keys.", hint="Ask for a token instead.")
        return Response({"primaryKey": endpoint.primary_key, "secondaryKey": endpoint.secondary_key})


class EndpointRegenerate(EndpointDoor):
    needs: ClassVar[dict[str, Need]] = {"POST": Need.OPERATE}

    @extend_schema(request=shapes.RegenerateBody, responses={200: None})
    def post(self, request: Request, sub: str, rg: str, ws: str, ep: str) -> Response:
        """A value that is already one of the keys asks for a new one: the official client sends the current key."""
        given = self.read(shapes.RegenerateBody)
        endpoint = self.endpoint(ep)
        value = given.get("keyValue") or None
        if value in (endpoint.primary_key, endpoint.secondary_key):
            value = None
        services.regenerate_key(endpoint=endpoint, which=given["keyType"], by=self.by, value=value)
        return Response(status=200)


class EndpointToken(EndpointDoor):
    needs: ClassVar[dict[str, Need]] = {"POST": Need.KEYS}

    @extend_schema(request=None, responses=shapes.TokenAnswer)
    def post(self, request: Request, sub: str, rg: str, ws: str, ep: str) -> Response:
        issued = services.issue_token(endpoint=self.endpoint(ep))
        return Response(
            {
                "accessToken": issued.token,
                "expiryTimeUtc": int(issued.expires_at.timestamp()),
                "refreshAfterTimeUtc": int(issued.refresh_after.timestamp()),
                "tokenType": "Bearer",
            }
        )
