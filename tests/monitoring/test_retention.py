"""Minutes go before hours, hours before days."""

from datetime import timedelta

from monitoring import retention
from monitoring.models import Grain, MeasuredDeployment, TrafficBucket
from tests.monitoring.readings import NOON


def test_each_grain_is_kept_for_its_own_time(db, settings, monkeypatch):
    settings.STUDIO_MINUTE_METRICS_DAYS, settings.STUDIO_HOUR_METRICS_DAYS = 14, 100
    settings.STUDIO_DAY_METRICS_DAYS = 1000
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 2)
    measured = MeasuredDeployment.objects.create(endpoint_name="churn", deployment_name="blue")
    for days in (1, 20, 200, 2000):
        for grain in Grain.values:
            TrafficBucket.objects.create(measured=measured, grain=grain, at=NOON - timedelta(days=days))
    deleted = retention.delete_old(NOON)
    left = sorted(((NOON - row.at).days, row.grain) for row in TrafficBucket.objects.all())
    assert left == [(1, 60), (1, 600), (1, 3600), (1, 86_400), (20, 3600), (20, 86_400), (200, 86_400)]
    assert deleted == 16 - 7
    assert retention.delete_old(NOON) == 0
