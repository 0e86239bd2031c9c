"""Readings become buckets: once, whole, and in the minute they belong to."""

import pytest

from monitoring import ingest
from monitoring.ingest import ingest_instances, ingest_traffic, tally_of
from monitoring.models import Grain, InstanceBucket, ScrapeState, TrafficBucket
from monitoring.rollup import Tally, total
from tests.factories import make_deployment, make_endpoint
from tests.monitoring.readings import at, gateway, instance

OK = "churn/blue/status/200"


@pytest.fixture
def churn(cast):
    endpoint = make_endpoint(cast.workspace, "churn", percents={"blue": 100})
    make_deployment(endpoint, "blue")
    return endpoint


def buckets(grain=Grain.MINUTE, deployment="blue"):
    rows = TrafficBucket.objects.filter(grain=grain, measured__deployment_name=deployment).order_by("at")
    return {row.at: tally_of(row.measured_seconds, row.statuses, row.latencies, row.others) for row in rows}


def counted(grain=Grain.MINUTE, deployment="blue"):
    rows = TrafficBucket.objects.filter(grain=grain, measured__deployment_name=deployment)
    return total(tally_of(row.measured_seconds, row.statuses, row.latencies, row.others) for row in rows)


def test_counts_go_into_their_minute_hour_and_day(churn):
    ingest_traffic(gateway(10, {OK: 5, "churn/blue/latency/1100": 5}))
    ingest_traffic(gateway(20, {OK: 12, "churn/blue/status/424": 1, "churn/blue/latency/1100": 13}))
    for grain in Grain.values:
        tally = counted(grain)
        assert tally.statuses == {200: 12, 424: 1}
        assert tally.latencies == {1100: 13}
        assert tally.measured_seconds == pytest.approx(20)


def test_a_reading_that_straddles_two_minutes_is_shared_between_them(churn):
    ingest_traffic(gateway(55, {OK: 1}))
    ingest_traffic(gateway(65, {OK: 11}))
    assert {moment: tally.requests for moment, tally in buckets().items()} == {at(0): 6, at(60): 5}


def test_the_second_of_two_who_read_at_once_loses_quietly_and_nothing_is_lost(churn, monkeypatch):
    ingest_traffic(gateway(10, {OK: 5}))
    stale = ScrapeState.objects.get(source="gateway")
    ingest_traffic(gateway(20, {OK: 9}))
    monkeypatch.setattr(ingest, "_state", lambda source: stale)
    assert not ingest_traffic(gateway(20, {OK: 9}))
    monkeypatch.undo()
    assert ingest_traffic(gateway(30, {OK: 10}))
    assert counted().statuses == {200: 10}


def test_a_process_killed_before_the_end_leaves_neither_counts_nor_the_counters_seen(churn, monkeypatch):
    ingest_traffic(gateway(10, {OK: 5}))

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ingest, "_add_traffic", killed)
    with pytest.raises(KeyboardInterrupt):
        ingest_traffic(gateway(20, {OK: 9}))
    monkeypatch.undo()
    ingest_traffic(gateway(30, {OK: 10}))
    assert counted().statuses == {200: 10}
    assert counted().measured_seconds == pytest.approx(30)


def test_an_envoy_that_was_restarted_counts_from_nothing(churn):
    ingest_traffic(gateway(10, {OK: 100}))
    ingest_traffic(gateway(20, {OK: 150}, identity="2:1", started=15))
    tally = counted()
    assert tally.statuses == {200: 250}
    assert tally.measured_seconds == pytest.approx(15)


def test_what_came_in_a_pause_is_counted_evenly_but_not_measured(churn):
    ingest_traffic(gateway(10, {OK: 10}))
    ingest_traffic(gateway(610, {OK: 610}))
    minutes = buckets()
    assert counted().requests == 610
    assert counted().measured_seconds == pytest.approx(10)
    assert max(tally.requests for tally in minutes.values()) <= 70
    assert minutes[at(300)] == Tally(0.0, {200: 60})


def test_a_gateway_met_late_is_counted_from_now_on(churn):
    ingest_traffic(gateway(1000, {OK: 500}, started=0))
    ingest_traffic(gateway(1010, {OK: 501}, started=0))
    assert counted().statuses == {200: 1}


def test_what_no_deployment_answered_and_what_is_gone_is_kept_by_name(churn):
    ingest_traffic(gateway(10, {"-/-/status/404": 2, "churn/-/status/404": 3, "old/red/status/200": 4}))
    assert counted(deployment="-").statuses == {404: 5}
    assert counted(deployment="red").statuses == {200: 4}


def test_an_idle_deployment_is_measured_too(churn):
    ingest_traffic(gateway(10, {}))
    assert counted() == Tally(measured_seconds=10.0)


def test_an_instances_use_is_what_came_on_top_and_a_missed_reading_makes_no_spike(churn):
    ingest_instances([instance(10, 1.0)], at(10))
    ingest_instances([instance(20, None)], at(20))
    ingest_instances([instance(30, 2.0, soft_errors=3)], at(30))
    row = InstanceBucket.objects.get(grain=Grain.MINUTE)
    assert row.cpu_seconds == pytest.approx(2.0)
    assert row.cpu_limit_seconds == pytest.approx(30)
    assert (row.soft_errors, row.samples, row.memory_max_bytes) == (3, 2, 256_000_000)
    assert row.state_seconds == {"Ready": pytest.approx(30)}


def test_an_instance_that_was_restarted_counts_from_nothing(churn):
    ingest_instances([instance(10, 5.0, soft_errors=8)], at(10))
    ingest_instances([instance(20, 0.5, soft_errors=2)], at(20))
    row = InstanceBucket.objects.get(grain=Grain.MINUTE)
    assert (row.cpu_seconds, row.soft_errors) == (pytest.approx(5.5), 10)


def test_an_instance_that_does_not_tell_its_soft_errors_doubles_none(churn):
    ingest_instances([instance(10, 1.0, soft_errors=4)], at(10))
    ingest_instances([instance(20, 1.1, soft_errors=None)], at(20))
    ingest_instances([instance(30, 1.2, soft_errors=5)], at(30))
    assert InstanceBucket.objects.get(grain=Grain.MINUTE).soft_errors == 5
