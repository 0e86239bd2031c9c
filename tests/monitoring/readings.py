"""Readings for tests: counters of a gateway at some second."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from deployments.compute.contract import Usage
from monitoring.scrape import GatewayReading, InstanceReading

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """That many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def gateway(
    seconds: float, counters: Mapping[str, int], *, identity: str = "1:1", started: float = 0.0
) -> GatewayReading:
    return GatewayReading(at(seconds), identity, at(started), dict(counters))


def instance(
    seconds: float,
    cpu_seconds: float | None,
    *,
    name: str = "blue-1",
    soft_errors: int | None = 0,
    started: float = 0.0,
) -> InstanceReading:
    """Of churn/blue, ready; not to be measured when `cpu_seconds` is None."""
    usage = None
    if cpu_seconds is not None:
        usage = Usage(
            cpu_seconds=cpu_seconds,
            memory_bytes=256_000_000,
            processes=2,
            cpu_limit=1.0,
            memory_limit_bytes=1_024_000_000,
            source="test",
            measured_at=at(seconds),
        )
    return InstanceReading(at(seconds), name, "churn", "blue", "Ready", at(started), usage, soft_errors)
