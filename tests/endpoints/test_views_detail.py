"""An endpoint's overview, settings and deletion."""

from typing import Any

import pytest
from django.urls import reverse

from endpoints.models import Endpoint
from tests.endpoints.pages import PART, address, churn, text
from tests.factories import make_endpoint, signed_in
from workspaces.models import Activity, Operation

POLLS = 'hx-trigger="every 2s"'


def test_the_overview_says_in_words_who_answers(cast):
    endpoint = churn(cast)
    page = text(signed_in(cast.bob).get(address("detail", endpoint)))
    assert "blue answers 90 % of the requests, green 10 %." in page
    assert "https://localhost:8443/endpoints/churn/score" in page
    assert reverse("deployments:list", args=["risk", "churn"]) in page


def test_the_activity_is_a_part_of_its_own_and_shows_before_and_after(cast):
    endpoint = churn(cast)
    part = text(signed_in(cast.bob).get(address("detail", endpoint), headers=PART))
    assert part.strip().startswith("<section")
    assert "Traffic changed" in part
    assert "canary" in part


def test_a_settled_endpoint_is_not_polled(cast):
    endpoint = churn(cast)
    client = signed_in(cast.bob)
    assert POLLS not in text(client.get(address("state", endpoint), headers=PART))
    assert POLLS not in text(client.get(address("detail", endpoint)))


@pytest.mark.parametrize("change", [{"state": "Creating"}, {"routed_version": 1}])
def test_an_unsettled_endpoint_is_polled(cast, change):
    endpoint = churn(cast)
    Endpoint.objects.filter(pk=endpoint.pk).update(**change)
    client = signed_in(cast.bob)
    assert POLLS in text(client.get(address("state", endpoint), headers=PART))
    assert POLLS in text(client.get(address("detail", endpoint), headers=PART))


def test_the_state_without_htmx_leads_to_the_page(cast):
    endpoint = churn(cast)
    response: Any = signed_in(cast.bob).get(address("state", endpoint))
    assert response.url == address("detail", endpoint)


def test_a_part_of_an_endpoint_that_is_gone_leads_to_the_list(cast):
    gone = reverse("endpoints:state", args=["risk", "gone"])
    assert signed_in(cast.bob).get(gone, headers=PART)["HX-Redirect"] == reverse("endpoints:list", args=["risk"])
    assert signed_in(cast.bob).get(gone).status_code == 404
    assert signed_in(cast.charlie).get(gone, headers=PART).status_code == 404


def test_a_deployment_with_traffic_and_no_ready_instance_is_named(cast):
    endpoint = churn(cast)
    endpoint.deployments.get(name="green").instances.update(state="Unready")
    page = text(signed_in(cast.bob).get(address("detail", endpoint)))
    assert "green has no ready instance: its 10 % of the requests get 503." in page


def test_a_reader_sees_no_buttons(cast):
    endpoint = churn(cast)
    client = signed_in(cast.bob)
    for name in ("detail", "traffic", "test", "consume", "settings"):
        page = text(client.get(address(name, endpoint)))
        main = page[page.index("<main") :]
        for verb in (
            "Add deployment",
            "Review change",
            "Send request",
            "Regenerate",
            "Delete endpoint",
            "Undo",
            "Save",
        ):
            assert verb not in main


def test_settings_change_only_what_was_changed(cast):
    endpoint = churn(cast, description="before", tags={"team": "risk"})
    given = {"description": "after", "tags": "team=risk", "auth_mode": "key", "rate_limit_per_second": "50"}
    assert signed_in(cast.dana).post(address("settings", endpoint), given).status_code == 302
    endpoint.refresh_from_db()
    assert (endpoint.description, endpoint.rate_limit_per_second) == ("after", 50)
    activity = Activity.objects.filter(verb="endpoint updated").get()
    assert set(activity.after) == {"description", "rate_limit_per_second"}


def test_emptying_the_rate_limit_takes_it_away(cast):
    endpoint = churn(cast, rate_limit_per_second=5)
    signed_in(cast.dana).post(address("settings", endpoint), {"auth_mode": "key", "rate_limit_per_second": ""})
    endpoint.refresh_from_db()
    assert endpoint.rate_limit_per_second is None


def test_nonsense_in_settings_is_refused_at_the_field(cast):
    endpoint = churn(cast)
    given = {"description": "typed", "tags": "=x", "auth_mode": "telepathy", "rate_limit_per_second": "-3"}
    response = signed_in(cast.dana).post(address("settings", endpoint), given)
    assert response.status_code == 422
    assert set(response.context["form"].errors) == {"tags", "auth_mode", "rate_limit_per_second"}
    assert "typed" in text(response)


def test_deleting_asks_for_the_name(cast):
    endpoint = churn(cast)
    response = signed_in(cast.alice).post(address("delete", endpoint), {"confirm": "chum"})
    assert response.status_code == 422
    assert "not the name" in response.context["delete_form"].errors["confirm"][0]
    endpoint.refresh_from_db()
    assert endpoint.state == "Succeeded"


def test_deleting_starts_and_a_second_time_says_that_it_runs(cast):
    endpoint = churn(cast)
    client = signed_in(cast.alice)
    assert client.post(address("delete", endpoint), {"confirm": "churn"}).status_code == 302
    endpoint.refresh_from_db()
    assert endpoint.state == "Deleting"
    assert Operation.objects.filter(kind="DeleteEndpoint", state="InProgress").count() == 1
    again = client.post(address("delete", endpoint), {"confirm": "churn"})
    assert again.status_code == 409
    assert "Being deleted" in text(client.get(address("detail", endpoint)))


def test_a_data_scientist_may_not_delete(cast):
    endpoint = churn(cast)
    assert signed_in(cast.dana).post(address("delete", endpoint), {"confirm": "churn"}).status_code == 403


VERBS = ["traffic", "undo", "test", "reveal-keys", "fetch-token", "regenerate-key", "settings", "delete"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_reader_is_refused_every_verb_and_a_stranger_learns_nothing(cast, verb):
    endpoint = churn(cast)
    assert signed_in(cast.bob).post(address(verb, endpoint)).status_code == 403
    assert signed_in(cast.charlie).post(address(verb, endpoint)).status_code == 404


@pytest.mark.parametrize("name", ["detail", "state", "traffic", "test", "consume", "certificate", "settings"])
def test_a_stranger_sees_no_page(cast, name):
    assert signed_in(cast.charlie).get(address(name, churn(cast))).status_code == 404


@pytest.mark.parametrize("verb", ["undo", "reveal-keys", "fetch-token", "regenerate-key", "delete"])
def test_verbs_take_post_only(cast, verb):
    assert signed_in(cast.alice).get(address(verb, churn(cast))).status_code == 405


def test_an_endpoint_of_another_workspace_is_not_found(cast):
    elsewhere = make_endpoint(cast.workspace, "mine")
    url = address("detail", elsewhere).replace("/risk/", "/elsewhere/")
    assert signed_in(cast.charlie).get(url).status_code == 404


def test_text_of_users_is_escaped(cast):
    endpoint = churn(cast, description="<script>alert(1)</script>", tags={"<b>": "<i>"})
    for name in ("detail", "settings"):
        page = text(signed_in(cast.alice).get(address(name, endpoint)))
        assert "<script>alert" not in page
        assert "<b>" not in page
