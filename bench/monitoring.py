"""How long measuring takes with many deployments: ingesting one reading, and the query behind every chart.

`python -m bench.monitoring [--endpoints 200] [--days 90] [--charted 4]` in a database of its own (SQLite in a temporary home).
All deployments get the present hour; those of `--charted` endpoints get every minute, hour and day.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from typing import Any

NAMES = ("blue", "green")
BINS = [digits * 1000 for digits in range(10, 100)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=200)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--charted", type=int, default=4, help="endpoints with a full history")
    options = parser.parse_args()
    home = tempfile.mkdtemp(prefix="es-", dir="/tmp")
    try:
        _set_up(home)
        endpoints = _endpoints(options.endpoints)
        _ingest(endpoints)
        _history(endpoints[: options.charted], options.days)
        _charts(endpoints[: options.charted])
        size = sum(os.path.getsize(os.path.join(home, name)) for name in os.listdir(home) if "sqlite" in name)
        print(f"database: {size / 1e6:.0f} MB")
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0


def _set_up(home: str) -> None:
    os.environ.update(STUDIO_HOME=home, DJANGO_SETTINGS_MODULE="studio.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def _endpoints(count: int) -> list[Any]:
    """Rows without keys or instances: nothing is started."""
    from deployments.models import Deployment
    from endpoints.models import Endpoint
    from workspaces.models import Workspace

    workspace = Workspace.objects.create(name="bench")
    found = [Endpoint(workspace=workspace, name=f"bench-{number}", state="Succeeded") for number in range(count)]
    Endpoint.objects.bulk_create(found)
    Endpoint.objects.update(created_at=datetime(2020, 1, 1, tzinfo=UTC))
    Deployment.objects.bulk_create(
        Deployment(endpoint=endpoint, name=name, state="Succeeded") for endpoint in found for name in NAMES
    )
    return list(Endpoint.objects.order_by("pk"))


def _ingest(endpoints: list[Any], readings: int = 12) -> None:
    """Every deployment gets 50 requests between two readings."""
    from django.utils import timezone

    from monitoring.ingest import ingest_instances, ingest_traffic
    from monitoring.parse import counter_name
    from monitoring.scrape import GatewayReading

    draw, seconds = random.Random(1), []
    counters: dict[str, int] = {}
    began = timezone.now() - timedelta(seconds=10 * readings)
    for number in range(readings):
        for endpoint in endpoints:
            for name in NAMES:
                for _ in range(50):
                    for key in (("status", 200), ("latency", draw.choice(BINS))):
                        full = counter_name(endpoint.name, name, *key)
                        counters[full] = counters.get(full, 0) + 1
        at = began + timedelta(seconds=10 * number)
        reading = GatewayReading(at, "1:1", began - timedelta(seconds=10), dict(counters))
        start = time.monotonic()
        ingest_traffic(reading)
        traffic = time.monotonic() - start
        instances = _instance_readings(endpoints, at, number)
        start = time.monotonic()
        ingest_instances(instances, at)
        seconds.append((traffic, time.monotonic() - start))
    for what, values in (("requests", [pair[0] for pair in seconds]), ("instances", [pair[1] for pair in seconds])):
        rest = values[1:]
        print(
            f"ingest {what}, {len(endpoints)} endpoints x {len(NAMES)}: "
            f"median {statistics.median(rest) * 1000:.0f} ms, most {max(rest) * 1000:.0f} ms of {len(rest)}"
        )


def _instance_readings(endpoints: list[Any], at: datetime, number: int) -> list[Any]:
    from deployments.compute.contract import Usage
    from monitoring.scrape import InstanceReading

    usage = Usage(
        cpu_seconds=float(number),
        memory_bytes=200_000_000,
        processes=3,
        cpu_limit=1.0,
        memory_limit_bytes=10**9,
        source="bench",
        measured_at=at,
    )
    return [
        InstanceReading(at, f"{endpoint.name}-{name}", endpoint.name, name, "Ready", at, usage, 0)
        for endpoint in endpoints
        for name in NAMES
    ]


def _history(endpoints: list[Any], days: int) -> None:
    from django.utils import timezone

    from monitoring.models import Grain, InstanceBucket, MeasuredDeployment, TrafficBucket

    TrafficBucket.objects.all().delete()
    InstanceBucket.objects.all().delete()
    draw = random.Random(2)
    now = int(timezone.now().timestamp())
    rows = 0
    names = MeasuredDeployment.objects.filter(endpoint_name__in=[endpoint.name for endpoint in endpoints])
    for measured in names:
        for grain in Grain.values:
            traffic, instances = [], []
            for at in range((now - days * 86_400) // grain * grain, now, grain):
                moment = datetime.fromtimestamp(at, UTC)
                bins = {str(bound): draw.randrange(1, 50) for bound in draw.sample(BINS, 30)}
                statuses = {"200": sum(bins.values()), "424": 2}
                values = {"measured": measured, "grain": grain, "at": moment, "measured_seconds": float(grain)}
                traffic.append(TrafficBucket(**values, statuses=statuses, latencies=bins, others={"bytes_in": 10_000}))
                use = {"cpu_seconds": 1.0, "cpu_limit_seconds": float(grain), "samples": 6}
                instances.append(
                    InstanceBucket(**values, **use, instance_name=f"{measured.pk}", state_seconds={"Ready": grain})
                )
            TrafficBucket.objects.bulk_create(traffic, batch_size=2000)
            InstanceBucket.objects.bulk_create(instances, batch_size=2000)
            rows += len(traffic) + len(instances)
    print(f"history: {rows:,} rows, {days} days of minutes of {len(names)} deployments")


def _charts(endpoints: list[Any]) -> None:
    from django.utils import timezone

    from monitoring import series, windows
    from monitoring.metrics import endpoint_charts

    now = timezone.now()
    for choice in windows.RANGES:
        window = windows.named(choice.key, now)
        traffic = [_timed(series.traffic, endpoint, window) for endpoint in endpoints]
        instances = [_timed(series.instances, endpoint, window) for endpoint in endpoints]
        page = [_timed(endpoint_charts, endpoint, window) for endpoint in endpoints]
        print(
            f"{choice.label:>6}, {len(window.moments):3} points: requests {statistics.median(traffic):.0f} ms, "
            f"instances {statistics.median(instances):.0f} ms, all charts {statistics.median(page):.0f} ms"
        )


def _timed(call: Any, *arguments: Any) -> float:
    began = time.monotonic()
    call(*arguments)
    return (time.monotonic() - began) * 1000


if __name__ == "__main__":
    sys.exit(main())
