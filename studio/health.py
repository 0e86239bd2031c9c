"""Whether every part of the studio is up, and what to do about one that is not. For people, scripts and load balancers."""

from __future__ import annotations

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from gateway.admin import Admin
from studio import heartbeat

OK = "ok"
GATEWAY_TIMEOUT_SECONDS = 0.5


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 when all is up, else 503; `parts` names each part with "ok" or what is wrong and what to do."""
    parts = health()
    is_up = all(found == OK for found in parts.values())
    return JsonResponse({"status": OK if is_up else "failing", "parts": parts}, status=200 if is_up else 503)


def health() -> dict[str, str]:
    """Each part by name: "ok", or a sentence. Takes some milliseconds, at most 3 seconds when something hangs."""
    return {"web": OK, "database": _database(), **_redis_and_who_reports_there(), "gateway": _gateway()}


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "The database does not answer. Check DATABASE_URL and that its server runs."
    return OK


def _redis_and_who_reports_there() -> dict[str, str]:
    try:
        alive = heartbeat.who_is_alive(heartbeat.BEATING)
    except redis.RedisError:
        unknown = "Unknown while Redis does not answer."
        return {
            "redis": "Redis does not answer. See logs/redis.log, or check REDIS_URL.",
            **dict.fromkeys(heartbeat.BEATING, unknown),
        }
    return {"redis": OK, **{part: OK if is_alive else _silent(part) for part, is_alive in alive.items()}}


def _silent(part: str) -> str:
    return (
        f"It has not reported for {heartbeat.SILENT_AFTER_SECONDS} seconds; it is being restarted. See logs/{part}.log."
    )


def _gateway() -> str:
    admin = Admin(settings.STUDIO_HOME / "gateway" / "admin.sock", timeout_seconds=GATEWAY_TIMEOUT_SECONDS)
    return (
        OK
        if admin.is_ready()
        else "Envoy does not answer; it is being restarted. See logs/envoy.log and gateway/envoy.log."
    )
