"""Online deployments: create, replace, patch, scale, delete, cancel, logs."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from api.errors import NotSupported
from api.pagination import page
from api.schema import listing
from api.serializers import deployments as shapes
from api.views.base import merged
from api.views.endpoints import EndpointDoor
from deployments.compute.contract import DriverError
from deployments.drivers import get_driver
from deployments.models import Deployment, Instance
from deployments.queries import deployments_behind, get_deployment_for, instances_of
from deployments.services import deployments as services
from deployments.services.revisions import checked, difference, spec_of
from deployments.spec import INSTANCE_COUNT_MAXIMUM
from endpoints.models import Endpoint
from studio.lib.errors import NotFound, StudioError
from workspaces.models import Operation, Target
from workspaces.permissions import Need, may, member_of
from workspaces.queries import running_operation

LOG_LINES = 500


class ComputeUnreachable(StudioError):
    """The compute driver does not answer."""

    code = "ServiceUnavailable"
    http_status = 503


class DeploymentDoor(EndpointDoor):
    """What the doors of one deployment share."""

    def deployment(self, ep: str, dep: str) -> Deployment:
        """Raises NotFound and Forbidden."""
        return get_deployment_for(self.request.user, self.workspace.name, ep, dep, need=self.need)

    def deployment_answer(self, deployment: Deployment) -> dict[str, Any]:
        revision = deployment.wanted_revision or deployment.serving_revision
        assert revision is not None, "a deployment has a revision from its first transaction on"
        return shapes.deployment_answer(
            deployment,
            revision,
            workspace_id=self.workspace_id,
            location=self.workspace.location,
            with_values=self.may_see_values,
        )

    @property
    def may_see_values(self) -> bool:
        """Environment variables may hold secrets: who may change them sees them."""
        if not hasattr(self, "_may_see_values"):
            member = member_of(self.request.user, self.workspace)
            self._may_see_values = self.token.can_write and may(member, self.request.user, Need.WRITE)
        return bool(self._may_see_values)


class DeploymentList(DeploymentDoor):
    @extend_schema(responses=listing(shapes.DeploymentBody))
    def get(self, request: Request, sub: str, rg: str, ws: str, ep: str) -> Response:
        return page(request, deployments_behind(self.endpoint(ep)), self.deployment_answer)


class DeploymentDetail(DeploymentDoor):
    needs: ClassVar[dict[str, Need]] = {"PUT": Need.WRITE, "PATCH": Need.WRITE, "DELETE": Need.OPERATE}

    @extend_schema(responses=shapes.DeploymentBody)
    def get(self, request: Request, sub: str, rg: str, ws: str, ep: str, dep: str) -> Response:
        return self.resource(self.deployment_answer(self.deployment(ep, dep)))

    @extend_schema(request=shapes.DeploymentBody, responses=shapes.DeploymentBody)
    def put(self, request: Request, sub: str, rg: str, ws: str, ep: str, dep: str) -> Response:
        """Replaces all but the traffic. What differs from now is provisioned; the same again changes nothing."""
        given = self.read(shapes.DeploymentBody)
        self.check_location(given.get("location"))
        with transaction.atomic():
            endpoint = self._locked_endpoint(ep)
            deployment = self._existing(endpoint, dep)
            self.check_preconditions(None if deployment is None else self.deployment_answer(deployment))
            if deployment is None:
                operation: Operation | None = self._create(endpoint, dep, given)
            else:
                operation = self._replace(deployment, given)
        return self._done(ep, dep, operation, is_new=deployment is None)

    @extend_schema(request=shapes.DeploymentBody, responses=shapes.DeploymentBody)
    def patch(self, request: Request, sub: str, rg: str, ws: str, ep: str, dep: str) -> Response:
        """Changes what is given: objects are merged, tags and environment variables replaced."""
        with transaction.atomic():
            endpoint = self._locked_endpoint(ep)
            deployment = self._existing(endpoint, dep)
            if deployment is None:
                raise NotFound(f"There is no deployment '{dep}' behind '{endpoint.name}'.")
            current = self.deployment_answer(deployment)
            self.check_preconditions(current)
            given = self.read(shapes.DeploymentBody, merged(current, request.data))
            self.check_location(given.get("location"))
            operation = self._replace(deployment, given)
        return self._done(ep, dep, operation, is_new=False)

    @extend_schema(responses={202: None, 204: None})
    def delete(self, request: Request, sub: str, rg: str, ws: str, ep: str, dep: str) -> Response:
        """One that is not there is deleted already: 204. One with traffic is refused."""
        with transaction.atomic():
            deployment = self._existing(self._locked_endpoint(ep), dep)
            if deployment is None:
                return Response(status=204)
            self.check_preconditions(self.deployment_answer(deployment))
            operation = services.delete_deployment(deployment=deployment, by=self.by)
        return self.accepted(operation)

    def check_location(self, location: str | None) -> None:
        if location and location.lower() != self.workspace.location.lower():
            raise NotSupported(
                f"The workspace is in '{self.workspace.location}', not in '{location}'.", field="location"
            )

    def _locked_endpoint(self, ep: str) -> Endpoint:
        """Held until the transaction ends: writers of its deployments queue. Raises NotFound."""
        rows = Endpoint.objects.select_for_update(of=("self",)).select_related("workspace")
        found = rows.filter(workspace=self.workspace, name__iexact=ep).first()
        if found is None:
            raise NotFound(f"There is no endpoint '{ep}' in '{self.workspace.name}'.")
        return found

    def _existing(self, endpoint: Endpoint, dep: str) -> Deployment | None:
        if not endpoint.deployments.filter(name__iexact=dep).exists():
            return None
        return get_deployment_for(self.request.user, self.workspace.name, endpoint.name, dep, need=self.need)

    def _create(self, endpoint: Endpoint, name: str, given: dict[str, Any]) -> Operation:
        properties = given["properties"]
        return services.create_deployment(
            endpoint=endpoint,
            name=name,
            wanted=shapes.wanted_revision(properties, workspace=self.workspace, before=None),
            by=self.by,
            instance_count=_capacity(given),
            description=properties.get("description") or "",
            tags=given.get("tags"),
            properties=properties.get("properties"),
        )

    def _replace(self, deployment: Deployment, given: dict[str, Any]) -> Operation | None:
        properties = given["properties"]
        base = deployment.wanted_revision or deployment.serving_revision
        assert base is not None, "a deployment has a revision from its first transaction on"
        before, count = spec_of(base), _capacity(given)
        wanted = shapes.wanted_revision(properties, workspace=self.workspace, before=before)
        running = running_operation(Target.DEPLOYMENT, deployment.pk)
        if running and count == deployment.wanted_instance_count and deployment.state != Deployment.State.DELETING:
            # The same request once more, while the first is carried out, follows that one.
            if not any(difference(before, checked(wanted, workspace=self.workspace))):
                return running
        return services.update_deployment(
            deployment=deployment,
            by=self.by,
            change=lambda _: wanted,
            instance_count=count,
            description=properties.get("description") or "",
            tags=given.get("tags") or {},
            properties=properties.get("properties") or {},
        )

    def _done(self, ep: str, dep: str, operation: Operation | None, *, is_new: bool) -> Response:
        body = self.deployment_answer(self.deployment(ep, dep))
        return self.resource(body, status=201 if is_new else 200, operation=operation)


def _capacity(given: dict[str, Any]) -> int:
    return (given.get("sku") or {}).get("capacity") or 1


class DeploymentLogs(DeploymentDoor):
    @extend_schema(request=shapes.LogsBody, responses=shapes.LogsAnswer)
    def post(self, request: Request, sub: str, rg: str, ws: str, ep: str, dep: str) -> Response:
        """The newest lines of the newest instance, one that runs before one that has ended."""
        given = self.read(shapes.LogsBody)
        instance = next(iter(instances_of(self.deployment(ep, dep))), None)
        lines = [] if instance is None else _lines(instance, given)
        return Response({"content": "\n".join(lines)})


def _lines(instance: Instance, given: dict[str, Any]) -> list[str]:
    container = given.get("containerType") or "inference-server"
    try:
        return get_driver(instance.driver).logs(instance.name, given.get("tail") or LOG_LINES, container)
    except DriverError as error:
        raise ComputeUnreachable(str(error), hint=error.hint) from error


class DeploymentCancel(DeploymentDoor):
    """The studio's own: stop the running operation; what served before goes on serving."""

    needs: ClassVar[dict[str, Need]] = {"POST": Need.WRITE}

    @extend_schema(request=None, responses={202: None})
    def post(self, request: Request, sub: str, rg: str, ws: str, ep: str, dep: str) -> Response:
        deployment = self.deployment(ep, dep)
        operation = running_operation(Target.DEPLOYMENT, deployment.pk)
        services.cancel_operation(deployment=deployment, by=self.by)
        assert operation is not None, "there was one to cancel"
        return self.accepted(operation)


class DeploymentSkus(DeploymentDoor):
    @extend_schema(responses={200: dict})
    def get(self, request: Request, sub: str, rg: str, ws: str, ep: str, dep: str) -> Response:
        deployment = self.deployment(ep, dep)
        capacity = {"minimum": 1, "maximum": INSTANCE_COUNT_MAXIMUM, "default": 1, "scaleType": "Manual"}
        sku = {"name": "Default", "tier": "Standard"}
        kind = f"{self.deployment_answer(deployment)['type']}"
        return Response({"value": [{"resourceType": kind, "sku": sku, "capacity": capacity}]})
