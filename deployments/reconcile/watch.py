"""Look at everything at once, every other second, and say which deployments need a worker."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db.models import Count, F, Q
from django.utils import timezone

from deployments.compute.contract import DriverUnavailable
from deployments.models import Deployment, Instance
from deployments.receivers import delete_what_is_behind
from deployments.reconcile import instances
from endpoints.models import Endpoint
from workspaces import leases
from workspaces.models import Operation, Target

log = logging.getLogger(__name__)
OVERDUE_SECONDS = 1.5


def deployments_with_work() -> list[int]:
    """Ids of deployments that are unsettled and that no worker has or is about to take."""
    leases.free_of_the_dead(Deployment)
    rows = Instance.objects.exclude(state__in=Instance.ENDED_STATES).select_related("revision")
    try:
        instances.follow(row for row in rows if row.state != Instance.State.DRAINING)
    except DriverUnavailable as error:
        log.warning("compute does not answer: %s", error)
    for endpoint in Endpoint.objects.filter(state=Endpoint.State.DELETING):
        delete_what_is_behind(endpoint)
    now = timezone.now()
    busy = Q(lease_until__gt=now)
    due_soon = Q(next_step_at__gt=now - timedelta(seconds=OVERDUE_SECONDS))
    free = Deployment.objects.exclude(busy).exclude(due_soon)
    unsettled = _unsettled()
    return [pk for pk in free.values_list("pk", flat=True) if pk in unsettled]


def _unsettled() -> set[int]:
    operating = Operation.objects.filter(target_kind=Target.DEPLOYMENT, state=Operation.State.IN_PROGRESS)
    settled = Q(ready=F("wanted_instance_count"), total=F("wanted_instance_count"))
    of_serving = Q(instances__revision=F("serving_revision"))
    serving = Deployment.objects.filter(serving_revision__isnull=False).annotate(
        ready=Count(
            "instances",
            filter=of_serving & Q(instances__state="Ready", instances__is_admitted=True, instances__routed="traffic"),
        ),
        total=Count("instances", filter=~Q(instances__state__in=Instance.ENDED_STATES)),
    )
    draining = Instance.objects.filter(state=Instance.State.DRAINING).values_list("deployment_id", flat=True)
    return (
        set(operating.values_list("target_id", flat=True))
        | set(serving.exclude(settled).values_list("pk", flat=True))
        | set(draining)
    )
