"""What the pages of endpoints and deployments share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

from endpoints.models import AuthMode, Endpoint
from endpoints.queries import behind, current_traffic, operations_around, scoring_host, scoring_uri
from endpoints.views.sentences import state_sentence
from studio.lib.errors import NotFound
from studio.lib.parts import asks_for_part, template_for
from workspaces.queries import get_workspace_for

View = Callable[..., HttpResponse]


def page(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, part: str = "", status: int = 200
) -> HttpResponse:
    """The whole page, or only its `part` when htmx asked for it."""
    return render(request, template_for(request, template, part) if part else template, dict(context), status=status)


def leads_on_when_gone(room: Callable[..., str]) -> Callable[[View], View]:
    """A part that is polled goes on to `room(**path arguments)` when its subject has been deleted meanwhile.

    Only for those who may see the workspace: everybody else gets the same 404 as for any unknown name.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, ws: str, **names: str) -> HttpResponse:
            try:
                return view(request, ws=ws, **names)
            except NotFound:
                if not asks_for_part(request) or request.method != "GET":
                    raise
                get_workspace_for(request.user, ws)
                return HttpResponseClientRedirect(room(ws=ws, **names))

        return wrapped

    return decorate


def list_address(*, ws: str, **_: str) -> str:
    return reverse("endpoints:list", args=[ws])


def header(endpoint: Endpoint) -> dict[str, Any]:
    """What every page of an endpoint shows at its top: state, addresses, deployments in order of creation."""
    traffic = current_traffic(endpoint)
    deployments = behind([endpoint])[endpoint.pk]
    is_confirmed = endpoint.routed_version == traffic.number
    running = list(operations_around(endpoint))
    unsettled = endpoint.state in (Endpoint.State.CREATING, Endpoint.State.UPDATING, Endpoint.State.DELETING)
    healing = any(deployment.is_serving and deployment.ready < deployment.wanted for deployment in deployments)
    return {
        "workspace": endpoint.workspace,
        "endpoint": endpoint,
        "traffic": traffic,
        "behind": deployments,
        "names": [deployment.name for deployment in deployments],
        "state": state_sentence(endpoint, traffic, deployments, is_confirmed=is_confirmed),
        "is_confirmed": is_confirmed,
        "running": running,
        "is_live": bool(unsettled or running or healing or not is_confirmed),
        "auth_mode": AuthMode(endpoint.auth_mode),
        "https_uri": scoring_uri(endpoint),
        "http_uri": scoring_uri(endpoint, tls=False),
        "host": scoring_host(endpoint),
    }
