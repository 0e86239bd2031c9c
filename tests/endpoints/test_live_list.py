"""The list of endpoints stays true while it is open, in a real browser."""

import pytest
from django.conf import settings
from playwright.sync_api import expect

from endpoints.models import Endpoint
from tests.browser import Complaints, chromium
from tests.endpoints.pages import churn
from tests.factories import make_endpoint, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


@pytest.fixture
def page(cast, live_server):
    make_endpoint(cast.workspace, "apples")
    churn(cast)
    session = signed_in(cast.alice).cookies[settings.SESSION_COOKIE_NAME].value
    with chromium() as browser:
        context = browser.new_context()
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        page = context.new_page()
        complaints = Complaints(page, live_server.url)
        page.goto(f"{live_server.url}/workspaces/risk/endpoints/")
        yield page
        assert complaints.found == []


def test_only_the_cells_that_changed_are_swapped(page, cast):
    row = page.locator("[data-row=churn]")
    row.get_by_role("checkbox").check()
    page.evaluate("document.querySelector('[data-row=churn] a').isTheSame = true")
    Endpoint.objects.get(name="churn").deployments.get(name="blue").instances.all().update(state="Unready")
    expect(row).to_contain_text("1 of 3")
    expect(row.get_by_role("checkbox")).to_be_checked()
    assert row.locator("a").evaluate("link => link.isTheSame")


def test_rows_come_and_go(page, cast):
    make_endpoint(cast.workspace, "bananas")
    expect(page.locator("[data-row]")).to_have_count(3)
    assert [row.get_attribute("data-row") for row in page.locator("[data-row]").all()] == ["apples", "bananas", "churn"]
    Endpoint.objects.get(name="apples").delete()
    expect(page.locator("[data-row]")).to_have_count(2)
