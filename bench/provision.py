"""From `create_deployment` to the first 200 through the gateway, warm environment.

`python -m bench.provision [--home DIR] [--times 5]`
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import time
from collections import defaultdict
from urllib.parse import urlsplit

from bench.studio import Bench, summary


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", help="home of a running studio with the sample; without it one is started")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    with Bench(options.home) as bench:
        firsts: list[float] = []
        steps: dict[str, list[float]] = defaultdict(list)
        for _ in range(options.times):
            firsts.append(_once(bench, steps))
        print(f"create to first 200: {summary(firsts)}")
        for name, seconds in steps.items():
            print(f"  {name}: {summary(seconds)}")
    return 0


def _once(bench: Bench, steps: dict[str, list[float]]) -> float:
    from deployments.models import Deployment
    from deployments.services.deployments import create_deployment
    from deployments.services.revisions import spec_of

    if Deployment.objects.filter(endpoint=bench.endpoint, name="bench").exists():
        bench.delete("bench")
    wanted = spec_of(bench.deployment("blue").serving_revision)
    began = time.monotonic()
    operation = create_deployment(endpoint=bench.endpoint, name="bench", wanted=wanted, by=bench.user)
    _until_it_answers(bench)
    first = time.monotonic() - began
    bench.finish(operation)
    for step in operation.steps.all():
        if step.started_at and step.finished_at:
            steps[step.name].append((step.finished_at - step.started_at).total_seconds())
    bench.delete("bench")
    return first


def _until_it_answers(bench: Bench) -> None:
    from deployments.sample import REQUEST

    address = urlsplit(bench.scoring_uri)
    headers = {"Authorization": f"Bearer {bench.key}", "azureml-model-deployment": "bench"}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        connection.request("POST", address.path, json.dumps(REQUEST), headers)
        status = connection.getresponse().status
        connection.close()
        if status == 200:
            return
        time.sleep(0.02)
    raise SystemExit("it did not answer 200 within 60 s")


if __name__ == "__main__":
    sys.exit(main())
