"""Who is calling: a bearer token, and what is done about wrong ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission

from api import tokens
from api.errors import TooManyAttempts, Unauthenticated
from workspaces.models import AccessToken, Activity, Target
from workspaces.models.record import Subject
from workspaces.services.record import record

FAILURES_PER_MINUTE = 20
REFUSED = "access refused"


class PersonalToken(BaseAuthentication):
    """`Authorization: Bearer <personal or short-lived token>`. Sessions of the pages do not count here."""

    def authenticate(self, request: Any) -> tuple[Any, AccessToken]:
        token = token_of(request, bearer(request))
        return token.user, token

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


class Authenticated(BasePermission):
    """Whoever has no valid token was refused before; what a token may do, each view asks for itself."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return request.auth is not None


class PersonalTokenScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document describes it."""

    target_class = PersonalToken
    name = "personal access token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


def bearer(request: HttpRequest) -> str:
    """The token sent, "" for none."""
    scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def token_of(request: HttpRequest, text: str) -> AccessToken:
    """The token this text is. Raises Unauthenticated, and TooManyAttempts when this address has sent too many wrong ones."""
    if not text:
        raise Unauthenticated()
    token = tokens.find(text)
    if token is None:
        _refuse(request)
        raise Unauthenticated("The access token is not known, has expired, or was revoked.")
    tokens.note_use(token)
    return token


def _refuse(request: HttpRequest) -> None:
    """Write the failure down, unless there were too many already: then TooManyAttempts, and nothing is written."""
    address = address_of(request)
    recent = Activity.objects.filter(
        target_kind=Target.TOKEN, target_id=0, target_name=address, at__gt=timezone.now() - timedelta(minutes=1)
    )
    if recent.count() >= FAILURES_PER_MINUTE:
        raise TooManyAttempts()
    record(subject=Subject(None, Target.TOKEN, 0, address), verb=REFUSED, message="a token that is not valid")


def address_of(request: HttpRequest) -> str:
    """Where the request came from. Only the gateway, which comes in by the socket, is believed about that."""
    direct = request.META.get("REMOTE_ADDR", "")
    if direct:
        return str(direct)[:120]
    return request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()[:120] or "unknown"
