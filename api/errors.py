"""Every refusal as ARM words it: {"error": {"code", "message", "target", "details"}}."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from studio.lib.errors import BadRequest, StudioError

log = logging.getLogger(__name__)


class NotSupported(BadRequest):
    """This studio cannot do that."""

    code = "NotSupported"


class PreconditionFailed(StudioError):
    """The thing was changed by somebody else since it was read."""

    code = "PreconditionFailed"
    http_status = 412
    hint = "Read it again, and repeat the change with its new etag."


class Unauthenticated(StudioError):
    """No valid access token came with the request."""

    code = "InvalidAuthenticationToken"
    http_status = 401
    hint = "Send 'Authorization: Bearer <access token>'; tokens are made on the page 'Access tokens'."


class TooManyAttempts(StudioError):
    """Too many requests with a token that is not valid came from this address."""

    code = "TooManyRequests"
    http_status = 429
    hint = "Wait a minute."


def error_body(
    code: str, message: str, *, target: str = "", details: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    """An object stands under `error`: the official client fails over anything else."""
    return {"error": {"code": code, "message": message, "target": target or None, "details": details or []}}


def of_studio_error(error: StudioError) -> dict[str, Any]:
    return error_body(error.code, f"{error.message} {error.hint}".strip(), target=error.field)


def handle(exception: Exception, context: dict[str, Any]) -> Response:
    """For REST_FRAMEWORK["EXCEPTION_HANDLER"]. What nobody foresaw becomes a 500 whose id is in the log."""
    if isinstance(exception, StudioError):
        headers = {"WWW-Authenticate": "Bearer"} if exception.http_status == 401 else {}
        headers |= {"Retry-After": "60"} if exception.http_status == 429 else {}
        return Response(of_studio_error(exception), status=exception.http_status, headers=headers)
    if isinstance(exception, exceptions.ValidationError):
        return Response(_of_validation(exception), status=400)
    if isinstance(exception, Http404):
        return Response(error_body("ResourceNotFound", "There is nothing at this address."), status=404)
    if isinstance(exception, PermissionDenied):
        return Response(error_body("AuthorizationFailed", "You may not do this."), status=403)
    if isinstance(exception, exceptions.APIException):
        return Response(error_body(_code_of(exception), str(exception.detail)), status=exception.status_code)
    incident = uuid.uuid4().hex
    log.error("incident %s", incident, exc_info=exception)
    message = f"Something went wrong in the studio; its log says what, under {incident}."
    return Response(error_body("InternalServerError", message), status=500)


_CODES = {400: "BadRequest", 401: "InvalidAuthenticationToken", 404: "ResourceNotFound", 405: "MethodNotAllowed"}
_CODES |= {406: "NotAcceptable", 415: "UnsupportedMediaType", 429: "TooManyRequests"}


def _code_of(exception: exceptions.APIException) -> str:
    return _CODES.get(exception.status_code, "BadRequest")


def _of_validation(exception: exceptions.ValidationError) -> dict[str, Any]:
    """The first problem speaks for all; each is in the details with the path of its field."""
    found = list(_leaves(exception.detail))
    details = [
        {"code": "NotSupported" if each.code == "NotSupported" else "BadArgument", "message": str(each), "target": path}
        for path, each in found
    ]
    first = details[0]
    where = f"{first['target']}: " if first["target"] else ""
    return error_body(first["code"], f"{where}{first['message']}", target=first["target"], details=details)


def _leaves(detail: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            step = path if name == "non_field_errors" else f"{path}.{name}" if path else str(name)
            yield from _leaves(inner, step)
    elif isinstance(detail, list):
        for inner in detail:
            yield from _leaves(inner, path)
    else:
        yield path, detail
