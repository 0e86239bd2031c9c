"""Allowed moves of an endpoint."""

from __future__ import annotations

from endpoints.models import Endpoint
from workspaces.lifecycle import Table

_S = Endpoint.State
TABLE: Table = {
    _S.CREATING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.DELETING}),
    _S.UPDATING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.DELETING}),
    _S.SUCCEEDED: frozenset({_S.UPDATING, _S.DELETING}),
    _S.FAILED: frozenset({_S.UPDATING, _S.SUCCEEDED, _S.DELETING}),
    _S.DELETING: frozenset(),
}
