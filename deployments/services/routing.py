"""What the gateway tells this room: which instances it really sends requests to."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from django.db import transaction

from deployments.models import Instance
from workspaces.models import Operation, Target


def note_published(*, traffic: Collection[str], draining: Collection[str]) -> int:
    """Record what the gateway has confirmed: names it sends requests to, and names that still have requests in flight.

    Every other instance gets none. Deployments with a running operation whose instances changed are taken up again at once.
    Returns how many rows changed. Twice is the same as once.
    """
    touched: set[int | None] = set()
    changed = 0
    for row in Instance.objects.exclude(state__in=Instance.ENDED_STATES).only("name", "routed", "deployment_id"):
        routed = "traffic" if row.name in traffic else "draining" if row.name in draining else ""
        if routed != row.routed:
            changed += Instance.objects.filter(pk=row.pk, routed=row.routed).update(routed=routed)
            touched.add(row.deployment_id)
    _wake({deployment_id for deployment_id in touched if deployment_id is not None})
    return changed


def _wake(deployment_ids: set[int]) -> None:
    from deployments.tasks import reconcile_deployment

    waiting = Operation.objects.filter(
        target_kind=Target.DEPLOYMENT, target_id__in=deployment_ids, state=Operation.State.IN_PROGRESS
    )
    for deployment_id in waiting.values_list("target_id", flat=True):
        transaction.on_commit(partial(reconcile_deployment.delay, deployment_id))
