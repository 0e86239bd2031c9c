"""From readings to rows. The counters last seen are written in the transaction that writes what came on top of them.

So a process killed at any moment leaves both or neither, and of two that read at the same time one is thrown away: nothing is
counted twice, and what is thrown away is in the next reading.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction

from deployments.models import Deployment
from endpoints.models import Endpoint
from monitoring import rollup
from monitoring.models import Grain, InstanceBucket, MeasuredDeployment, ScrapeState, TrafficBucket
from monitoring.rollup import InstanceTally, Tally
from monitoring.scrape import GatewayReading, InstanceReading

NO_DEPLOYMENT = "-"
# A gateway met for the first time is counted from its start when that is at most so long ago; else from now on.
NEW_GATEWAY_SECONDS = 120.0
_COMPRESSION = 1

Name = tuple[str, str]


def ingest_traffic(reading: GatewayReading) -> bool:
    """Add what came on top since the last reading. False: somebody else has read meanwhile, and nothing was written."""
    state = _state("gateway")
    before = _counters(state)
    is_same = state.identity == reading.identity
    start = _start(state, reading, is_same_process=is_same)
    is_new = state.scraped_at is None and (reading.at - reading.started_at).total_seconds() > NEW_GATEWAY_SECONDS
    increase = {} if is_new else rollup.increases(before, reading.counters, is_same_process=is_same)
    found = rollup.tallies(increase)
    measured = (reading.at - start).total_seconds() if _is_measured(start, reading.at) else 0.0
    for name in _live():
        found[name] = found.get(name, Tally()) + Tally(measured_seconds=max(measured, 0.0))
    parts = rollup.slices(start.timestamp(), reading.at.timestamp())
    minutes = [(name, minute, tally) for name, whole in found.items() for minute, tally in rollup.spread(whole, parts)]
    with transaction.atomic():
        if not _advance(state, reading.identity, reading.counters, reading.at):
            return False
        _add_traffic(minutes)
    return True


def _start(state: ScrapeState, reading: GatewayReading, *, is_same_process: bool) -> datetime:
    if state.scraped_at is None:
        age = reading.at - reading.started_at
        return reading.started_at if age.total_seconds() <= NEW_GATEWAY_SECONDS else reading.at
    return state.scraped_at if is_same_process else max(state.scraped_at, reading.started_at)


def _is_measured(start: datetime, end: datetime) -> bool:
    return rollup.is_measured(start.timestamp(), end.timestamp())


def _live() -> set[Name]:
    """What could get requests now: every deployment, and every endpoint without one."""
    endpoints = Endpoint.objects.values_list("name", flat=True)
    deployments = Deployment.objects.values_list("endpoint__name", "name")
    return {(name, NO_DEPLOYMENT) for name in endpoints} | set(deployments)


def ingest_instances(readings: list[InstanceReading], at: datetime) -> bool:
    """As ingest_traffic, for what instances use. `at` is when the readings were made."""
    state = _state("instances")
    before = _counters(state)
    now: dict[str, int] = {}
    minutes: list[tuple[Name, str, int, InstanceTally]] = []
    for reading in readings:
        seen = _seen_of(reading, before)
        if seen is None:
            now |= {name: before[name] for name in _names_of(reading.name) if name in before}
            continue
        now |= seen
        tally, since = _instance_tally(reading, before, seen)
        minute = int(max(since, reading.at - timedelta(seconds=10)).timestamp()) // 60 * 60
        minutes.append(((reading.endpoint_name, reading.deployment_name), reading.name, minute, tally))
    with transaction.atomic():
        if not _advance(state, "", now, at):
            return False
        _add_instances(minutes)
    return True


def _names_of(instance: str) -> tuple[str, str, str]:
    return f"{instance}/cpu_us", f"{instance}/soft_errors", f"{instance}/at_ms"


def _seen_of(reading: InstanceReading, before: Mapping[str, int]) -> dict[str, int] | None:
    """An instance's counters; None when it could not be measured. Soft errors it did not tell stay as they were."""
    if reading.usage is None:
        return None
    cpu, soft_errors, at = _names_of(reading.name)
    told = reading.soft_errors if reading.soft_errors is not None else before.get(soft_errors, 0)
    return {
        cpu: round(reading.usage.cpu_seconds * 1_000_000),
        soft_errors: told,
        at: round(reading.at.timestamp() * 1000),
    }


def _instance_tally(
    reading: InstanceReading, before: Mapping[str, int], seen: dict[str, int]
) -> tuple[InstanceTally, datetime]:
    cpu, soft_errors, at = _names_of(reading.name)
    more = rollup.increases(before, seen, is_same_process=True)
    since = reading.started_at or reading.at
    if at in before:
        since = datetime.fromtimestamp(before[at] / 1000, UTC)
    seconds = max((reading.at - since).total_seconds(), 0.0)
    usage = reading.usage
    assert usage is not None
    is_measured = _is_measured(since, reading.at)
    tally = InstanceTally(
        measured_seconds=seconds if is_measured else 0.0,
        # Over a pause nobody knows when it was used, and no curve needs its sum.
        cpu_seconds=more.get(cpu, 0) / 1_000_000 if is_measured else 0.0,
        cpu_limit_seconds=seconds * usage.cpu_limit if is_measured else 0.0,
        samples=1,
        memory_sum_bytes=usage.memory_bytes,
        memory_limit_sum_bytes=usage.memory_limit_bytes,
        memory_max_bytes=usage.memory_bytes,
        soft_errors=more.get(soft_errors, 0),
        state_seconds={reading.state: seconds} if is_measured else {},
    )
    return tally, since


# --- how far has been read


def _state(source: str) -> ScrapeState:
    return ScrapeState.objects.get_or_create(source=source)[0]


def _counters(state: ScrapeState) -> dict[str, int]:
    found: dict[str, int] = json.loads(zlib.decompress(state.counters)) if state.counters else {}
    return found


def _advance(state: ScrapeState, identity: str, counters: Mapping[str, int], at: datetime) -> bool:
    """Compare-and-set: True for exactly one of those who began from the same row."""
    packed = zlib.compress(json.dumps(counters, separators=(",", ":")).encode(), _COMPRESSION)
    advanced = ScrapeState.objects.filter(pk=state.pk, sequence=state.sequence).update(
        sequence=state.sequence + 1, identity=identity, counters=packed, scraped_at=at
    )
    return advanced == 1


# --- buckets


def _measured_ids(names: Iterable[Name]) -> dict[Name, int]:
    wanted = set(names)
    found: dict[Name, int] = {}
    for endpoint, deployment, pk in MeasuredDeployment.objects.values_list("endpoint_name", "deployment_name", "pk"):
        found[endpoint, deployment] = pk
    missing = [MeasuredDeployment(endpoint_name=name[0], deployment_name=name[1]) for name in wanted - found.keys()]
    if missing:
        MeasuredDeployment.objects.bulk_create(missing, ignore_conflicts=True)
        rows = MeasuredDeployment.objects.values_list("endpoint_name", "deployment_name", "pk")
        found = {(endpoint, deployment): pk for endpoint, deployment, pk in rows}
    return found


def _begin(minute: int, grain: int) -> datetime:
    return datetime.fromtimestamp(minute // grain * grain, UTC)


def _add_traffic(minutes: list[tuple[Name, int, Tally]]) -> None:
    """Add tallies to their minute, hour and day."""
    ids = _measured_ids(name for name, _, _ in minutes)
    more: dict[tuple[int, int, datetime], Tally] = {}
    for name, minute, tally in minutes:
        for grain in Grain.values:
            key = ids[name], grain, _begin(minute, grain)
            more[key] = more.get(key, Tally()) + tally
    for row in _existing(TrafficBucket, more):
        key = row.measured_id, row.grain, row.at
        if key in more:
            more[key] = tally_of(row.measured_seconds, row.statuses, row.latencies, row.others) + more[key]
    rows = [
        TrafficBucket(
            measured_id=pk,
            grain=grain,
            at=at,
            measured_seconds=tally.measured_seconds,
            statuses=tally.statuses,
            latencies=tally.latencies,
            others=tally.others,
        )
        for (pk, grain, at), tally in more.items()
    ]
    _upsert(TrafficBucket, rows, ["measured", "grain", "at"], "measured_seconds statuses latencies others")


def _add_instances(minutes: list[tuple[Name, str, int, InstanceTally]]) -> None:
    ids = _measured_ids(name for name, _, _, _ in minutes)
    more: dict[tuple[int, int, datetime, str], InstanceTally] = {}
    for name, instance, minute, tally in minutes:
        for grain in Grain.values:
            key = ids[name], grain, _begin(minute, grain), instance
            more[key] = more.get(key, InstanceTally()) + tally
    for row in _existing(InstanceBucket, more):
        key = row.measured_id, row.grain, row.at, row.instance_name
        if key in more:
            more[key] = InstanceTally(**{field: getattr(row, field) for field in INSTANCE_FIELDS}) + more[key]
    rows = [
        InstanceBucket(
            measured_id=pk,
            grain=grain,
            at=at,
            instance_name=instance,
            **{f: getattr(tally, f) for f in INSTANCE_FIELDS},
        )
        for (pk, grain, at, instance), tally in more.items()
    ]
    _upsert(InstanceBucket, rows, ["measured", "grain", "at", "instance_name"], " ".join(INSTANCE_FIELDS))


INSTANCE_FIELDS = tuple(InstanceTally.__dataclass_fields__)


def tally_of(
    measured_seconds: float, statuses: Mapping[str, int], latencies: Mapping[str, int], others: Mapping[str, int]
) -> Tally:
    """From the columns of a row, whose JSON has only texts for keys."""
    return Tally(
        measured_seconds,
        {int(status): count for status, count in statuses.items()},
        {int(bound): count for bound, count in latencies.items()},
        others,
    )


def _existing(model: Any, keys: Iterable[tuple[Any, ...]]) -> Iterable[Any]:
    """Rows that may be added to, and perhaps some more. Nobody else writes them: whoever does has advanced the state first."""
    moments = {(grain, at) for _, grain, at, *_ in keys}
    for grain, at in sorted(moments):
        yield from model.objects.filter(grain=grain, at=at)


def _upsert(model: Any, rows: list[Any], unique: list[str], fields: str) -> None:
    if rows:
        model.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=unique, update_fields=fields.split(), batch_size=500
        )
