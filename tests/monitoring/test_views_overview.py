"""All endpoints at a glance."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from endpoints.models import Endpoint
from monitoring.ingest import ingest_traffic
from monitoring.scrape import GatewayReading
from monitoring.sparklines import sparkline
from tests.factories import make_deployment, make_endpoint, signed_in


@pytest.fixture
def two(cast):
    for name in ("busy", "broken"):
        make_deployment(make_endpoint(cast.workspace, name))
    Endpoint.objects.update(created_at=timezone.now() - timedelta(days=2))
    now = timezone.now()
    counters = {
        "busy/blue/status/200": 5000,
        "busy/blue/latency/2000": 5000,
        "broken/blue/status/424": 30,
        "broken/blue/status/401": 900,
        "broken/blue/latency/700000": 30,
    }
    ingest_traffic(GatewayReading(now, "1:1", now - timedelta(seconds=20), counters))


def names(user, **query):
    page = signed_in(user).get(reverse("monitoring:overview", args=["risk"], query=query)).content.decode()
    return re.findall(r"endpoints/(\w+)/metrics/", page), page


@pytest.mark.parametrize(
    ("order", "first"), [("", "busy"), ("requests", "busy"), ("errors", "broken"), ("p95", "broken"), ("x", "busy")]
)
def test_the_first_is_the_one_that_was_asked_for(cast, two, order, first):
    assert names(cast.bob, order=order)[0][0] == first


def test_each_has_its_figures_and_its_curve(cast, two):
    page = names(cast.bob)[1]
    assert "5,000 requests in 24 hours, by the hour" in page
    assert '30 <span class="muted">100.0 %</span>' in page
    assert "705 ms" in page


def test_a_workspace_without_endpoints_says_so(cast):
    assert "Nothing to measure yet" in names(cast.bob)[1]


def test_a_curve_has_gaps_where_nothing_was_measured():
    drawn = sparkline([0, 10, None, 5], "four hours")
    assert ' d="M2.0 22.0h0L32.7 2.0M94.0 12.0h0"' in drawn
    assert "four &lt;hours&gt;" in sparkline([], "four <hours>")
