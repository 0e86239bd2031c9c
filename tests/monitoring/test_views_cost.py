"""Cost pages: the same money on the chart, in the table and in the file."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from deployments.models import Instance, InstanceType
from monitoring import services
from monitoring.models import InstanceTypePrice
from studio.lib.errors import BadRequest, Forbidden
from tests.factories import make_deployment, make_endpoint, make_instance_type, make_user, signed_in

START = datetime(2026, 2, 3, 12, tzinfo=UTC)
DAYS = {"from": "2026-02-01", "to": "2026-02-28"}


@pytest.fixture
def churn(cast):
    """Blue ran 30 hours, green 10, at 0.05 an hour: 2.00 in all."""
    endpoint = make_endpoint(cast.workspace, "churn")
    for name, hours in (("blue", 30), ("green", 10)):
        deployment = make_deployment(endpoint, name)
        end = START + timedelta(hours=hours)
        deployment.instances.update(
            created_at=START, started_at=START, ready_at=START, stopped_at=end, price_per_hour=Decimal("0.05")
        )
    return endpoint


@pytest.fixture
def administrator(db):
    return make_user("root", is_superuser=True)


def workspace_cost(user, **query):
    return signed_in(user).get(reverse("monitoring:cost", args=["risk"], query={**DAYS, **query}))


def test_chart_table_and_file_agree_to_the_last_digit(cast, churn):
    page = workspace_cost(cast.bob, by="deployment").content.decode()
    assert "1 Feb 2026 to 28 Feb 2026 (UTC): 2.00 USD; most of it churn / blue (75 %)." in page
    rows = list(csv.DictReader(io.StringIO(workspace_cost(cast.bob, format="csv").content.decode())))
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal("2.00")
    drawn = workspace_cost(cast.bob, by="deployment", format="json").json()["charts"]["cost"]["data"]
    assert {line["name"]: round(sum(line["y"]), 9) for line in drawn} == {"churn / blue": 1.5, "churn / green": 0.5}


@pytest.mark.parametrize("by", ["endpoint", "deployment", "type", "kind", "nonsense"])
def test_money_can_be_added_up_by(cast, churn, by):
    assert ">2.00" in workspace_cost(cast.bob, by=by).content.decode()


def test_an_endpoints_cost_is_its_own(cast, churn):
    other = make_deployment(make_endpoint(cast.workspace, "other"))
    other.instances.update(
        created_at=START, started_at=START, stopped_at=START + timedelta(hours=100), price_per_hour=1
    )
    url = reverse("monitoring:endpoint-cost", args=["risk", "churn"], query=DAYS)
    assert ": 2.00 USD" in signed_in(cast.bob).get(url).content.decode()
    assert ": 102.00 USD" in workspace_cost(cast.bob).content.decode()


def test_what_an_endpoint_cost_is_still_known_when_it_is_gone(cast, churn):
    Instance.objects.update(deployment=None, revision=None)
    assert ": 2.00 USD" in workspace_cost(cast.bob).content.decode()


def test_nothing_spent_is_a_page_too(cast):
    for key in ("today", "7d", "month"):
        answer = signed_in(cast.bob).get(reverse("monitoring:cost", args=["risk"], query={"range": key}))
        assert "No instance ran in this time." in answer.content.decode()


def test_a_day_that_is_none_is_the_askers_fault(cast):
    answer = signed_in(cast.bob).get(reverse("monitoring:cost", args=["risk"], query={"from": "yesterday"}))
    assert answer.status_code == 400


def test_a_new_price_holds_from_now_on_and_the_past_keeps_its_own(cast, churn, administrator):
    began = timezone.now() - timedelta(hours=2)
    Instance.objects.filter(deployment_name="blue").update(created_at=began, started_at=began, stopped_at=None)
    kind = InstanceType.objects.get(name="Local_Test")
    assert services.set_price(instance_type=kind, price_per_hour=Decimal("3"), by=administrator)
    kind.refresh_from_db()
    assert kind.price_per_hour == 3
    page = signed_in(cast.bob).get(reverse("monitoring:cost", args=["risk"], query={"range": "7d"})).content.decode()
    assert "The last 7 days: 0.10 USD" in page
    assert "3.00 <span" in page
    assert ": 2.00 USD" not in page


def test_the_same_price_again_is_no_change(cast, churn, administrator):
    kind = make_instance_type()
    assert services.set_price(instance_type=kind, price_per_hour=Decimal("0.05"), by=administrator) is None
    assert not InstanceTypePrice.objects.exists()


def test_only_an_administrator_sets_prices_and_only_possible_ones(cast, administrator):
    kind = make_instance_type()
    with pytest.raises(Forbidden):
        services.set_price(instance_type=kind, price_per_hour=Decimal(1), by=cast.alice)
    for impossible in ("-1", "100000", "NaN"):
        with pytest.raises(BadRequest):
            services.set_price(instance_type=kind, price_per_hour=Decimal(impossible), by=administrator)


def test_the_prices_page_shows_everybody_and_lets_an_administrator_change(cast, administrator):
    make_instance_type()
    url = reverse("monitoring:prices", args=["risk"])
    assert "Local_Test" in signed_in(cast.bob).get(url).content.decode()
    assert signed_in(cast.alice).post(url, {"instance_type": "Local_Test", "price_per_hour": "1"}).status_code == 403
    browser = signed_in(administrator)
    assert browser.post(url, {"instance_type": "Local_Test", "price_per_hour": "-1"}).status_code == 422
    assert browser.post(url, {"instance_type": "Local_Test", "price_per_hour": "1.25"}).status_code == 302
    page = browser.get(url).content.decode()
    assert 'value="1.25"' in page
    assert "1.25 since" in page
    assert "by root" in page
