"""Everything by name: what the palette is told, and the palette in a real browser."""

import pytest
from django.conf import settings
from playwright.sync_api import expect

from tests.browser import Complaints, chromium
from tests.factories import (
    make_code_version,
    make_deployment,
    make_endpoint,
    make_environment_version,
    make_model_version,
    make_user,
    make_workspace,
    signed_in,
)
from workspaces.models import Workspace


def found(user, **query):
    rows = signed_in(user).get("/find/", query).json()["found"]
    return [(row["name"], row["kind"], row["url"]) for row in rows]


@pytest.fixture
def filled(cast):
    """Something called churn of every kind, and a stranger's."""
    make_model_version(cast.workspace), make_code_version(cast.workspace), make_environment_version(cast.workspace)
    make_deployment(make_endpoint(cast.workspace, "big-churn"), "churn-blue")
    make_endpoint(Workspace.objects.get(name="elsewhere"), "churn-of-charlie")
    return cast


def test_every_kind_is_found_with_an_address_that_works(filled):
    rows = found(filled.bob, q="CHURN")
    assert {kind for _, kind, _ in rows} == {"endpoint", "deployment of big-churn", "model", "environment", "code"}
    client = signed_in(filled.bob)
    for _, _, url in rows:
        assert client.get(url).status_code == 200


def test_names_that_begin_so_come_first_and_endpoints_before_the_rest(filled):
    make_endpoint(filled.workspace, "churn-two")
    rows = [name for name, _, _ in found(filled.bob, q="churn")]
    assert rows[0] == "churn-two"
    assert rows[-1] == "big-churn"


def test_nobody_finds_what_they_may_not_see(filled):
    assert "churn-of-charlie" not in str(found(filled.bob, q="churn"))
    assert "churn-of-charlie" in str(found(filled.charlie, q="churn"))
    assert "churn-of-charlie" in str(found(make_user("root", is_superuser=True), q="churn"))
    assert found(filled.bob, q="elsewhere") == []


def test_without_a_name_there_are_the_pages_of_the_place_one_is_in(cast):
    names = [name for name, _, _ in found(cast.bob, ws="risk")]
    assert {"Endpoints", "Models", "Change password"} <= set(names)
    assert "Accounts" not in names
    assert [name for name, _, _ in found(cast.bob, ws="elsewhere")] == ["Change password"]


@pytest.mark.parametrize("text", ["%", "_", "'", "\0", "x" * 5000, "<script>"])
def test_nonsense_finds_nothing_and_is_no_error(filled, text):
    assert all(kind == "page" for _, kind, _ in found(filled.bob, q=text)) or text == "_"


def test_the_number_of_queries_does_not_grow(filled, django_assert_num_queries, django_assert_max_num_queries):
    client = signed_in(filled.bob)
    with django_assert_max_num_queries(10) as few:
        client.get("/find/", {"q": "churn", "ws": "risk"})
    for number in range(12):
        make_deployment(make_endpoint(filled.workspace, f"churn-{number}"), "churn")
    with django_assert_num_queries(len(few.captured_queries)):
        assert len(client.get("/find/", {"q": "churn", "ws": "risk"}).json()["found"]) <= 24


@pytest.mark.browser
@pytest.mark.timeout(120)
@pytest.mark.django_db(transaction=True)
def test_the_palette_goes_there_by_keyboard_alone(live_server):
    root = make_user("root", is_superuser=True)
    workspace = make_workspace("risk", owner=root)
    make_endpoint(workspace, "churn"), make_endpoint(workspace, "churn-two")
    session = signed_in(root).cookies[settings.SESSION_COOKIE_NAME].value
    with chromium() as browser:
        context = browser.new_context()
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        page = context.new_page()
        complaints = Complaints(page, live_server.url)
        page.goto(f"{live_server.url}/workspaces/risk/")
        page.keyboard.press("Control+k")
        box = page.get_by_role("combobox")
        expect(box).to_be_focused()
        page.keyboard.type("churn")
        expect(page.get_by_role("option")).to_have_count(2)
        expect(page.get_by_role("option", selected=True)).to_contain_text("churn endpoint · risk")
        page.keyboard.press("ArrowDown")
        second = page.get_by_role("option", selected=True)
        expect(second).to_contain_text("churn-two")
        expect(box).to_have_attribute("aria-activedescendant", str(second.get_attribute("id")))
        page.keyboard.press("Escape")
        expect(box).to_be_hidden()
        page.keyboard.press("Control+k")
        page.keyboard.type("churn-t")
        expect(page.get_by_role("option")).to_have_count(1)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{live_server.url}/workspaces/risk/endpoints/churn-two/")
        assert complaints.found == []
