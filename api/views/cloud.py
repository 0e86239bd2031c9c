"""What makes unchanged clients find the studio: the description of this "cloud", and tokens as a managed identity gets them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET, require_safe
from rest_framework.request import Request
from rest_framework.response import Response

from api import tokens
from api.authentication import token_of
from api.errors import NotSupported, error_body, of_studio_error
from api.views.base import ArmView
from studio.lib.errors import NotFound, StudioError
from workspaces.permissions import Need


@require_safe
@login_not_required
def metadata(request: HttpRequest) -> HttpResponse:
    """Asked for many times by each client; reads nothing."""
    address = request.build_absolute_uri("/").rstrip("/")
    host = request.get_host()
    cloud: dict[str, Any] = {
        "name": "Studio",
        "portal": address,
        "resourceManager": address,
        "authentication": {"loginEndpoint": address},
        "suffixes": {"storage": host},
    }
    return JsonResponse([cloud], safe=False)


@require_GET
@login_not_required
def msi_token(request: HttpRequest) -> HttpResponse:
    """A short-lived token for the personal one in the header X-IDENTITY-HEADER."""
    try:
        token = token_of(request, request.META.get("HTTP_X_IDENTITY_HEADER", "").strip())
    except StudioError as error:
        return JsonResponse(of_studio_error(error), status=error.http_status)
    text, until = tokens.exchange(token)
    return JsonResponse(
        {
            "access_token": text,
            "expires_on": str(int(until.timestamp())),
            "resource": request.GET.get("resource", ""),
            "token_type": "Bearer",
        }
    )


class DataAssets(ArmView):
    """Data assets are where a deployment's collected requests would go, and the studio collects none."""

    schema = None

    def get(self, request: Request, sub: str, rg: str, ws: str, rest: str) -> Response:
        raise NotFound("There are no data assets here.")

    def put(self, request: Request, sub: str, rg: str, ws: str, rest: str) -> Response:
        raise NotSupported("This studio does not collect data of requests; leave the data collector out.")

    needs: ClassVar[dict[str, Need]] = {"PUT": Need.WRITE}


class NothingHere(ArmView):
    """Every other address below /subscriptions: said in ARM's form, and named."""

    schema = None

    def _refuse(self, request: Request, rest: str = "") -> Response:
        return Response(
            error_body("ResourceNotFound", f"This studio has nothing at '{request.path[:300]}'."), status=404
        )

    get = put = post = patch = delete = _refuse
