"""The Metrics tab: charts, tables and files from the same figures."""

import csv
import io
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from deployments.models import Deployment
from endpoints import services
from endpoints.models import Endpoint
from monitoring.ingest import ingest_traffic
from monitoring.scrape import GatewayReading
from tests.factories import make_deployment, make_endpoint, signed_in

COUNTERS = {
    "churn/blue/status/200": 90,
    "churn/blue/latency/2000": 90,
    "churn/green/status/200": 8,
    "churn/green/status/424": 2,
    "churn/green/latency/8000": 10,
}


@pytest.fixture
def churn(cast):
    endpoint = make_endpoint(cast.workspace, "churn", percents={"blue": 100})
    for name in ("blue", "green"):
        make_deployment(endpoint, name)
    old = timezone.now() - timedelta(hours=3)
    Endpoint.objects.update(created_at=old)
    Deployment.objects.filter(name="blue").update(created_at=old)
    now = timezone.now()
    ingest_traffic(GatewayReading(now - timedelta(seconds=30), "1:1", now - timedelta(seconds=40), {}))
    ingest_traffic(GatewayReading(now, "1:1", now - timedelta(seconds=40), COUNTERS))
    return endpoint


def address(name, **query):
    return reverse(f"monitoring:{name}", args=["risk", "churn"], query=query)


def test_the_page_says_in_words_what_the_charts_show(cast, churn):
    text = signed_in(cast.bob).get(address("metrics")).content.decode()
    assert "100 requests in the last hour: blue 90 (90.0 %), green 10 (10.0 %)." in text
    assert "2 errors in the last hour: blue 0 of 90 (0.00 %); green 2 of 10 (20.00 %)." in text
    assert "blue P50 2.0 ms" in text
    assert 'aria-current="true">1 h</a>' in text


def test_figures_tables_and_files_show_the_same(cast, churn):
    browser = signed_in(cast.bob)
    chart = browser.get(address("metrics-data", range="15m")).json()["charts"]["requests"]
    drawn = {line["name"]: line["y"] for line in chart["data"] if line["type"] == "bar"}
    rows = list(csv.DictReader(io.StringIO(browser.get(address("metrics-export", range="15m")).content.decode())))
    for name in ("blue", "green"):
        assert [float(row[name]) if row[name] else None for row in rows] == pytest.approx(drawn[name])
    shown = [row for row in rows if row["blue"]]
    assert len(chart["table"]) == len(shown)


def test_a_time_in_which_nothing_was_measured_is_a_gap(cast, churn):
    chart = signed_in(cast.bob).get(address("metrics-data", range="1h")).json()["charts"]["requests"]
    assert chart["data"][0]["y"][0] is None
    assert chart["data"][0]["y"][-1] is not None or chart["data"][0]["y"][-2] is not None


def test_changes_of_traffic_are_marked_at_their_second_with_who_did_it(cast, churn):
    version = services.set_traffic(endpoint=churn, percents={"blue": 90, "green": 10}, by=cast.alice, reason="canary")
    chart = signed_in(cast.bob).get(address("metrics-data")).json()["charts"]["latency"]
    marks = next(line for line in chart["data"] if line["name"] == "Events")
    assert f"{version.at:%Y-%m-%dT%H:%M:%S}" in marks["x"]
    assert any("canary" in text and "alice" in text and "green 10 %" in text for text in marks["text"])


def test_an_endpoint_made_anew_under_an_old_name_begins_with_nothing(cast, churn):
    Endpoint.objects.update(created_at=timezone.now() + timedelta(minutes=5))
    text = signed_in(cast.bob).get(address("metrics")).content.decode()
    assert "No request in the last hour." in text


@pytest.mark.parametrize("query", [{"from": "soon"}, {"from": "2026-01-02T00:00", "to": "2026-01-01T00:00"}])
def test_a_time_that_is_none_is_the_askers_fault(cast, churn, query):
    assert signed_in(cast.bob).get(address("metrics", **query)).status_code == 400


def test_a_chart_that_does_not_exist_is_not_found(cast, churn):
    assert signed_in(cast.bob).get(address("metrics-export", chart="nonsense")).status_code == 404


def test_a_stranger_sees_nothing(cast, churn):
    for name in ("metrics", "metrics-data", "metrics-export"):
        assert signed_in(cast.charlie).get(address(name)).status_code == 404


def test_an_endpoint_without_any_figures_has_a_page_too(cast):
    make_endpoint(cast.workspace, "churn")
    text = signed_in(cast.bob).get(address("metrics")).content.decode()
    assert "Nothing was measured in this time." in text
