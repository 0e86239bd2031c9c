"""Doors for Celery: one call each."""

from __future__ import annotations

from celery import shared_task

from gateway import services


@shared_task(ignore_result=True)
def publish() -> None:
    """Bring what the rows want into force. Safe to run twice or late: the rows are read when its turn has come."""
    services.publish_routes()


@shared_task(ignore_result=True)
def tick_drift() -> None:
    """Repair what differs between rows, files and Envoy, and keep logs small. Safe to run twice."""
    services.publish_routes()
    services.rotate_logs()
