"""The list of endpoints, and making one."""

from typing import Any

import pytest
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from endpoints.models import Endpoint
from tests.endpoints.pages import PART, churn, text
from tests.factories import make_endpoint, signed_in


@pytest.fixture
def list_url(cast):
    return reverse("endpoints:list", args=[cast.workspace.name])


@pytest.fixture
def create_url(cast):
    return reverse("endpoints:create", args=[cast.workspace.name])


def test_an_empty_workspace_shows_the_way_on(cast, list_url, create_url):
    page = text(signed_in(cast.alice).get(list_url))
    assert "No endpoint yet" in page
    assert create_url in page


def test_a_reader_of_an_empty_workspace_is_told_who_can_create_one(cast, list_url, create_url):
    page = text(signed_in(cast.bob).get(list_url))
    assert "Your role lets you look" in page
    assert create_url not in page


def test_the_list_says_who_answers_and_how_many_instances_are_ready(cast, list_url):
    churn(cast)
    page = text(signed_in(cast.bob).get(list_url))
    assert 'aria-label="blue 90 %, green 10 %"' in page
    assert "3 of 3" in page


def test_htmx_gets_only_the_rows(cast, list_url):
    churn(cast)
    part = text(signed_in(cast.bob).get(list_url, headers=PART))
    assert part.strip().startswith("<section")
    assert "churn" in part


def test_the_search_looks_at_names_descriptions_and_tags(cast, list_url):
    make_endpoint(cast.workspace, "fraud", description="card payments")
    make_endpoint(cast.workspace, "prices", tags={"team": "market"})
    client = signed_in(cast.bob)
    for word, found in (("FRAU", "fraud"), ("card", "fraud"), ("market", "prices")):
        page = text(client.get(list_url, {"q": word}))
        assert found in page
        assert ({"fraud", "prices"} - {found}).pop() not in page
    assert "No endpoint matches" in text(client.get(list_url, {"q": "nothing like it"}))


def test_pages_go_on_after_the_last_name(cast, list_url, monkeypatch):
    monkeypatch.setattr("endpoints.views.lists.ENDPOINTS_PER_PAGE", 2)
    for name in ("one", "two", "three"):
        make_endpoint(cast.workspace, name)
    client = signed_in(cast.bob)
    first = client.get(list_url)
    assert first.context["next_after"] == "three"
    second = client.get(list_url, {"after": "three"})
    assert [row["endpoint"].name for row in second.context["rows"]] == ["two"]
    assert second.context["next_after"] == ""


def test_ten_endpoints_cost_as_many_queries_as_one(
    cast, list_url, django_assert_num_queries: DjangoAssertNumQueries, django_assert_max_num_queries
):
    churn(cast)
    client = signed_in(cast.bob)
    with django_assert_max_num_queries(12) as one:
        client.get(list_url)
    for number in range(9):
        make_endpoint(cast.workspace, f"more{number}")
    with django_assert_num_queries(len(one.captured_queries)):
        client.get(list_url)


def test_a_new_endpoint_leads_to_its_page(cast, create_url):
    given = {"name": "churn", "auth_mode": "aml_token", "description": "who leaves", "tags": "team=risk"}
    response: Any = signed_in(cast.dana).post(create_url, given)
    assert response.status_code == 302
    assert response.url == reverse("endpoints:detail", args=["risk", "churn"])
    endpoint = Endpoint.objects.get(name="churn")
    assert (endpoint.auth_mode, endpoint.tags, endpoint.created_by) == ("aml_token", {"team": "risk"}, cast.dana)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("", "required"),
        ("a", "at least 3 characters"),
        ("2fast", "Begin with a letter"),
        ("two--dashes", "single dashes"),
        ("x" * 33, "at most 32 characters"),
    ],
)
def test_a_bad_name_is_refused_at_its_field_and_what_was_typed_stays(cast, create_url, name, complaint):
    given = {"name": name, "auth_mode": "key", "description": "kept words", "tags": "team=risk"}
    response = signed_in(cast.dana).post(create_url, given)
    assert response.status_code == 422
    assert complaint in " ".join(response.context["form"].errors["name"])
    page = text(response)
    assert "kept words" in page
    assert "team=risk" in page


def test_a_taken_name_is_refused_at_its_field(cast, create_url):
    make_endpoint(cast.workspace, "churn")
    response = signed_in(cast.dana).post(create_url, {"name": "Churn", "auth_mode": "key", "description": "kept"})
    assert response.status_code == 409
    assert "is taken" in response.context["form"].errors["name"][0]
    assert "kept" in text(response)


def test_a_reader_cannot_create_and_a_stranger_sees_nothing(cast, list_url, create_url):
    given = {"name": "churn", "auth_mode": "key"}
    assert signed_in(cast.bob).post(create_url, given).status_code == 403
    assert signed_in(cast.charlie).post(create_url, given).status_code == 404
    assert signed_in(cast.charlie).get(list_url).status_code == 404
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("", ["a-one", "b-two", "c-three"]),
        ("-name", ["c-three", "b-two", "a-one"]),
        ("state", ["b-two", "a-one", "c-three"]),
        ("-state", ["a-one", "c-three", "b-two"]),
        ("updated", ["c-three", "a-one", "b-two"]),
        ("-updated", ["b-two", "a-one", "c-three"]),
        ("nonsense", ["a-one", "b-two", "c-three"]),
    ],
)
def test_every_order_goes_on_where_the_page_before_ended(cast, list_url, monkeypatch, sort, names):
    for name in ("c-three", "a-one", "b-two"):
        make_endpoint(cast.workspace, name, state="Creating" if name == "b-two" else "Succeeded")
    monkeypatch.setattr("endpoints.views.lists.ENDPOINTS_PER_PAGE", 1)
    client, after, found = signed_in(cast.bob), "", []
    for _ in names:
        shown = client.get(list_url, {"sort": sort, "after": after}).context
        found += [row["endpoint"].name for row in shown["rows"]]
        after = shown["next_after"]
    assert found == names
    assert after == ""


@pytest.mark.parametrize("after", ["nonsense", "~", "2026-01-01~x", "2026-13-01T00:00:00~x", "\0"])
@pytest.mark.parametrize("sort", ["name", "state", "-updated"])
def test_a_nonsense_page_is_no_error(cast, list_url, after, sort):
    make_endpoint(cast.workspace, "one")
    assert signed_in(cast.bob).get(list_url, {"sort": sort, "after": after}).status_code == 200


def test_tags_can_be_chosen_from_those_there_are(cast, list_url):
    make_endpoint(cast.workspace, "fraud", tags={"team": "risk", "a.b$[0]": "it's"})
    make_endpoint(cast.workspace, "prices", tags={"team": "market"})
    client = signed_in(cast.bob)
    shown = client.get(list_url, {"tag": "team=risk"}).context
    assert [row["endpoint"].name for row in shown["rows"]] == ["fraud"]
    assert shown["tags"] == ["a.b$[0]=it's", "team=market", "team=risk"]
    shown = client.get(list_url, {"tag": "a.b$[0]=it's"}).context
    assert [row["endpoint"].name for row in shown["rows"]] == ["fraud"]
    assert "No endpoint matches" in text(client.get(list_url, {"tag": "team=nobody"}))


def test_an_open_list_is_told_only_of_what_changed(cast, list_url):
    endpoint = churn(cast)
    client = signed_in(cast.bob)
    mark = client.get(list_url).context["mark"]
    assert client.get(list_url, {"seen": mark}, headers=PART).status_code == 204
    endpoint.deployments.get(name="blue").instances.all().update(state="Unready")
    answer = client.get(list_url, {"seen": mark}, headers=PART)
    assert "1 of 3" in text(answer)
    assert "seen=" not in text(answer)


def test_deleting_several_needs_all_their_names(cast, list_url):
    for name in ("one", "two", "three"):
        make_endpoint(cast.workspace, name)
    client, url = signed_in(cast.alice), reverse("endpoints:delete-many", args=["risk"])
    asked = {"name": ["one", "two"]}
    assert "Delete 2 endpoints?" in text(client.get(url, asked))
    for typed, said in (("one", "Not typed yet: two"), ("one two three", "Not among those chosen: three")):
        answer = client.post(url, asked | {"confirm": typed})
        assert answer.status_code == 422
        assert said in text(answer)
    assert not Endpoint.objects.filter(state="Deleting").exists()
    client.post(url, asked | {"confirm": "two,\n one"})
    assert set(Endpoint.objects.filter(state="Deleting").values_list("name", flat=True)) == {"one", "two"}


def test_deleting_several_is_for_operators_and_needs_a_choice(cast, list_url):
    make_endpoint(cast.workspace, "one")
    url = reverse("endpoints:delete-many", args=["risk"])
    assert signed_in(cast.dana).post(url, {"name": "one", "confirm": "one"}).status_code == 403
    assert "Delete the chosen" not in text(signed_in(cast.dana).get(list_url))
    answer = signed_in(cast.alice).get(url, follow=True)
    assert "Choose the endpoints to delete first" in text(answer)
