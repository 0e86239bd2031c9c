"""Every address of the site map, asked for by everybody. A new page is covered by being in the map."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.factories import (
    make_code_version,
    make_deployment,
    make_endpoint,
    make_environment_version,
    make_model_version,
    signed_in,
)
from workspaces.models import Member
from workspaces.services.people import create_access_token

PUBLIC = {"studio:sign-in", "studio:theme", "healthz", "api:metadata"}
"""Pages a visitor may see."""

MAY_BE_DOWN = {"healthz"}
"""Pages that answer 503 while a part of the studio does not run, as in these tests."""

READER_MAY_POST = {
    "studio:sign-in",
    "studio:sign-out",
    "studio:theme",
    "workspaces:tokens",  # everybody's own
    "workspaces:revoke-token",
    "endpoints:test",  # asks for the right to read keys itself
    "api:datastore-secrets",  # a signature for reading
    "api:deployment-logs",
}
"""Pages whose POST changes nothing of the workspace, or only what is the reader's own."""

BY_SESSION = {"api:schema", "api:docs"}
"""Pages about the API; its other addresses know tokens, and no session."""

NAMES = {"ws": "risk", "ep": "churn", "dep": "blue", "name": "churn", "version": "1", "file": "file.txt"}
"""What addresses are filled with; make_world makes all of them."""


def addresses(resolver: URLResolver, space: str = "", before: str = "") -> Iterator[tuple[str, str]]:
    """(name with its namespaces, route) of every pattern below."""
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from addresses(pattern, inner, route)
        elif isinstance(pattern, URLPattern):
            yield f"{space}{pattern.name}", route


ADDRESSES = sorted(addresses(get_resolver()))


@pytest.fixture
def names(cast) -> dict[str, str]:
    workspace = cast.workspace
    model, code = make_model_version(workspace), make_code_version(workspace)
    environment = make_environment_version(workspace)
    endpoint = make_endpoint(workspace, "churn", percents={"blue": 100})
    make_deployment(endpoint, "blue", model_version=model, code_version=code, environment_version=environment)
    token, _ = create_access_token(user=cast.alice, name="notebook", workspace=workspace)
    member = Member.objects.get(workspace=workspace, user=cast.bob)
    of_api = {"sub": workspace.subscription_id, "rg": workspace.resource_group, "location": workspace.location}
    of_api |= {"op": str(uuid4()), "container": "azureml-blobstore", "path": "folder/file.txt", "rest": "nothing"}
    return {
        **NAMES,
        **of_api,
        "token_id": str(token.pk),
        "member_id": str(member.pk),
        "number": "1",
        "account_id": str(cast.dana.pk),
    }


def filled(route: str, names: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        kwarg = found[0].strip("<>").rpartition(":")[2]
        assert kwarg in names, f"Say in this file what <{kwarg}> in '{route}' is filled with."
        return names[kwarg]

    return "/" + re.sub(r"<[^>]+>", value, route)


def both(browser: Client, url: str) -> tuple[int, int]:
    """The statuses of a GET and of a POST."""
    answers = browser.get(url), browser.post(url)
    for answer in answers:
        for _ in answer if answer.streaming else ():
            pass  # a download holds its file open until its end
    return answers[0].status_code, answers[1].status_code


def is_api(name: str) -> bool:
    return name.startswith("api:") and name not in BY_SESSION


def entered(user: Any, name: str) -> Client:
    """A client that `user` has let in: with a session for pages, with a token for the API."""
    if not is_api(name):
        return signed_in(user)
    _, text = create_access_token(user=user, name="walk", can_write=True)
    return Client(headers={"Authorization": f"Bearer {text}"})


@pytest.mark.parametrize(("name", "route"), ADDRESSES, ids=[name for name, _ in ADDRESSES])
def test_everybody_gets_what_is_theirs_and_nobody_an_error_of_ours(cast, names, name, route):
    url = filled(route, names)
    in_workspace = "<str:ws>" in route

    visitor = Client()
    if name not in PUBLIC:
        for answer in (visitor.get(url), visitor.post(url)):
            to_sign_in = answer.headers.get("Location", "").startswith("/sign-in/")
            refused = answer.status_code in {401, 405} if is_api(name) else answer.status_code == 401 or to_sign_in
            assert refused, (url, answer.status_code)

    if in_workspace:
        assert set(both(entered(cast.charlie, name), url)) <= {403, 404, 405}, url

    fine = {*range(200, 500), *([503] if name in MAY_BE_DOWN else [])}
    seen, posted = both(entered(cast.bob, name), url)
    assert {seen, posted} <= fine, url
    if in_workspace and name not in READER_MAY_POST:
        assert posted in {403, 405}, f"A reader may POST to {url}: {posted}"

    if in_workspace and is_api(name):
        changes = (entered(cast.bob, name).generic(method, url) for method in ("PUT", "PATCH", "DELETE"))
        assert {answer.status_code for answer in changes} <= {403, 405}, url

    assert set(both(entered(cast.alice, name), url)) <= fine, url


def test_the_map_is_walked_whole():
    rooms = {name.partition(":")[0] for name, _ in ADDRESSES}
    assert {"studio", "workspaces", "endpoints", "deployments", "api"} <= rooms
