"""The Traffic tab."""

from typing import Any

import pytest
from django.contrib.messages import get_messages

from endpoints import services
from endpoints.queries import current_traffic
from tests.endpoints.pages import PART, address, churn, text
from tests.factories import make_deployment, make_endpoint, signed_in


def shares(blue, green, *, seen=2, **more):
    return {"percent-blue": blue, "percent-green": green, "seen_number": seen, "mirror_target": "", **more}


def said(response):
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_the_sliders_stand_where_the_traffic_is(cast):
    response = signed_in(cast.dana).get(address("traffic", churn(cast)))
    assert [(row["name"], row["value"]) for row in response.context["rows"]] == [("blue", 90), ("green", 10)]
    page = text(response)
    assert page.count('type="range"') == 2
    assert "Confirmed by the gateway" in page


def test_a_deployment_that_came_after_the_last_change_stands_at_zero(cast):
    endpoint = churn(cast)
    make_deployment(endpoint, "third")
    response = signed_in(cast.dana).get(address("traffic", endpoint))
    assert response.context["form"]["percent-third"].value() == 0


def test_a_review_shows_the_change_as_a_sentence_and_changes_nothing(cast):
    endpoint = churn(cast)
    response = signed_in(cast.dana).post(address("traffic", endpoint), shares(70, 30))
    assert "blue 90 % to 70 %, green 10 % to 30 %" in text(response)
    assert current_traffic(endpoint).number == 2


def test_applying_brings_the_change_into_force_with_its_reason(cast):
    endpoint = churn(cast)
    given = shares(70, 30, apply="1", reason="green looks good")
    response: Any = signed_in(cast.dana).post(address("traffic", endpoint), given)
    assert response.url == address("traffic", endpoint)
    newest = current_traffic(endpoint)
    assert (newest.number, newest.percents) == (3, {"blue": 70, "green": 30})
    assert (newest.reason, newest.by) == ("green looks good", cast.dana)
    assert "Waiting for the gateway" in text(signed_in(cast.dana).get(address("traffic", endpoint)))


def test_what_is_in_force_is_a_part_that_is_polled_until_the_gateway_has_it(cast):
    endpoint = churn(cast)
    client = signed_in(cast.bob)
    settled = text(client.get(address("traffic", endpoint), headers=PART))
    assert settled.strip().startswith("<section")
    assert "hx-trigger" not in settled
    services.set_traffic(endpoint=endpoint, percents={"green": 100}, by=cast.alice)
    waiting = text(client.get(address("traffic", endpoint), headers=PART))
    assert 'hx-trigger="every 1s"' in waiting
    assert "Waiting for the gateway" in waiting


def test_a_sum_other_than_a_hundred_is_refused_and_the_numbers_stay(cast):
    endpoint = churn(cast)
    response = signed_in(cast.dana).post(address("traffic", endpoint), shares(70, 20, apply="1"))
    assert response.status_code == 400
    assert "sum to 90" in response.context["form"].non_field_errors()[0]
    assert [row["value"] for row in response.context["rows"]] == [70, 20]
    assert current_traffic(endpoint).number == 2


@pytest.mark.parametrize("value", ["-1", "101", "abc", "1.5", "9" * 400])
def test_what_is_no_share_is_refused_at_its_row(cast, value):
    response = signed_in(cast.dana).post(address("traffic", churn(cast)), shares(value, 10))
    assert response.status_code == 422
    assert "percent-blue" in response.context["form"].errors


def test_all_traffic_can_be_stopped(cast):
    endpoint = churn(cast)
    signed_in(cast.dana).post(address("traffic", endpoint), shares(0, 0, apply="1"))
    assert sum(current_traffic(endpoint).percents.values()) == 0


def test_a_deployment_without_a_ready_instance_cannot_get_traffic_and_says_why(cast):
    endpoint = churn(cast)
    make_deployment(endpoint, "slow", instances=0)
    client = signed_in(cast.dana)
    assert "has no ready instance" in text(client.get(address("traffic", endpoint)))
    client.post(address("traffic", endpoint), shares(50, 10, **{"percent-slow": 40, "apply": "1"}))
    assert current_traffic(endpoint).number == 2


def test_two_tabs_conflict_politely_and_nothing_is_lost(cast):
    endpoint = churn(cast)
    services.set_traffic(endpoint=endpoint, percents={"blue": 50, "green": 50}, by=cast.alice)
    client = signed_in(cast.dana)
    response = client.post(address("traffic", endpoint), shares(70, 30, apply="1"))
    assert response.status_code == 409
    assert "changed by somebody else" in response.context["form"].non_field_errors()[0]
    assert [row["value"] for row in response.context["rows"]] == [70, 30]
    assert response.context["form"]["seen_number"].value() == "3"
    again = client.post(address("traffic", endpoint), shares(70, 30, seen=3, apply="1"))
    assert again.status_code == 302
    assert current_traffic(endpoint).percents == {"blue": 70, "green": 30}


def test_requests_can_be_mirrored_to_a_deployment_without_traffic(cast):
    endpoint = churn(cast)
    client = signed_in(cast.dana)
    mirrored = shares(100, 0, mirror_target="green", mirror_percent=20)
    assert "green 0 % to 20 %" in text(client.post(address("traffic", endpoint), mirrored))
    client.post(address("traffic", endpoint), mirrored | {"apply": "1"})
    assert current_traffic(endpoint).mirror == {"green": 20}
    assert "20 % of them are also copied to green" in text(client.get(address("traffic", endpoint)))


@pytest.mark.parametrize(
    ("given", "field", "status"),
    [
        ({"mirror_percent": 51}, "mirror_percent", 422),
        ({"mirror_percent": ""}, "mirror_percent", 422),
        ({"mirror_percent": 20}, "mirror_target", 400),
        ({"mirror_target": "nobody", "mirror_percent": 20}, "mirror_target", 422),
    ],
)
def test_mirroring_against_the_rules_is_refused_at_its_field(cast, given, field, status):
    response = signed_in(cast.dana).post(address("traffic", churn(cast)), shares(90, 10, mirror_target="green") | given)
    assert response.status_code == status
    assert field in response.context["form"].errors


def test_undo_brings_the_allocation_before_back(cast):
    endpoint = churn(cast)
    services.set_traffic(endpoint=endpoint, percents={"green": 100}, by=cast.alice)
    response = signed_in(cast.dana).post(address("undo", endpoint))
    assert current_traffic(endpoint).percents == {"blue": 90, "green": 10}
    assert current_traffic(endpoint).undo_of == 3
    assert said(response)[0].startswith("Version 4:")


def test_any_version_can_be_brought_back(cast):
    endpoint = churn(cast)
    for percents in ({"green": 100}, {"blue": 100}):
        services.set_traffic(endpoint=endpoint, percents=percents, by=cast.alice)
    page = text(signed_in(cast.dana).get(address("traffic", endpoint)))
    assert "Back to v3" in page
    signed_in(cast.dana).post(address("undo", endpoint), {"number": 3})
    assert current_traffic(endpoint).percents == {"blue": 0, "green": 100}


@pytest.mark.parametrize("number", ["99", "2", "x", "9" * 30])
def test_going_back_to_nowhere_is_explained(cast, number):
    endpoint = churn(cast)
    services.set_traffic(endpoint=endpoint, percents={"green": 100}, by=cast.alice)
    services.undo_traffic(endpoint=endpoint, by=cast.alice, to_number=2)
    endpoint.deployments.get(name="blue").instances.update(state="Failed")
    response = signed_in(cast.dana).post(address("undo", endpoint), {"number": number})
    assert response.status_code == 302
    assert said(response)


def test_an_endpoint_without_deployments_shows_the_way_on(cast):
    page = text(signed_in(cast.dana).get(address("traffic", make_endpoint(cast.workspace, "empty"))))
    assert "Nothing to split yet" in page
