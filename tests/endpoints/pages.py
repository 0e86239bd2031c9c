"""What tests of this room's pages begin with: an endpoint with blue at 90 % and green at 10 %."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from endpoints import services
from endpoints.models import Endpoint
from tests.factories import make_deployment, make_endpoint

PART = {"HX-Request": "true"}


def churn(cast: Any, **overrides: Any) -> Endpoint:
    """Traffic version 2 is in force and confirmed."""
    endpoint = make_endpoint(cast.workspace, "churn", **overrides)
    make_deployment(endpoint, "blue", instances=2)
    make_deployment(endpoint, "green", instances=1)
    services.set_traffic(endpoint=endpoint, percents={"blue": 90, "green": 10}, by=cast.alice, reason="canary")
    Endpoint.objects.filter(pk=endpoint.pk).update(routed_version=2)
    endpoint.refresh_from_db()
    return endpoint


def address(name: str, endpoint: Endpoint) -> str:
    return reverse(f"endpoints:{name}", args=[endpoint.workspace.name, endpoint.name])


def text(response: Any) -> str:
    return response.content.decode()
