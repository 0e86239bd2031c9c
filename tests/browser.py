"""A real Chromium for tests: Debian's when it is there, else the one Playwright has installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

# without these Chromium looks for servers of its maker at every start
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser that ends with the block."""
    # Playwright's own loop and Django's check against synchronous queries in one do not go together in a test process
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        try:
            yield browser
        finally:
            browser.close()


class Complaints:
    """What a page should never do: errors on its console, uncaught exceptions, requests to other hosts, 5xx."""

    def __init__(self, page: Page, origin: str) -> None:
        self.found: list[str] = []
        page.on("console", lambda message: self.found.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.found.append(str(error)))
        page.on("request", lambda request: self._check(request.url, origin))
        page.on("response", lambda answer: self.found.append(answer.url) if answer.status >= 500 else None)

    def _check(self, url: str, origin: str) -> None:
        if not url.startswith((origin, "data:", "blob:", "about:")):
            self.found.append(f"request to {url}")
