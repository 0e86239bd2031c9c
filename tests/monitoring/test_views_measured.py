"""Wanted and measured, side by side."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from endpoints.models import Endpoint, TrafficVersion
from monitoring.ingest import ingest_traffic
from monitoring.scrape import GatewayReading
from tests.factories import make_deployment, make_endpoint, signed_in

PART = {"HX-Request": "true"}


@pytest.fixture
def churn(cast):
    endpoint = make_endpoint(cast.workspace, "churn", percents={"blue": 90, "green": 10})
    for name in ("blue", "green"):
        make_deployment(endpoint, name)
    old = timezone.now() - timedelta(minutes=20)
    TrafficVersion.objects.update(at=old)
    Endpoint.objects.update(created_at=old, routed_at=old)
    endpoint.refresh_from_db()
    return endpoint


def ingest(blue, green):
    now = timezone.now()
    start = now - timedelta(seconds=40)
    ingest_traffic(GatewayReading(now - timedelta(seconds=30), "1:1", start, {}))
    counters = {"churn/blue/status/200": blue, "churn/blue/status/401": 900, "churn/green/status/200": green}
    ingest_traffic(GatewayReading(now, "1:1", start, counters))


def part(user):
    return signed_in(user).get(reverse("monitoring:measured", args=["risk", "churn"]), headers=PART).content.decode()


def test_the_measured_share_stands_beside_the_wanted_one(cast, churn):
    ingest(452, 48)
    text = part(cast.bob)
    assert "90.4 %" in text
    assert "9.6 %" in text
    assert "differs" not in text
    assert "Not enough requests yet to compare green with blue: green 48 of 200." in text


def test_a_share_that_chance_does_not_explain_is_pointed_out(cast, churn):
    ingest(300, 200)
    assert part(cast.bob).count("differs") == 2


def test_right_after_a_change_nothing_is_claimed(cast, churn):
    ingest(450, 50)
    TrafficVersion.objects.update(at=timezone.now())
    text = part(cast.bob)
    assert "Measuring begins with the next full minute." in text
    assert "90.0 %" not in text


def test_asked_for_by_itself_it_leads_to_the_traffic_tab(cast, churn):
    answer = signed_in(cast.bob).get(reverse("monitoring:measured", args=["risk", "churn"]))
    assert answer.headers["Location"] == reverse("endpoints:traffic", args=["risk", "churn"])


def test_the_traffic_tab_asks_for_it(cast, churn):
    page = signed_in(cast.bob).get(reverse("endpoints:traffic", args=["risk", "churn"])).content.decode()
    assert reverse("monitoring:measured", args=["risk", "churn"]) in page
