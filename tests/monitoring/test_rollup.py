"""Nothing is lost, doubled or negative, however counters are read, cut and added up."""

import random
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring import rollup
from monitoring.rollup import InstanceTally, Tally, added, increases, middle_us, percentile_ms, slices, spread

COUNTS = st.integers(min_value=0, max_value=10**6)
STATUSES = st.dictionaries(st.integers(200, 599), COUNTS.filter(bool), max_size=6)
BINS = st.dictionaries(st.sampled_from([0, 500, 990, 1000, 1100, 52_000, 180_000_000]), COUNTS.filter(bool), max_size=6)
TALLIES = st.builds(
    Tally, st.integers(0, 600).map(float), STATUSES, BINS, st.dictionaries(st.sampled_from(["bytes_in"]), COUNTS)
)
NAMES = st.sampled_from(["churn/blue/status/200", "churn/blue/status/500", "churn/green/latency/1100"])


def without_zeros(tally):
    others = {name: count for name, count in tally.others.items() if count}
    return tally.measured_seconds, dict(tally.statuses), dict(tally.latencies), others


@given(TALLIES, TALLIES, TALLIES)
def test_tallies_add_up_in_any_order_and_grouping(one, two, three):
    assert without_zeros((one + two) + three) == without_zeros(one + (two + three))
    assert without_zeros(one + two) == without_zeros(two + one)
    assert without_zeros(rollup.total([three, one, two])) == without_zeros(one + two + three)


@given(TALLIES, st.floats(1e9, 2e9), st.floats(0, 7200))
def test_a_tally_spread_over_minutes_adds_up_to_itself(tally, start, length):
    parts = list(spread(tally, slices(start, start + length)))
    whole = rollup.total(part for _, part in parts)
    assert whole.measured_seconds == pytest.approx(tally.measured_seconds, abs=1e-3)
    assert without_zeros(whole)[1:] == without_zeros(tally)[1:]
    assert all(minute % 60 == 0 for minute, _ in parts)
    assert all(count > 0 for _, part in parts for count in part.statuses.values())


@given(st.lists(st.tuples(st.dictionaries(NAMES, st.integers(0, 50)), st.booleans()), max_size=30))
def test_however_often_a_process_restarts_increases_add_up_to_what_was_seen(rounds):
    """Each round counts something on top, and sometimes the process begins anew just after it was read."""
    counters: dict[str, int] = {}
    before: dict[str, int] = {}
    expected: dict[str, int] = {}
    found: dict[str, int] = {}
    is_same = True
    for more, restarts in rounds:
        counters = added(counters, more)
        expected = added(expected, more)
        step = increases(before, counters, is_same_process=is_same)
        assert all(count > 0 for count in step.values())
        found = added(found, step)
        before, is_same = counters, True
        if restarts:
            counters, is_same = {}, False
    assert found == expected


def test_a_counter_that_is_smaller_than_before_counts_whole():
    assert increases({"a": 100, "b": 5}, {"a": 3, "b": 6}, is_same_process=True) == {"a": 3, "b": 1}


def test_another_process_counts_whole_even_where_it_has_counted_further():
    assert increases({"a": 100}, {"a": 150}, is_same_process=False) == {"a": 150}


def test_a_clock_that_was_set_back_leaves_all_in_the_present_minute():
    parts = slices(1_000_000_090.0, 1_000_000_000.0)
    assert [(part.minute, part.of(7)) for part in parts] == [(999_999_960, 7)]


@pytest.mark.parametrize("percent", [50, 90, 95, 99, 99.9])
@pytest.mark.parametrize("seed", range(4))
def test_percentiles_are_within_five_percent_of_the_exact_ones(percent, seed):
    draw = random.Random(seed)
    values_us = sorted(min(max(draw.lognormvariate(10, 2.5), 500), 180_000_000) for _ in range(5_000))
    bins: dict[int, int] = {}
    for value in values_us:
        size = 10 ** (len(str(int(value))) - 2)
        bound = int(value) // size * size
        bins[bound] = bins.get(bound, 0) + 1
    exact_ms = values_us[ceil(len(values_us) * percent / 100) - 1] / 1000
    assert percentile_ms(bins, percent) == pytest.approx(exact_ms, rel=0.05)


def test_every_bin_from_half_a_millisecond_to_three_minutes_is_at_most_five_percent_off():
    bounds = [digits * 10**power for power in range(1, 8) for digits in range(10, 100)]
    for low in (bound for bound in bounds if 500 <= bound <= 180_000_000):
        high = low + 10 ** (len(str(low)) - 2)
        assert (high - middle_us(low)) / high <= 0.05
        assert (middle_us(low) - low) / low <= 0.05


def test_no_answers_have_no_percentile_and_no_mean():
    assert percentile_ms({}, 50) is None
    assert rollup.mean_ms({}) is None


def test_a_rate_is_per_minute_of_the_time_that_was_measured():
    assert Tally(measured_seconds=30, statuses={200: 10}).per_minute(10) == 20
    assert Tally(statuses={200: 10}).per_minute(10) is None


def test_instances_add_up_to_the_use_of_all_of_them():
    one = InstanceTally(10, 5, 10, 1, 100, 1000, 100, 1, {"Ready": 10})
    two = InstanceTally(10, 0, 10, 1, 300, 1000, 300, 0, {"Ready": 4, "Draining": 6})
    both = one + two
    assert (both.cpu_percent, both.memory_percent, both.memory_max_bytes) == (25, 20, 300)
    assert both.state_seconds == {"Ready": 14, "Draining": 6}
