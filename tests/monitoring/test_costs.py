"""Money, compared with a computation that goes minute by minute."""

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from monitoring import costs
from monitoring.costs import Interval, Kind, Price, spent

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def day(number, hour=0, minute=0):
    return datetime(2026, 3, number, hour, minute, tzinfo=UTC)


def interval(name="a", *, started=None, revision=1, price="0.6", **overrides):
    started = started or day(2)
    values = {"ready_at": started, "endpoint": "churn", "deployment": "blue", "instance_type": "Local_1x2", **overrides}
    return Interval(instance=name, revision=revision, started_at=started, first_price=Decimal(price), **values)


def total(rows):
    return sum((row.amount for row in rows), Decimal(0))


def by_kind(rows):
    return costs.totals(rows, lambda row: row.kind)


def a_month(seed):
    """Instances of three deployments that come and go, in revisions, under prices that change."""
    draw = random.Random(seed)
    prices = tuple(
        Price(MARCH + timedelta(minutes=minute), Decimal(draw.randrange(1, 500_000)) / 100_000)
        for minute in sorted(draw.sample(range(31 * 1440), 6))
    )
    found = []
    for number in range(40):
        start = MARCH + timedelta(minutes=draw.randrange(-5000, 31 * 1440))
        length = draw.randrange(1, 9000)
        moments = [start + timedelta(minutes=draw.randrange(length + 1)) for _ in range(2)]
        found.append(
            interval(
                f"i{number}",
                started=start,
                revision=1 + (start - MARCH) // timedelta(days=10),
                price=str(Decimal(draw.randrange(100_000)) / 100_000),
                deployment=draw.choice(["blue", "green", "red"]),
                ready_at=min(moments) if draw.random() < 0.9 else None,
                draining_at=max(moments) if draw.random() < 0.5 else None,
                stopped_at=start + timedelta(minutes=length) if draw.random() < 0.9 else None,
                prices=tuple(price for price in prices if price.since > start),
            )
        )
    hours = [MARCH + timedelta(hours=hour) for hour in range(31 * 24)]
    busy = {("churn", name): set(draw.sample(hours, 300)) for name in ("blue", "green")}
    return found, busy


def minute_by_minute(intervals, busy):
    """The same by brute force; money by (day, deployment, kind)."""
    found: dict[tuple[date, str, Kind], Fraction] = defaultdict(Fraction)
    for one in intervals:
        successors = [o.started_at for o in intervals if o.deployment == one.deployment and o.revision > one.revision]
        at = max(one.started_at, MARCH)
        while at < min(one.stopped_at or APRIL, APRIL):
            price = one.first_price
            for later in one.prices:
                if later.since <= at:
                    price = later.per_hour
            kind = Kind.SERVING if at.replace(minute=0) in busy.get(("churn", one.deployment), ()) else Kind.IDLE
            if any(moment <= at for moment in successors) or (one.draining_at and one.draining_at <= at):
                kind = Kind.SURGE
            elif one.ready_at is None or at < one.ready_at:
                kind = Kind.NOT_READY
            found[at.date(), one.deployment, kind] += Fraction(price) / 60
            at += MINUTE
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_month_with_changing_prices_costs_what_brute_force_says(seed):
    intervals, busy = a_month(seed)
    exact = minute_by_minute(intervals, busy)
    found = costs.totals(spent(intervals, MARCH, APRIL, busy), lambda row: (row.day, row.deployment, row.kind))
    assert found.keys() == exact.keys()
    for key, amount in found.items():
        assert abs(Fraction(amount) - exact[key]) < Fraction(1, 10**12), key
    assert round(sum(found.values()), 2) == round(Decimal(float(sum(exact.values()))), 2)


@pytest.mark.parametrize("seed", range(3))
def test_what_two_parts_of_a_time_cost_adds_up_to_the_whole(seed):
    intervals, busy = a_month(seed)
    middle = day(11, 7, 23)
    parts = total(spent(intervals, MARCH, middle, busy)) + total(spent(intervals, middle, APRIL, busy))
    assert abs(parts - total(spent(intervals, MARCH, APRIL, busy))) < Decimal("1e-18")


def test_a_new_price_never_changes_the_past():
    before = spent([interval()], MARCH, day(10), {})
    changed = interval(prices=(Price(day(10), Decimal(99)),))
    assert spent([changed], MARCH, day(10), {}) == before
    assert total(spent([changed], day(10), day(10, 1), {})) == 99


def test_seconds_are_paid_for():
    one = interval(price="3.6", stopped_at=day(2) + timedelta(seconds=7, microseconds=500_000))
    assert total(spent([one], MARCH, APRIL, {})) == Decimal("0.0075")


def test_money_is_split_by_what_it_was_for():
    old = interval("old", ready_at=day(2, 1), stopped_at=day(2, 6))
    new = interval("new", started=day(2, 4), revision=2, ready_at=day(2, 5), stopped_at=day(2, 7))
    never = interval("never", started=day(3), ready_at=None, stopped_at=day(3, 2), deployment="red")
    found = by_kind(spent([old, new, never], MARCH, APRIL, {("churn", "blue"): {day(2, 2), day(2, 5)}}))
    assert found == {
        Kind.NOT_READY: Decimal("0.6") * (1 + 1 + 2),
        Kind.SERVING: Decimal("0.6") * (1 + 1),
        Kind.IDLE: Decimal("0.6") * (2 + 1),
        Kind.SURGE: Decimal("0.6") * 2,
    }


def test_nothing_is_paid_before_the_start_even_where_a_clock_was_set_back():
    one = interval(ready_at=day(1), stopped_at=day(2, 1))
    assert total(spent([one], MARCH, APRIL, {})) == Decimal("0.6")


def test_what_runs_now_is_paid_at_todays_price_until_the_end_of_the_month():
    running = interval(prices=(Price(day(20), Decimal(2)),))
    gone = interval("gone", stopped_at=day(3))
    assert costs.running_per_hour([running, gone], day(21)) == 2
    assert costs.forecast(Decimal(10), Decimal(2), day(31), APRIL) == 58


def test_no_instances_cost_nothing():
    assert spent([], MARCH, APRIL, {}) == []
    assert costs.running_per_hour([], MARCH) == 0
