"""From the click to the first answer by the new share. `python -m bench.traffic_change [--home DIR] [--times 20]`

The click is the form of the traffic page, posted by a signed-in browser session; all traffic goes from one deployment to the other
and back, so the first answer of the other one says that the change is in force.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import sys
import threading
import time
from urllib.parse import urlsplit

import httpx

from bench.studio import Bench, summary


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", help="home of a running studio with the sample; without it one is started")
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    with Bench(options.home) as bench:
        bench.set_traffic({"blue": 100, "green": 0})
        browser = _signed_in(bench)
        seconds = []
        for number in range(options.times):
            to = ("green", "blue")[number % 2]
            seconds.append(_click(bench, browser, to))
        print(f"click to first answer by the new share: {summary(seconds)}")
        bench.set_traffic({"blue": 90, "green": 10})
    return 0


def _signed_in(bench: Bench) -> httpx.Client:
    browser = httpx.Client(base_url=bench.credentials["studio_url"], follow_redirects=True, timeout=30)
    page = browser.get("/sign-in/")
    form = {
        "csrfmiddlewaretoken": _csrf(page.text),
        "username": bench.credentials["username"],
        "password": bench.credentials["password"],
    }
    page = browser.post(str(page.url), data=form, headers={"Referer": str(page.url)})
    if "sign-in" in str(page.url):
        raise SystemExit("could not sign in")
    return browser


def _csrf(html: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', html)
    if not found:
        raise SystemExit("the page has no form")
    return found[1]


def _click(bench: Bench, browser: httpx.Client, to: str) -> float:
    path = f"/workspaces/{bench.endpoint.workspace.name}/endpoints/{bench.endpoint.name}/traffic/"
    page = browser.get(path)
    form = {
        "csrfmiddlewaretoken": _csrf(page.text),
        "percent-blue": "100" if to == "blue" else "0",
        "percent-green": "100" if to == "green" else "0",
        "apply": "1",
    }
    seen = re.search(r'name="seen_number"[^>]*value="(\d+)"', page.text)
    if seen:
        form["seen_number"] = seen[1]
    answered = threading.Event()
    moment: list[float] = []
    watcher = threading.Thread(target=_watch, args=(bench, to, answered, moment))
    watcher.start()
    time.sleep(0.05)
    clicked = time.monotonic()
    browser.post(path, data=form, headers={"Referer": str(page.url)}, follow_redirects=False)
    if not answered.wait(20):
        raise SystemExit("the change was not in force within 20 s")
    watcher.join()
    return moment[0] - clicked


def _watch(bench: Bench, to: str, answered: threading.Event, moment: list[float]) -> None:
    from deployments.sample import REQUEST

    address = urlsplit(bench.scoring_uri)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    headers = {"Authorization": f"Bearer {bench.key}"}
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        connection.request("POST", address.path, json.dumps(REQUEST), headers)
        answer = connection.getresponse()
        answer.read()
        if answer.headers.get("azureml-model-deployment") == to:
            moment.append(time.monotonic())
            answered.set()
            return
        time.sleep(0.002)


if __name__ == "__main__":
    sys.exit(main())
