"""What every door of the API does: find out who calls and what they may, read the body, answer the way ARM does."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from typing import Any, ClassVar

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from api.arm import PROVIDER
from api.errors import PreconditionFailed
from api.serializers.workspaces import id_of
from studio.lib.errors import BadRequest, Forbidden, NotFound
from workspaces.models import AccessToken, Operation, Workspace
from workspaces.permissions import Need
from workspaces.queries import get_workspace_for

POLL_SECONDS = 1
_API_VERSION = re.compile(r"^(\d{4})-\d\d-\d\d(-preview|-privatepreview)?$")
_OLDEST_YEAR = 2022


class ArmView(APIView):
    """A resource below a workspace. `needs` says what each method asks of the caller's role and token."""

    needs: ClassVar[dict[str, Need]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        check_text({"path": kwargs, "query": dict(request.query_params.lists())})
        check_api_version(request)
        self.need = self.needs.get(request.method or "", Need.READ)
        if "ws" in kwargs:
            self.workspace = self._workspace(sub=kwargs["sub"], rg=kwargs["rg"], ws=kwargs["ws"])
            self.workspace_id = id_of(self.workspace)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["x-ms-request-id"] = request.META.get("HTTP_X_REQUEST_ID", "")[:100] or str(uuid.uuid4())
        client_id = request.META.get("HTTP_X_MS_CLIENT_REQUEST_ID", "")
        if client_id and client_id.isascii() and client_id.isprintable():
            response["x-ms-client-request-id"] = client_id[:100]
        return response

    @property
    def by(self) -> Any:
        return self.request.user

    @property
    def token(self) -> AccessToken:
        """What the caller came with."""
        token: Any = self.request.auth
        return token

    def _workspace(self, *, sub: str, rg: str, ws: str) -> Workspace:
        """The workspace, when caller and token may do what is needed there. Raises NotFound and Forbidden."""
        workspace = get_workspace_for(self.request.user, ws, need=self.need)
        if (sub.lower(), rg.lower()) != (workspace.subscription_id.lower(), workspace.resource_group.lower()):
            raise NotFound(f"There is no workspace '{ws}' in resource group '{rg}' of subscription '{sub}'.")
        check_token(self.token, workspace, self.need)
        return workspace

    def read(self, shape: type[Serializer[Any]], data: Any = None) -> Any:
        """The body as the studio's words. Raises ValidationError, whose paths are those of the body."""
        body = self.request.data if data is None else data
        check_text(body)
        serializer = shape(data=body if body not in (None, "") else {})
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def check_preconditions(self, current: dict[str, Any] | None) -> None:
        """`If-Match` and `If-None-Match` against the resource as it is now, None for none. Raises PreconditionFailed."""
        wanted = self.request.META.get("HTTP_IF_MATCH", "").strip()
        refused = self.request.META.get("HTTP_IF_NONE_MATCH", "").strip()
        if refused and (
            (refused == "*" and current is not None) or (current is not None and refused == etag_of(current))
        ):
            raise PreconditionFailed("There already is one.")
        if not wanted:
            return
        if current is None:
            raise PreconditionFailed("There is none.")
        if wanted != "*" and etag_of(current) not in [each.strip() for each in wanted.split(",")]:
            raise PreconditionFailed()

    def resource(self, body: dict[str, Any], *, status: int = 200, operation: Operation | None = None) -> Response:
        """The resource with its etag; with the addresses to follow when an operation was started."""
        response = Response(body, status=status, headers={"ETag": etag_of(body)})
        if operation is not None:
            self.follow(response, operation)
        elif body.get("properties", {}).get("provisioningState") not in (None, "Succeeded", "Failed", "Canceled"):
            response["Retry-After"] = str(POLL_SECONDS)
        return response

    def accepted(self, operation: Operation) -> Response:
        return self.follow(Response(status=202), operation)

    def follow(self, response: Response, operation: Operation) -> Response:
        """Absolute addresses: the official client refuses others for deployments."""
        base = (
            f"/subscriptions/{self.workspace.subscription_id}/providers/{PROVIDER}/locations/{self.workspace.location}"
        )
        version = f"?api-version={self.request.query_params.get('api-version', '2024-10-01')}"
        for header, kind in (("Azure-AsyncOperation", "mfeOperationsStatus"), ("Location", "mfeOperationResults")):
            response[header] = self.request.build_absolute_uri(f"{base}/{kind}/{operation.pk}{version}")
        response["Retry-After"] = str(POLL_SECONDS)
        response["x-ms-async-operation-timeout"] = "PT1H"
        return response


def check_api_version(request: Request) -> None:
    """Any from 2022 on is answered in one shape; none at all too. Raises BadRequest."""
    version = request.query_params.get("api-version")
    if version is None:
        return
    found = _API_VERSION.match(version)
    if found is None or int(found[1]) < _OLDEST_YEAR:
        raise BadRequest(
            f"The api-version '{version}' is not known here.",
            code="InvalidApiVersionParameter",
            field="api-version",
            hint=f"Use one from {_OLDEST_YEAR} on, such as 2024-10-01.",
        )


def check_token(token: AccessToken, workspace: Workspace, need: Need) -> None:
    """Raises NotFound for a token of another workspace, Forbidden for one that may only read."""
    if token.workspace_id not in (None, workspace.pk):
        raise NotFound(f"There is no workspace '{workspace.name}' that this access token opens.")
    if need is not Need.READ and not token.can_write:
        raise Forbidden(
            "This access token may only read.", hint="Make one that may write, on the page 'Access tokens'."
        )


def check_text(value: Any) -> None:
    """Raises BadRequest when any text in it could not be stored: NUL, and halves of characters."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise BadRequest("A text holds characters that cannot be kept (NUL, or half of one).")
    elif isinstance(value, dict):
        for name, inner in value.items():
            check_text(name)
            check_text(inner)
    elif isinstance(value, list):
        for inner in value:
            check_text(inner)


def etag_of(body: dict[str, Any]) -> str:
    """The same for two answers that differ at most in state and in who changed them when."""
    properties = {name: value for name, value in body.get("properties", {}).items() if name != "provisioningState"}
    kept = [body.get("id"), body.get("tags"), body.get("sku"), properties]
    return f'"{hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:32]}"'


def blob_account(request: HttpRequest, workspace: Workspace) -> str:
    """Host, port and path of the workspace's blob service, as this client reaches the studio."""
    return f"{request.get_host()}/blobstore/{workspace.name}"


def merged(current: Any, patch: Any, path: tuple[str, ...] = ()) -> Any:
    """`patch` laid over `current`: objects are merged, null removes, and what is one value to its user is replaced whole."""
    if not isinstance(patch, dict) or not isinstance(current, dict) or path in _WHOLE:
        return patch
    kept = {name: value for name, value in current.items() if name not in patch}
    changed = {name: merged(current.get(name, {}), value, (*path, name)) for name, value in patch.items()}
    return kept | changed


_WHOLE = {("tags",), ("properties", "traffic"), ("properties", "mirrorTraffic"), ("properties", "environmentVariables")}
