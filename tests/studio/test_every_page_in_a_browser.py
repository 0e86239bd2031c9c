"""Every page in a real Chromium, light and dark: accessible to all, no complaint on the console, no request elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from django.conf import settings
from playwright.sync_api import Browser, Page, expect

from deployments.failures import explain_not_ready
from deployments.spec import Probe
from endpoints import services
from tests.browser import Complaints, chromium
from tests.deployments.pages import failed
from tests.factories import (
    make_deployment,
    make_environment_version,
    make_model_version,
    make_user,
    make_workspace,
    signed_in,
)
from workspaces.models import Operation

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

WORKSPACE = "/workspaces/risk/"
ENDPOINT = f"{WORKSPACE}endpoints/churn/"
PAGES = {
    "accounts": "/accounts/",
    "password": "/password/",
    "new workspace": "/new-workspace/",
    "workspaces": "/",
    "home": WORKSPACE,
    "activity": f"{WORKSPACE}activity/",
    "members": f"{WORKSPACE}members/",
    "tokens": f"{WORKSPACE}tokens/",
    "models": f"{WORKSPACE}models/",
    "model": f"{WORKSPACE}models/churn/",
    "new model": f"{WORKSPACE}new-model/",
    "environments": f"{WORKSPACE}environments/",
    "environment": f"{WORKSPACE}environments/churn/",
    "new environment": f"{WORKSPACE}new-environment/",
    "code": f"{WORKSPACE}code/churn/",
    "endpoints": f"{WORKSPACE}endpoints/",
    "new endpoint": f"{WORKSPACE}new-endpoint/",
    "delete endpoints": f"{WORKSPACE}delete-endpoints/?name=churn",
    "endpoint": ENDPOINT,
    "traffic": f"{ENDPOINT}traffic/",
    "test": f"{ENDPOINT}test/",
    "consume": f"{ENDPOINT}consume/",
    "settings": f"{ENDPOINT}settings/",
    "deployment": f"{ENDPOINT}deployments/green/",
    "failed deployment": f"{ENDPOINT}deployments/blue/",
    "update": f"{ENDPOINT}deployments/green/update/",
    "logs": f"{ENDPOINT}deployments/green/logs/",
    "new deployment": f"{ENDPOINT}new-deployment/",
}
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def session(cast: Any) -> str:
    """Of an administrator, in a world where something serves and something has failed."""
    make_model_version(cast.workspace)
    make_environment_version(cast.workspace)
    endpoint = failed(cast).endpoint
    why = explain_not_ready(Probe(), ["a line of the log"], answered=False)
    told = {"message": why.message, "cause": why.cause, "hint": why.hint, "log_lines": why.log_lines}
    Operation.objects.update(**told)
    make_deployment(endpoint, "green", instances=2)
    services.set_traffic(endpoint=endpoint, percents={"green": 100}, by=cast.alice)
    make_workspace("second", owner=cast.alice)
    root = make_user("root", is_superuser=True)
    return signed_in(root).cookies[settings.SESSION_COOKIE_NAME].value


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_quiet(
    browser: Browser, live_server: Any, session: str, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(color_scheme=scheme)
    found = _look(context.new_page(), live_server.url, {"sign-in": "/sign-in/"}, _violations)
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    found |= _look(context.new_page(), live_server.url, PAGES, _violations)
    context.close()
    assert found == {}


def test_no_page_is_wider_than_a_telephone(browser: Browser, live_server: Any, session: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    found = _look(context.new_page(), live_server.url, PAGES, _overflow)
    context.close()
    assert found == {}


def _violations(page: Page) -> list[str]:
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
        for violation in Axe().run(page, options=RULES).response["violations"]
        for node in violation["nodes"]
    ]


def _overflow(page: Page) -> list[str]:
    beyond = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [f"wider than the window by {beyond} px"] if beyond > 0 else []


def _look(
    page: Page, origin: str, addresses: dict[str, str], problems: Callable[[Page], list[str]]
) -> dict[str, list[str]]:
    """What is wrong, by page."""
    complaints, found = Complaints(page, origin), {}
    for name, address in addresses.items():
        page.goto(f"{origin}{address}")
        page.wait_for_load_state("load")
        expect(page.locator("[hx-trigger=load]")).to_have_count(0)
        wrong, complaints.found = problems(page) + complaints.found, []
        if wrong:
            found[name] = wrong
    return found
