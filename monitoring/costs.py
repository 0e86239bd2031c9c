"""What instances cost: their time times the price that was in force. Pure and exact: Decimal money, whole microseconds."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

HOUR = timedelta(hours=1)
_MICROSECONDS_PER_HOUR = Decimal(3_600_000_000)
_MICROSECOND = timedelta(microseconds=1)

Deployment = tuple[str, str]
Key = TypeVar("Key", bound=Hashable)


class Kind(StrEnum):
    """What the money was for."""

    SERVING = "serving"
    """Ready, in an hour (UTC) in which its deployment answered a request."""
    IDLE = "idle"
    """Ready, in an hour without any."""
    NOT_READY = "not ready"
    """From its start until it was ready; until its end when it never was."""
    SURGE = "surge"
    """Beside its successor: from when an instance of a later revision started, or from when it was to drain."""


_What = tuple[date, str, str, str, Kind]


@dataclass(frozen=True)
class Price:
    """In force from `since` until the next one."""

    since: datetime
    per_hour: Decimal


@dataclass(frozen=True)
class Interval:
    """One instance. It costs from `started_at` to `stopped_at` (None: it still runs).

    `first_price` holds until the first of `prices`, oldest first, comes into force.
    """

    instance: str
    endpoint: str
    deployment: str
    instance_type: str
    revision: int
    started_at: datetime
    first_price: Decimal
    ready_at: datetime | None = None
    draining_at: datetime | None = None
    stopped_at: datetime | None = None
    prices: tuple[Price, ...] = ()


@dataclass(frozen=True)
class Spent:
    """Money of one instance type of one deployment on one day (UTC)."""

    day: date
    endpoint: str
    deployment: str
    instance_type: str
    kind: Kind
    amount: Decimal


def spent(
    intervals: Sequence[Interval], start: datetime, end: datetime, busy_hours: Mapping[Deployment, Collection[datetime]]
) -> list[Spent]:
    """What all of them cost from `start` until before `end`. `busy_hours` are hours (UTC) with a request, by deployment.

    Parts add up to the whole: spent(a, c) is spent(a, b) and spent(b, c).
    """
    surges = _surges(intervals)
    microseconds: Counter[tuple[_What, Decimal]] = Counter()
    for interval in intervals:
        busy = busy_hours.get((interval.endpoint, interval.deployment), ())
        for begin, until, kind in _phases(interval, surges[interval.instance], end):
            for since, before, price in _priced(interval, max(begin, start), min(until, end)):
                for day, named, length in _hours(since, before, kind, busy):
                    what = day, interval.endpoint, interval.deployment, interval.instance_type, named
                    microseconds[what, price] += length // _MICROSECOND
    amounts: dict[_What, Decimal] = {}
    for (what, price), count in microseconds.items():
        amounts[what] = amounts.get(what, Decimal(0)) + price * count / _MICROSECONDS_PER_HOUR
    return [Spent(*what, amount) for what, amount in sorted(amounts.items())]


def totals(rows: Iterable[Spent], key: Callable[[Spent], Key]) -> dict[Key, Decimal]:
    """The sum for each key; keys are in the order they come."""
    found: dict[Key, Decimal] = {}
    for row in rows:
        found[key(row)] = found.get(key(row), Decimal(0)) + row.amount
    return found


def running_per_hour(intervals: Iterable[Interval], now: datetime) -> Decimal:
    """What an hour costs as things are now."""
    running = (one for one in intervals if one.started_at <= now and (one.stopped_at is None or one.stopped_at > now))
    return sum((price_at(one, now) for one in running), Decimal(0))


def forecast(so_far: Decimal, per_hour: Decimal, now: datetime, end: datetime) -> Decimal:
    """What it will have cost by `end` when nothing is changed."""
    return so_far + per_hour * Decimal((end - now) // _MICROSECOND) / _MICROSECONDS_PER_HOUR


def price_at(interval: Interval, at: datetime) -> Decimal:
    position = bisect_right([price.since for price in interval.prices], at)
    return interval.prices[position - 1].per_hour if position else interval.first_price


def _surges(intervals: Sequence[Interval]) -> dict[str, datetime | None]:
    """By instance, from when on it is one too many; None: never."""
    starts: dict[Deployment, list[tuple[int, datetime]]] = {}
    for one in intervals:
        starts.setdefault((one.endpoint, one.deployment), []).append((one.revision, one.started_at))
    found = {}
    for one in intervals:
        later = [at for revision, at in starts[one.endpoint, one.deployment] if revision > one.revision]
        moments = [max(at, one.started_at) for at in (*later, one.draining_at) if at is not None]
        found[one.instance] = min(moments, default=None)
    return found


def _phases(interval: Interval, surge_at: datetime | None, end: datetime) -> Iterator[tuple[datetime, datetime, Kind]]:
    """Its life in at most three parts; SERVING stands for ready, busy or not."""
    last = interval.stopped_at or end
    surge = min(surge_at or last, last)
    ready = min(max(interval.ready_at or last, interval.started_at), surge)
    parts = ((interval.started_at, ready, Kind.NOT_READY), (ready, surge, Kind.SERVING), (surge, last, Kind.SURGE))
    yield from ((begin, until, kind) for begin, until, kind in parts if begin < until)


def _priced(interval: Interval, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, Decimal]]:
    """Cut where a new price came into force."""
    at = start
    changes = [price.since for price in interval.prices if start < price.since < end]
    for until in (*changes, end):
        if at < until:
            yield at, until, price_at(interval, at)
        at = until


def _hours(
    start: datetime, end: datetime, kind: Kind, busy: Collection[datetime]
) -> Iterator[tuple[date, Kind, timedelta]]:
    """Cut at the days and, where it matters whether the deployment was busy, at the hours."""
    by_hour = kind is Kind.SERVING
    at = start
    while at < end:
        hour = at.replace(minute=0, second=0, microsecond=0)
        next_day = datetime.combine(at.date() + timedelta(days=1), time(), UTC)
        until = min(end, hour + HOUR if by_hour else next_day)
        yield at.date(), Kind.IDLE if by_hour and hour not in busy else kind, until - at
        at = until
