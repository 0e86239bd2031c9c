"""Shares from counters."""

from __future__ import annotations

from gateway.measured import Share, increase, shares

BEFORE = {("churn", "blue", 200): 90, ("churn", "green", 200): 10, ("churn", "blue", 401): 5}


def test_shares_leave_out_what_no_deployment_had_a_part_in() -> None:
    assert shares(BEFORE, "churn") == {"blue": Share(90, 90.0), "green": Share(10, 10.0)}


def test_model_errors_and_refusals_count_as_the_deployments_requests() -> None:
    counts = {
        ("churn", "blue", 200): 1,
        ("churn", "green", 424): 2,
        ("churn", "green", 429): 1,
        ("other", "blue", 200): 9,
    }
    assert shares(counts, "churn") == {"blue": Share(1, 25.0), "green": Share(3, 75.0)}


def test_no_requests_are_no_shares() -> None:
    assert shares({}, "churn") == {}
    assert shares({("churn", "blue", 200): 0}, "churn") == {}


def test_an_increase_is_what_came_since() -> None:
    now = {**BEFORE, ("churn", "blue", 200): 100, ("churn", "blue", 500): 1}
    assert increase(BEFORE, now) == {
        ("churn", "blue", 200): 10,
        ("churn", "green", 200): 0,
        ("churn", "blue", 401): 0,
        ("churn", "blue", 500): 1,
    }


def test_a_restarted_envoy_makes_no_negative_increase() -> None:
    now = {("churn", "blue", 200): 3, ("churn", "green", 200): 20}
    assert increase(BEFORE, now) == now
