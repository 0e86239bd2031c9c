"""Allowed moves of a deployment and of an instance."""

from __future__ import annotations

from deployments.models import Deployment, Instance
from workspaces.lifecycle import Table

_D = Deployment.State
TABLE: Table = {
    _D.CREATING: frozenset({_D.SUCCEEDED, _D.FAILED, _D.CANCELED, _D.DELETING}),
    _D.UPDATING: frozenset({_D.SUCCEEDED, _D.FAILED, _D.CANCELED, _D.DELETING}),
    _D.SCALING: frozenset({_D.SUCCEEDED, _D.FAILED, _D.CANCELED, _D.DELETING}),
    _D.SUCCEEDED: frozenset({_D.UPDATING, _D.SCALING, _D.DELETING}),
    _D.FAILED: frozenset({_D.UPDATING, _D.SCALING, _D.DELETING}),
    _D.CANCELED: frozenset({_D.UPDATING, _D.SCALING, _D.DELETING}),
    _D.DELETING: frozenset(),
}

_I = Instance.State
INSTANCE_TABLE: Table = {
    _I.REQUESTED: frozenset({_I.STARTING, _I.DRAINING, _I.FAILED, _I.STOPPED}),
    _I.STARTING: frozenset({_I.READY, _I.DRAINING, _I.FAILED, _I.STOPPED}),
    _I.READY: frozenset({_I.UNREADY, _I.DRAINING, _I.FAILED, _I.STOPPED}),
    _I.UNREADY: frozenset({_I.READY, _I.DRAINING, _I.FAILED, _I.STOPPED}),
    _I.DRAINING: frozenset({_I.STOPPED, _I.FAILED}),
    _I.STOPPED: frozenset(),
    _I.FAILED: frozenset(),
}
