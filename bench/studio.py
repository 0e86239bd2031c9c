"""A studio to measure: a running one, or one started for the purpose; driven through the same services as the pages use."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

OPERATION_SECONDS = 180.0


class Bench:
    """Use as a context; afterwards `scoring_uri` and `key` lead to the sample endpoint.

    Only one in a process: Django is set up for its home.
    """

    def __init__(self, home: str | None = None) -> None:
        self.home = Path(home).absolute() if home else None
        self.stack: Any = None

    def __enter__(self) -> Bench:
        if self.home is None:
            from tests.stack import Studio

            self.say("starting a studio with the sample")
            self.stack = Studio.start(sample=True)
            self.home = self.stack.home
        self.credentials = json.loads((self.home / "credentials.json").read_text())
        os.environ["STUDIO_HOME"] = str(self.home)
        os.environ["DJANGO_SETTINGS_MODULE"] = "studio.settings"
        for variable, key in (
            ("STUDIO_PORT", "studio_url"),
            ("STUDIO_TLS_PORT", "studio_tls_url"),
            ("GATEWAY_PORT", "gateway_url"),
            ("GATEWAY_TLS_PORT", "gateway_tls_url"),
        ):
            os.environ[variable] = self.credentials[key].rstrip("/").rsplit(":", 1)[1]
        import django

        django.setup()
        self._load()
        return self

    def __exit__(self, *_: object) -> None:
        if self.stack is not None:
            self.stack.stop()

    def _load(self) -> None:
        from django.contrib.auth import get_user_model

        from endpoints.models import Endpoint
        from endpoints.queries import scoring_uri

        self.user = get_user_model().objects.filter(is_superuser=True).order_by("pk")[0]
        self.endpoint = Endpoint.objects.select_related("workspace").get(name="churn")
        self.scoring_uri = scoring_uri(self.endpoint, tls=False)
        self.key = self.endpoint.primary_key

    def say(self, text: str) -> None:
        print(f"  {text}", flush=True)

    def deployment(self, name: str) -> Any:
        from deployments.models import Deployment

        return Deployment.objects.select_related("endpoint__workspace").get(endpoint=self.endpoint, name=name)

    def set_traffic(self, percents: Mapping[str, int]) -> float:
        """Seconds until the gateway confirmed it."""
        from endpoints.models import Endpoint
        from endpoints.services import set_traffic

        began = time.monotonic()
        version = set_traffic(endpoint=self.endpoint, percents=percents, by=self.user, mirror={})
        until(
            lambda: (
                (Endpoint.objects.values_list("routed_version", flat=True).get(pk=self.endpoint.pk) or 0)
                >= version.number
            )
        )
        return time.monotonic() - began

    def scale(self, name: str, count: int) -> None:
        from deployments.services.deployments import scale_deployment

        self.finish(scale_deployment(deployment=self.deployment(name), instance_count=count, by=self.user))

    def update(self, name: str, change: Callable[[Any], Any]) -> None:
        from deployments.services.deployments import update_deployment

        self.finish(update_deployment(deployment=self.deployment(name), change=change, by=self.user))

    def create(self, name: str, *, like: str) -> Any:
        """The operation, after it succeeded."""
        from deployments.services.deployments import create_deployment
        from deployments.services.revisions import spec_of

        wanted = spec_of(self.deployment(like).serving_revision)
        return self.finish(create_deployment(endpoint=self.endpoint, name=name, wanted=wanted, by=self.user))

    def delete(self, name: str) -> None:
        from deployments.services.deployments import delete_deployment

        self.finish(delete_deployment(deployment=self.deployment(name), by=self.user))

    def finish(self, operation: Any) -> Any:
        """Wait for an operation; anything but Succeeded is an error with its words."""
        if operation is None:
            return None

        def ended() -> bool:
            operation.refresh_from_db()
            return operation.state != "InProgress"

        until(ended)
        if operation.state != "Succeeded":
            raise SystemExit(f"{operation} {operation.state}: {operation.message}")
        return operation


def until(done: Callable[[], bool], *, seconds: float = OPERATION_SECONDS) -> None:
    """Poll every 5 ms. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s")
        time.sleep(0.005)


def summary(seconds: list[float]) -> str:
    """Median and range in milliseconds."""
    ms = [value * 1000 for value in seconds]
    return f"median {statistics.median(ms):.0f} ms, {min(ms):.0f} to {max(ms):.0f} ms, {len(ms)} times"
