"""Green against blue: nothing is said too early, and what is said is seldom wrong."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.rollup import Tally
from monitoring.verdict import ENOUGH_REQUESTS, bounds, compare


def tally(requests, failed=0, *, latency_us=20_000, slow=0, slow_us=90_000):
    return Tally(
        statuses={200: requests - failed, 424: failed},
        latencies={latency_us: requests - slow, slow_us: slow},
    )


@given(st.integers(0, 300), st.integers(0, 300))
def test_bounds_hold_what_was_seen_and_are_shares(count, more):
    low, high = bounds(count, count + more)
    assert 0 <= low <= high <= 1
    if count + more:
        assert low <= count / (count + more) <= high


def test_bounds_narrow_with_more_requests_and_say_nothing_without():
    assert bounds(0, 0) == (0.0, 1.0)
    assert bounds(0, 100)[1] < bounds(0, 10)[1]
    assert bounds(100, 1000)[0] > bounds(10, 100)[0]


def test_looking_after_every_request_is_seldom_wrong():
    """The true share lay outside at any of 600 looks in at most as many of the runs as promised."""
    wrong, runs, probability, share = 0, 300, 0.05, 0.1
    draw = random.Random(3)
    for _ in range(runs):
        count = 0
        for of in range(1, 601):
            count += draw.random() < share
            if of % 10 == 0:
                low, high = bounds(count, of, probability)
                if not low <= share <= high:
                    wrong += 1
                    break
    assert wrong / runs <= probability


def test_nothing_is_said_before_there_are_enough_requests():
    found = compare(tally(5000), tally(41, 41), of="green", with_="blue")
    assert found.kind == "waiting"
    assert found.sentence == f"Not enough requests yet to compare green with blue: green 41 of {ENOUGH_REQUESTS}."


@pytest.mark.parametrize(
    ("candidate", "kind", "words"),
    [
        (tally(1000, 100), "worse", "green fails more often than blue: errors 10.0 % against 1.0 %"),
        (tally(1000, 10, slow=200), "worse", "green is slower than blue"),
        (tally(1000, 12), "fine", "Nothing speaks against green so far"),
        (tally(20_000, 1), "better", "green fails less often than blue"),
    ],
)
def test_what_is_said_in_the_end(candidate, kind, words):
    found = compare(tally(5000, 50), candidate, of="green", with_="blue")
    assert found.kind == kind
    assert words in found.sentence


def test_what_callers_did_wrong_does_not_count():
    candidate = Tally(statuses={200: 1000, 401: 500, 404: 70}, latencies={20_000: 1570})
    assert compare(tally(1000), candidate, of="green", with_="blue").kind == "fine"
