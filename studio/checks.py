"""What can be wrong with the settings, found at start instead of at the first request that suffers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

TAG = "studio"
_DNS_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_ENGINES = {"django.db.backends.sqlite3", "django.db.backends.postgresql"}
_BROKERS = ("redis://", "rediss://", "redis+socket://")


@register(TAG)
def check_settings(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Every problem at once, each with what to do about it."""
    return [problem for check in _CHECKS for problem in check()]


def _bind_is_an_address() -> Iterator[CheckMessage]:
    try:
        ipaddress.ip_address(settings.STUDIO_BIND)
    except ValueError:
        yield Error(
            f"STUDIO_BIND is {settings.STUDIO_BIND!r}, which is no IP address.",
            hint="Use 127.0.0.1, 0.0.0.0, ::1 or ::.",
            id="studio.E001",
        )


def _ports_differ() -> Iterator[CheckMessage]:
    names: dict[int, list[str]] = {}
    for name in ("STUDIO_PORT", "STUDIO_TLS_PORT", "GATEWAY_PORT", "GATEWAY_TLS_PORT"):
        names.setdefault(getattr(settings, name), []).append(name)
    for port, same in names.items():
        if len(same) > 1:
            yield Error(f"{' and '.join(same)} are all {port}.", hint="Give each a port of its own.", id="studio.E002")


def _names_are_host_names() -> Iterator[CheckMessage]:
    if not (_DNS_NAME.match(settings.STUDIO_HOSTNAME.lower()) or _is_address(settings.STUDIO_HOSTNAME)):
        yield Error(
            f"STUDIO_HOSTNAME is {settings.STUDIO_HOSTNAME!r}, which is no host name.",
            hint="Use the name by which browsers reach this machine, without http:// and without a port.",
            id="studio.E003",
        )
    if not _DNS_LABEL.match(settings.STUDIO_REGION):
        yield Error(
            f"STUDIO_REGION is {settings.STUDIO_REGION!r}; it becomes a part of host names.",
            hint="Use lower-case letters, digits and dashes.",
            id="studio.E004",
        )
    if not _DNS_NAME.match(settings.STUDIO_DOMAIN):
        yield Error(
            f"STUDIO_DOMAIN is {settings.STUDIO_DOMAIN!r}, which is no domain.",
            hint="Use a domain in lower case, such as example.com.",
            id="studio.E005",
        )


def _hostname_is_allowed() -> Iterator[CheckMessage]:
    from django.http.request import validate_host

    if not validate_host(settings.STUDIO_HOSTNAME, settings.ALLOWED_HOSTS):
        yield Error(
            f"STUDIO_ALLOWED_HOSTS does not allow STUDIO_HOSTNAME ({settings.STUDIO_HOSTNAME}), which every link names.",
            hint="Add it to the list.",
            id="studio.E006",
        )


def _field_key_is_a_key() -> Iterator[CheckMessage]:
    try:
        Fernet(settings.FIELD_ENCRYPTION_KEY)
    except ValueError:
        yield Error(
            "The key that encrypts secrets in the database is not a Fernet key.",
            hint="Set STUDIO_FIELD_KEY to 32 random bytes in URL-safe base64, or restore secrets/fields.key below STUDIO_HOME.",
            id="studio.E007",
        )


def _servers_are_of_a_known_kind() -> Iterator[CheckMessage]:
    engine = settings.DATABASES["default"]["ENGINE"]
    if engine not in _ENGINES:
        yield Error(
            f"DATABASE_URL names a database of kind {engine.rpartition('.')[2]}.",
            hint="Use postgres://user@host/name, or leave it out for SQLite.",
            id="studio.E008",
        )
    if not settings.REDIS_URL.startswith(_BROKERS):
        yield Error(
            "REDIS_URL is no address of a Redis.",
            hint="Use redis://host:6379/0, rediss://… or redis+socket:///path, or leave it out for the embedded one.",
            id="studio.E009",
        )


def _debug_is_off() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield Warning(
            "STUDIO_DEBUG is on: error pages show settings and source code to whoever causes them.",
            hint="Use it on your own machine only.",
            id="studio.W001",
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_CHECKS: tuple[Callable[[], Iterator[CheckMessage]], ...] = (
    _bind_is_an_address,
    _ports_differ,
    _names_are_host_names,
    _hostname_is_allowed,
    _field_key_is_a_key,
    _servers_are_of_a_known_kind,
    _debug_is_off,
)
