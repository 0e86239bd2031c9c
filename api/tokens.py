"""Personal access tokens, and the short-lived ones they are exchanged for."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.core import signing
from django.db.models import Q
from django.utils import timezone

from workspaces.models import AccessToken

SHORT_PREFIX = "ess_"
SHORT_LIFETIME = timedelta(hours=24)
# How stale "last used" may be: every request writing it would make each read a write.
LAST_USED_EVERY = timedelta(minutes=1)
_SALT = "api.short-lived-token"


def find(text: str) -> AccessToken | None:
    """The valid personal token that this text is, or was exchanged for; None when there is none (any more)."""
    if text.startswith(SHORT_PREFIX):
        token_id = _read_short(text.removeprefix(SHORT_PREFIX))
        return None if token_id is None else valid().filter(pk=token_id).first()
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return valid().filter(token_sha256=digest).first()


def valid() -> Any:
    """Tokens that are neither revoked nor expired, of people who may still sign in."""
    alive = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
    rows = AccessToken.objects.filter(alive, revoked_at__isnull=True, user__is_active=True)
    return rows.select_related("user")


def note_use(token: AccessToken) -> None:
    """Write down that the token was used, at most once a minute."""
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > LAST_USED_EVERY:
        AccessToken.objects.filter(pk=token.pk).update(last_used_at=now)


def exchange(token: AccessToken) -> tuple[str, datetime]:
    """A token that lasts a day, or as long as the personal one if that is shorter, and ends with it when it is revoked."""
    until = timezone.now() + SHORT_LIFETIME
    if token.expires_at is not None:
        until = min(until, token.expires_at)
    text = signing.dumps({"token": token.pk, "until": int(until.timestamp())}, salt=_SALT, compress=False)
    return SHORT_PREFIX + text, until


def _read_short(text: str) -> int | None:
    try:
        found = signing.loads(text, salt=_SALT)
    except signing.BadSignature:
        return None
    return found["token"] if found["until"] > timezone.now().timestamp() else None
