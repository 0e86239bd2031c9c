"""Everything by name, in all workspaces that the user sees: what the palette asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from deployments.models import Deployment
from endpoints.models import Endpoint
from workspaces.models import Code, Environment, RegisteredModel
from workspaces.queries import workspaces_for

MOST_OF_A_KIND = 8
MOST = 24
MOST_CHARACTERS = 100

# of the workspace where the user is: name, address
_PAGES = (
    ("Home", "workspaces:home"),
    ("Endpoints", "endpoints:list"),
    ("Models", "workspaces:models"),
    ("Environments", "workspaces:environments"),
    ("Code", "workspaces:code"),
    ("Activity", "workspaces:activity"),
    ("Access tokens", "workspaces:tokens"),
    ("Create endpoint", "endpoints:create"),
    ("Register a model", "workspaces:register-model"),
    ("Create environment", "workspaces:create-environment"),
)


@require_GET
def find(request: HttpRequest) -> JsonResponse:
    """`?q=` is any part of a name, `?ws=` the workspace the user is in. Without `q` its pages.

    `found`: name, kind, place (the workspace, "" for what belongs to none) and url; names that begin with `q` first.
    """
    text = request.GET.get("q", "").strip()[:MOST_CHARACTERS].replace("\0", "")
    places = workspaces_for(request.user)
    here = places.filter(name=request.GET.get("ws", "").replace("\0", "")).first()
    rows = [*_pages(request.user, here.name if here else "")]
    rows = [row for row in rows if text.casefold() in row["name"].casefold()]
    if text:
        rows = [*_named(places, text), *rows]
    rows.sort(key=lambda row: not row["name"].casefold().startswith(text.casefold()))
    return JsonResponse({"found": rows[:MOST]}, headers={"Cache-Control": "no-store"})


def _row(name: str, kind: str, place: str, route: str, *names: str) -> dict[str, str]:
    return {"name": name, "kind": kind, "place": place, "url": reverse(route, args=names)}


def _pages(user: Any, here: str) -> Iterator[dict[str, str]]:
    for name, route in _PAGES if here else ():
        yield _row(name, "page", here, route, here)
    yield _row("Change password", "page", "", "workspaces:password")
    if user.is_superuser:
        yield _row("Accounts", "page", "", "workspaces:accounts")
        yield _row("New workspace", "page", "", "workspaces:create-workspace")


def _named(places: QuerySet[Any], text: str) -> Iterator[dict[str, str]]:
    """Six queries, whatever there is. Endpoints first: they are what is looked for most."""
    for ws, name in _some(
        Endpoint.objects.filter(workspace__in=places, name__icontains=text), "workspace__name", "name"
    ):
        yield _row(name, "endpoint", ws, "endpoints:detail", ws, name)
    deployments = Deployment.objects.filter(endpoint__workspace__in=places, name__icontains=text)
    for ws, endpoint, name in _some(deployments, "endpoint__workspace__name", "endpoint__name", "name"):
        yield _row(name, f"deployment of {endpoint}", ws, "deployments:detail", ws, endpoint, name)
    kinds: tuple[tuple[Any, str, str], ...] = (
        (RegisteredModel, "model", "workspaces:model"),
        (Environment, "environment", "workspaces:environment"),
        (Code, "code", "workspaces:code-detail"),
    )
    for kind, word, route in kinds:
        for ws, name in _some(
            kind.objects.filter(workspace__in=places, name__icontains=text), "workspace__name", "name"
        ):
            yield _row(name, word, ws, route, ws, name)
    for (name,) in _some(places.filter(name__icontains=text), "name"):
        yield _row(name, "workspace", "", "workspaces:home", name)


def _some(rows: QuerySet[Any], *columns: str) -> list[Any]:
    return list(rows.order_by("name", "pk").values_list(*columns)[:MOST_OF_A_KIND])
