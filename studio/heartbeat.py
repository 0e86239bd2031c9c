"""Signs of life of the workers and of beat, kept in Redis for ten seconds each."""

from __future__ import annotations

import logging
import time
from functools import lru_cache

import redis
from django.conf import settings

BEATING = ["worker-operations", "worker-ticks", "worker-builds", "beat"]
INTERVAL_SECONDS = 2.0
SILENT_AFTER_SECONDS = 10
TIMEOUT_SECONDS = 1.0
KEY_PREFIX = "studio:heartbeat:"

logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def broker() -> redis.Redis:
    """The broker's Redis. Calls raise redis.RedisError within a second or two. Safe to share between threads."""
    url = settings.REDIS_URL.replace("redis+socket://", "unix://", 1)
    return redis.Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS)


def say_alive(part: str) -> None:
    """Note that `part` is alive. Without a broker that is only logged."""
    try:
        broker().set(KEY_PREFIX + part, f"{time.time():.3f}", ex=SILENT_AFTER_SECONDS)
    except redis.RedisError as error:
        logger.warning("The heartbeat of %s could not be written: %s", part, error)


def forget(parts: list[str]) -> None:
    """As if none of them had ever been heard of. Raises redis.RedisError without a broker."""
    broker().delete(*[KEY_PREFIX + part for part in parts])


def who_is_alive(parts: list[str]) -> dict[str, bool]:
    """For each part whether it has been heard of in the last ten seconds. Raises redis.RedisError without a broker."""
    found = broker().mget([KEY_PREFIX + part for part in parts])
    assert isinstance(found, list)
    return {part: at is not None for part, at in zip(parts, found, strict=True)}
