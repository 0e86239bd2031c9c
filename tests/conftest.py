"""The cast of every story: alice owns the workspace, dana works in it, bob only reads, charlie is a stranger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import client

from workspaces.models import Role, Workspace


@pytest.fixture(scope="session", autouse=True)
def folder_of_collected_static_files() -> None:
    """Tests serve static files from the sources; the middleware wants the folder to exist all the same."""
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)


@pytest.fixture(scope="session", autouse=True)
def one_connection_for_the_whole_test() -> None:
    """A request within a test must not end the transaction the test runs in, whoever closes the answer and when."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    # the test client connects what it finds under this name again after each request
    client.close_old_connections = lambda **_: None  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Cast:
    workspace: Workspace
    alice: Any
    bob: Any
    charlie: Any
    dana: Any


@pytest.fixture
def cast(db: None) -> Cast:
    # imported here: tests that need no Django settings should not pay for loading the models
    from tests.factories import make_member, make_user, make_workspace

    alice, bob, charlie, dana = (make_user(name) for name in ("alice", "bob", "charlie", "dana"))
    workspace = make_workspace("risk", owner=alice)
    make_member(workspace, bob, Role.READER)
    make_member(workspace, dana, Role.DATA_SCIENTIST)
    make_workspace("elsewhere", owner=charlie)
    return Cast(workspace, alice, bob, charlie, dana)
