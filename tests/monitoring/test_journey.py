"""A load of known shape on a whole studio: what the series say afterwards is what the client counted."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from math import ceil

import httpx
import pytest

from tests.journeys.inside import Inside, until
from tests.stack import Studio

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

SCRIPT = """
import json, time


def init():
    pass


def run(data):
    asked = json.loads(data)
    time.sleep(asked["ms"] / 1000)
    if asked["do"] == "raise":
        raise ValueError("as it was asked for")
    return {"error": "as it was asked for"} if asked["do"] == "soft" else {"ok": True}
"""
THREADS = 8


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with Studio.start(sample=True) as started:
        yield started


@pytest.fixture(scope="module")
def inside(studio: Studio) -> Iterator[Inside]:
    called = Inside(studio)
    called.run(f"""
        from django.utils import timezone
        from monitoring import rollup, series, windows
        from monitoring.metrics import endpoint_charts
        measured = create_endpoint(workspace=workspace, name="measured", by=user)
        code = register_code(workspace=workspace, name="known", by=user,
                             files=[("score.py", io.BytesIO({SCRIPT!r}.encode()))])
        wanted = replace(spec_of(deployment("blue").serving_revision), code_version=code, scoring_script="score.py",
                         model_version=None, max_concurrent_requests_per_instance=32)

        def seen(name="measured"):
            found = series.traffic(Endpoint.objects.get(name=name), windows.named("15m", timezone.now()))
            return {{
                deployment: [dict(tally.statuses), [rollup.percentile_ms(tally.latencies, p) for p in (50, 95, 99)]]
                for deployment in found.by_deployment
                for tally in [found.sum_of(deployment)]
            }}
    """)
    for name in ("blue", "green"):
        told = called.finish(f"result = create_deployment(endpoint=measured, name='{name}', wanted=wanted, by=user)")
        assert told["state"] == "Succeeded", told
    yield called
    called.close()


class Client:
    """Sends what it is given, pinned to a deployment, and counts what comes back."""

    def __init__(self, studio: Studio, key: str) -> None:
        self.url = f"{studio.gateway_url}/endpoints/measured/score"
        self.key = key
        self.counts: Counter[tuple[str, str]] = Counter()
        self.milliseconds: dict[str, list[float]] = {"blue": [], "green": []}

    def send(self, requests: list[tuple[str, str, int]]) -> None:
        """(deployment, what to do, ms) each; "refuse" goes without the key."""
        parts = [threading.Thread(target=self._some, args=(requests[n::THREADS],)) for n in range(THREADS)]
        for part in parts:
            part.start()
        for part in parts:
            part.join()

    def _some(self, requests: list[tuple[str, str, int]]) -> None:
        with httpx.Client(timeout=30) as client:
            for name, do, ms in requests:
                key = "wrong" if do == "refuse" else self.key
                headers = {"Authorization": f"Bearer {key}", "azureml-model-deployment": name}
                began = time.monotonic()
                status = client.post(self.url, json={"do": do, "ms": ms}, headers=headers).status_code
                self.counts[name, str(status)] += 1
                self.milliseconds[name].append((time.monotonic() - began) * 1000)

    def expected(self) -> dict[str, dict[str, int]]:
        return {
            deployment: {status: count for (name, status), count in self.counts.items() if name == deployment}
            for deployment in ("blue", "green")
        }

    def percentile(self, name: str, percent: float) -> float:
        ordered = sorted(self.milliseconds[name])
        return ordered[ceil(len(ordered) * percent / 100) - 1]


def a_load(count: int, seed: int) -> list[tuple[str, str, int]]:
    """Latencies of 150 ms and more, so that what the client adds to them is little."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        name = draw.choice(["blue", "blue", "green"])
        do = draw.choices(["answer", "raise", "soft"], [90, 6, 4])[0]
        found.append((name, do, int(min(150 + draw.lognormvariate(4 if name == "blue" else 5, 0.7), 1500))))
    return found


@pytest.fixture(scope="module")
def client(studio: Studio, inside: Inside) -> Client:
    return Client(studio, inside.run("result = measured.primary_key"))


def counts_seen(inside: Inside) -> dict[str, dict[str, int]]:
    return {name: found[0] for name, found in inside.run("result = seen()").items()}


def test_counts_are_exact_and_percentiles_within_five_percent(inside: Inside, client: Client) -> None:
    load = a_load(360, 7)
    client.send(load)
    until(lambda: counts_seen(inside), lambda seen: seen == client.expected(), 45.0)
    # Envoy hands over its histograms every five seconds, so they may be a reading behind the counts.
    until(lambda: percentiles_off(inside, client), lambda off: max(off) <= 0.05, 30.0)
    soft = sum(do == "soft" for _, do, _ in load)
    charts = until(
        lambda: inside.run("""
            found = series.instances(measured, windows.named("15m", timezone.now()))
            result = sum(step.soft_errors for name in found.by_deployment for step in found.together(name))
        """),
        lambda counted: counted == soft,
        30.0,
    )
    assert charts == soft


def percentiles_off(inside: Inside, client: Client) -> list[float]:
    """How far each measured percentile is from the client's, as a ratio."""
    seen = inside.run("result = seen()")
    return [
        abs(value / client.percentile(name, percent) - 1)
        for name, (_, percentiles) in seen.items()
        for percent, value in zip((50, 95, 99), percentiles, strict=True)
    ]


def test_every_change_of_traffic_is_marked_at_its_second(inside: Inside) -> None:
    marked = inside.run("""
        version = set_traffic(endpoint=measured, percents={"blue": 70, "green": 30}, by=user, reason="a step")
        charts = endpoint_charts(measured, windows.named("15m", timezone.now()))
        marks = [[f"{mark.at:%H:%M:%S}" == f"{version.at:%H:%M:%S}", mark.text] for mark in charts[0].marks]
        result = [text for is_then, text in marks if is_then and "a step" in text]
    """)
    assert len(marked) == 1
    assert "green 30 %" in marked[0]


def test_killed_scrapers_double_nothing_and_lose_nothing(studio: Studio, inside: Inside, client: Client) -> None:
    for seed in (1, 2, 3):
        client.send(a_load(40, seed))
        studio.kill("worker-ticks")
        studio.until(studio.is_healthy, 60.0)
    client.send([("blue", "refuse", 0)] * 5)
    until(lambda: counts_seen(inside), lambda seen: seen == client.expected(), 90.0)


def test_a_killed_envoy_makes_no_spike_and_counts_go_on(studio: Studio, inside: Inside, client: Client) -> None:
    before = client.expected()
    until(lambda: counts_seen(inside), lambda seen: seen == before, 60.0)
    studio.kill("envoy")
    studio.until(studio.is_healthy, 60.0)
    time.sleep(1)
    client.send(a_load(60, 9))
    until(lambda: counts_seen(inside), lambda seen: seen == client.expected(), 60.0)


@pytest.mark.browser
def test_the_page_draws_every_chart_and_breaks_no_content_policy(studio: Studio, inside: Inside) -> None:
    from playwright.sync_api import sync_playwright

    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{studio.url}/sign-in/?next=/workspaces/main/endpoints/measured/metrics/%3Frange%3D15m")
        page.fill("input[name=username]", studio.credentials["username"])
        page.fill("input[name=password]", studio.credentials["password"])
        page.press("input[name=password]", "Enter")
        page.wait_for_selector("[data-charts][data-drawn]", timeout=30_000)
        drawn = page.locator(".js-plotly-plot").count()
        bars = page.locator("[data-chart=requests] .bars .point").count()
        page.locator("[data-chart=requests] summary").click()
        shown = page.locator("[data-chart=requests] tbody tr").count()
        browser.close()
    assert said == []
    assert drawn == 7
    assert bars >= 2
    assert shown >= 1
