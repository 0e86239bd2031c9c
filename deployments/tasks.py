"""Doors for Celery: ids in, one call."""

from __future__ import annotations

from celery import shared_task

from deployments.reconcile import machine, watch


@shared_task(ignore_result=True)
def reconcile_deployment(deployment_id: int) -> None:
    """Bring one deployment closer to what is wanted.

    Safe to run twice or late: it compares wanted with observed and does only the difference.
    """
    again_in_seconds = machine.reconcile(deployment_id)
    if again_in_seconds is not None:
        reconcile_deployment.apply_async((deployment_id,), countdown=again_in_seconds)


@shared_task(ignore_result=True)
def tick_watch() -> None:
    """Bring every instance's row up to date and queue each deployment that has something left to do.

    Safe to run twice or late, also at once with another: rows are moved by compare-and-set.
    """
    for deployment_id in watch.deployments_with_work():
        reconcile_deployment.delay(deployment_id)
