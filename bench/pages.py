"""What pages cost the server with 1,000 endpoints: milliseconds, queries and bytes. `python -m bench.pages`

Runs in this process on a database of its own, with the studio's settings and middleware; no network.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import Any

ENDPOINTS = 1000
TIMES = 20
LIST_MS, LIST_BYTES = 150.0, 120_000


def main() -> int:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    from django.core.management import call_command
    from django.test.utils import override_settings

    call_command("migrate", verbosity=0)
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        client = fill()
        cost = [measure(client, url) for url in addresses()]
    return 0 if cost[0][0] <= LIST_MS and cost[0][1] <= LIST_BYTES else 1


def fill() -> Any:
    """1,000 endpoints with two deployments of two instances each; returns a signed-in client."""
    from django.db import transaction

    from tests.factories import make_deployment, make_endpoint, make_user, make_workspace, signed_in

    with transaction.atomic():
        owner = make_user("owner")
        workspace = make_workspace("bench", owner=owner)
        for number in range(ENDPOINTS):
            percents, tags = {"blue": 90, "green": 10}, {"team": f"team{number % 20}", "stage": "test"}
            name = f"endpoint-{number:04d}"
            endpoint = make_endpoint(workspace, name, percents=percents, tags=tags, description="What it is for")
            for deployment in percents:
                make_deployment(endpoint, deployment, instances=2)
    return signed_in(owner)


def addresses() -> list[str]:
    base = "/workspaces/bench/"
    return [
        f"{base}endpoints/",
        f"{base}endpoints/?sort=-updated",
        f"{base}endpoints/?q=endpoint-05&tag=team%3Dteam3",
        f"{base}endpoints/endpoint-0500/",
        f"{base}endpoints/endpoint-0500/picture/",
        base,
    ]


def measure(client: Any, url: str) -> tuple[float, int]:
    """Prints and returns the median milliseconds and the bytes of one page."""
    from django.db import connection

    statements: list[str] = []

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        answer = client.get(url)
    assert answer.status_code == 200, (url, answer.status_code)
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        client.get(url)
        taken.append((time.perf_counter() - started) * 1000)
    middle, size = statistics.median(taken), len(answer.content)
    print(f"{url:58} {middle:7.1f} ms (worst {max(taken):6.1f}) {len(statements):3d} queries {size / 1000:7.1f} kB")
    return middle, size


if __name__ == "__main__":
    sys.exit(main())
