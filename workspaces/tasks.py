"""Doors for Celery: ids in, one call."""

from __future__ import annotations

from celery import shared_task

from workspaces import building, garbage


@shared_task(ignore_result=True)
def build_environment(build_id: int) -> None:
    """Build an environment that is queued. Safe to run twice or late: one worker builds, a finished one is left alone."""
    building.carry_out(build_id)


@shared_task(ignore_result=True)
def tick_builds() -> None:
    """Queue builds that wait, also those whose worker died."""
    for build_id in building.builds_with_work():
        build_environment.delay(build_id)


@shared_task(ignore_result=True)
def tick_garbage() -> None:
    """Remove environments, runtimes and files that nothing uses."""
    garbage.collect()
