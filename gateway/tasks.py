"""Doors for Celery: one call each."""

from __future__ import annotations

from celery import shared_task

from gateway import services


@shared_task(ignore_result=True)
def publish(asked_at: float) -> None:
    """Bring what the rows wanted at `asked_at` (Unix seconds) or later into force. Safe to run twice or late."""
    services.publish_if_not_since(asked_at=asked_at)


@shared_task(ignore_result=True)
def tick_drift() -> None:
    """Repair what differs between rows, files and Envoy, and keep logs small. Safe to run twice."""
    services.publish_routes()
    services.rotate_logs()
