"""Shared access signatures of this studio's own blob service: who may do what in which container, until when.

The query looks like Azure's, since clients tell a signature from an account key by its names; only the studio reads it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.utils import timezone

from api import tokens
from studio.lib.errors import Forbidden
from workspaces.models import AccessToken

VERSION = "2024-11-04"
READ, WRITE = "rl", "racwdl"
HOURS_MAXIMUM = 24
ALL_CONTAINERS = "*"
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class SignatureRefused(Forbidden):
    """The signature in the address is not valid, or not for this."""

    code = "AuthenticationFailed"
    hint = "Ask for a new one (listSecrets or startPendingUpload)."


@dataclass(frozen=True)
class Grant:
    """What a valid signature allows; `token` is the personal token it was made with."""

    token: AccessToken
    may_write: bool


def sign(*, workspace_id: int, container: str, token: AccessToken, may_write: bool, lifetime: timedelta) -> str:
    """The query, without `?`. It ends with the token that asked for it when that one is revoked."""
    until = timezone.now() + min(lifetime, timedelta(hours=HOURS_MAXIMUM))
    parts = {
        "sv": VERSION,
        "sr": "c",
        "sp": WRITE if may_write else READ,
        "se": until.astimezone(UTC).strftime(_FORMAT),
        "skoid": str(token.pk),
        "spr": "https,http",
    }
    return urlencode({**parts, "sig": _signature(parts, workspace_id, container)})


def read(query: Mapping[str, str], *, workspace_id: int, container: str) -> Grant:
    """Raises SignatureRefused for a signature that is false, for something else, expired, or whose token ended."""
    parts = {name: query.get(name, "") for name in ("sv", "sr", "sp", "se", "skoid", "spr")}
    given = query.get("sig", "").encode("utf-8", "surrogatepass")
    if not any(
        hmac.compare_digest(given, _signature(parts, workspace_id, scope).encode())
        for scope in (container, ALL_CONTAINERS)
    ):
        raise SignatureRefused()
    if datetime.strptime(parts["se"], _FORMAT).replace(tzinfo=UTC) <= timezone.now():
        raise SignatureRefused("The signature in the address has expired.")
    token = tokens.valid().filter(pk=int(parts["skoid"])).first()
    if token is None:
        raise SignatureRefused("The access token this signature was made with has ended.")
    return Grant(token, may_write=parts["sp"] == WRITE)


def _signature(parts: Mapping[str, str], workspace_id: int, container: str) -> str:
    text = "\n".join([str(workspace_id), container, *(f"{name}={parts[name]}" for name in sorted(parts))])
    key = hashlib.sha256(b"api.sas\0" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
