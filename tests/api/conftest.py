"""Callers of the API: each with a token of their own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from workspaces.models import Workspace
from workspaces.services.people import create_access_token

VERSION = "api-version=2023-04-01-preview"


class Caller:
    """Calls addresses below the workspace: caller.get("/models"). Bodies go as JSON."""

    def __init__(self, workspace: Workspace, token: str) -> None:
        self.workspace = workspace
        self.token = token
        self.client = Client()
        self.base = (
            f"/subscriptions/{workspace.subscription_id}/resourceGroups/{workspace.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{workspace.name}"
        )

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """`path` below the workspace, or whole when it begins with an address of its own. Underscores in `headers` are dashes."""
        url = path if path.startswith(("/subscriptions", "/blobstore", "/msi", "/api")) else self.base + path
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        auth = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return self.client.generic(method, url, content, content_type="application/json", headers={**auth, **given})

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("PATCH", path, body, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.call("DELETE", path, **headers)


def caller_of(user: Any, workspace: Workspace, *, can_write: bool = True, scope: Workspace | None = None) -> Caller:
    _, text = create_access_token(user=user, name="test", workspace=scope, can_write=can_write)
    return Caller(workspace, text)


@pytest.fixture
def alice(cast: Any) -> Caller:
    return caller_of(cast.alice, cast.workspace)


@pytest.fixture
def bob(cast: Any) -> Caller:
    return caller_of(cast.bob, cast.workspace)


@pytest.fixture
def charlie(cast: Any) -> Caller:
    return caller_of(cast.charlie, cast.workspace)


@pytest.fixture
def dana(cast: Any) -> Caller:
    return caller_of(cast.dana, cast.workspace)
