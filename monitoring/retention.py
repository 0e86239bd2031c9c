"""Old buckets go: minutes first, then hours, then days."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from monitoring.models import Grain, InstanceBucket, TrafficBucket

# Small enough that nobody who wants to write waits long.
ROWS_AT_ONCE = 5_000


def delete_old(now: datetime) -> int:
    """Delete what is older than the settings allow; returns how many rows that were. Twice is no error."""
    kept_days = {
        Grain.MINUTE: settings.STUDIO_MINUTE_METRICS_DAYS,
        Grain.TEN_MINUTES: settings.STUDIO_MINUTE_METRICS_DAYS,
        Grain.HOUR: settings.STUDIO_HOUR_METRICS_DAYS,
        Grain.DAY: settings.STUDIO_DAY_METRICS_DAYS,
    }
    deleted = 0
    for model in (TrafficBucket, InstanceBucket):
        for grain, days in kept_days.items():
            old = model._default_manager.filter(grain=grain, at__lt=now - timedelta(days=days))
            while ids := list(old.order_by("at").values_list("pk", flat=True)[:ROWS_AT_ONCE]):
                deleted += model._default_manager.filter(pk__in=ids).delete()[0]
    return deleted
