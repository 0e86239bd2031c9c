"""Waiting until the whole studio answers that it is up."""

from __future__ import annotations

import http.client
import json
import time

import redis

from deployments.compute.contract import DriverUnavailable
from studio import heartbeat
from studio.run.errors import PartFailed
from studio.run.places import Places
from studio.run.supervision import Supervision

UP_SECONDS = 90.0
REDIS_SECONDS = 20.0
POLL_SECONDS = 0.05
LOG_LINES = 12
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def forget_heartbeats(supervision: Supervision) -> None:
    """So that only workers started after this count as up. Raises PartFailed when Redis does not answer within 20 seconds."""
    deadline = time.monotonic() + REDIS_SECONDS
    while True:
        try:
            return heartbeat.forget(heartbeat.BEATING)
        except redis.AuthenticationError as error:
            raise PartFailed(f"Redis refuses the studio: {error}", hint="Check REDIS_URL.") from error
        except redis.RedisError as error:
            if time.monotonic() > deadline or not supervision.is_alive():
                last_words = _quote(supervision.places, "redis", {})
                raise PartFailed(f"Redis does not answer: {error}", hint=last_words or "Check REDIS_URL.") from error
        time.sleep(POLL_SECONDS)


def wait_until_healthy(supervision: Supervision, *, bind: str, port: int, host: str) -> None:
    """Raises PartFailed, naming what is missing and quoting its log, after 90 seconds or when supervisord has ended."""
    deadline = time.monotonic() + UP_SECONDS
    missing: dict[str, str] = {}
    while time.monotonic() < deadline and supervision.is_alive():
        missing = _missing(_ANY_ADDRESS.get(bind, bind), port, host)
        if not missing:
            return
        time.sleep(POLL_SECONDS)
    named = "; ".join(f"{part}: {why}" for part, why in missing.items())
    raise PartFailed(f"Not everything came up. {named}", hint=_last_words(supervision, list(missing)))


def _missing(address: str, port: int, host: str) -> dict[str, str]:
    """Parts that are not up, with why. Empty when all are."""
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request("GET", "/healthz", headers={"Host": f"{host}:{port}"})
        response = connection.getresponse()
        body = response.read()
        if response.status not in (200, 503):
            return {"web": f"It answered {response.status} to /healthz."}
        parts = json.loads(body)["parts"]
    except (OSError, http.client.HTTPException, ValueError) as error:
        return {"web": f"It does not answer yet ({error})."}
    finally:
        connection.close()
    return {part: why for part, why in parts.items() if why != "ok"}


def _last_words(supervision: Supervision, missing: list[str]) -> str:
    try:
        states = {name: program.state for name, program in supervision.programs().items()}
    except DriverUnavailable:
        states = {}
    names = {"gateway": "envoy"}
    quoted = [_quote(supervision.places, names.get(part, part), states) for part in missing]
    return "\n".join(filter(None, quoted))


def _quote(places: Places, part: str, states: dict[str, str]) -> str:
    log = places.log(part)
    if not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    return "\n".join([f"{part} is {states.get(part, 'unknown')}; the end of {log}:", *(f"  {line}" for line in lines)])
