"""Pictures of every page in light and dark, for the documents: `make screenshots`.

Starts a studio of its own with the sample, sends some requests, and writes docs/screenshots/<page>-<light|dark>.png.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, ViewportSize

from bench.load import Load
from tests.browser import chromium
from tests.stack import REPOSITORY, Studio

FOLDER = REPOSITORY / "docs" / "screenshots"
WIDTH, HEIGHT = 1280, 860
# long enough for the charts to have a few minutes to draw
MEASURED_SECONDS = 130
REQUEST = {"data": [[12, 29.85, 358.20, 1, 0], [45, 89.10, 4011.50, 2, 1]]}
WORKSPACE = "/workspaces/main/"
ENDPOINT = f"{WORKSPACE}endpoints/churn/"
PAGES = {
    "home": WORKSPACE,
    "endpoints": f"{WORKSPACE}endpoints/",
    "endpoint": ENDPOINT,
    "traffic": f"{ENDPOINT}traffic/",
    "consume": f"{ENDPOINT}consume/",
    "metrics": f"{ENDPOINT}metrics/",
    "cost": f"{ENDPOINT}cost/",
    "settings": f"{ENDPOINT}settings/",
    "deployment": f"{ENDPOINT}deployments/blue/",
    "logs": f"{ENDPOINT}deployments/blue/logs/",
    "new-deployment": f"{ENDPOINT}new-deployment/",
    "models": f"{WORKSPACE}models/",
    "model": f"{WORKSPACE}models/churn-blue/",
    "new-model": f"{WORKSPACE}new-model/",
    "environments": f"{WORKSPACE}environments/",
    "environment": f"{WORKSPACE}environments/churn/",
    "activity": f"{WORKSPACE}activity/",
    "members": f"{WORKSPACE}members/",
    "accounts": "/accounts/",
    "password": "/password/",
    "new-workspace": "/new-workspace/",
}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with Studio.start(sample=True) as studio:
        key = studio.credentials["sample_key"]
        uri = f"{studio.gateway_url}/endpoints/churn/score"
        with Load(uri, key, REQUEST, threads=2, pause_seconds=0.02):
            time.sleep(MEASURED_SECONDS)
        with chromium() as browser:
            schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
            for scheme in schemes:
                page = browser.new_context(
                    color_scheme=scheme, viewport=ViewportSize(width=WIDTH, height=HEIGHT)
                ).new_page()
                _take_all(studio, page, scheme)


def _take_all(studio: Studio, page: Page, scheme: str) -> None:
    page.goto(f"{studio.url}/sign-in/")
    _save(page, "sign-in", scheme)
    page.locator("[name=username]").fill(studio.credentials["username"])
    page.locator("[name=password]").fill(studio.credentials["password"])
    page.locator("main button[type=submit]").first.click()
    page.wait_for_url("**/workspaces/**")
    for name, path in PAGES.items():
        page.goto(f"{studio.url}{path}")
        page.wait_for_load_state("networkidle")
        _save(page, name, scheme)
    page.goto(f"{studio.url}{ENDPOINT}test/")
    page.locator("[name=body]").fill(json.dumps(REQUEST))
    page.get_by_role("button", name="Send request").click()
    page.get_by_text("probabilities").first.wait_for()
    _save(page, "test", scheme)


def _save(page: Page, name: str, scheme: str) -> None:
    file: Path = FOLDER / f"{name}-{scheme}.png"
    page.screenshot(path=str(file), animations="disabled")
    print(file.relative_to(REPOSITORY))


if __name__ == "__main__":
    main()
