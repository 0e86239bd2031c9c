"""What this room does when a room below it says that something changed."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from deployments.models import Deployment
from endpoints.models import Endpoint
from endpoints.services import remove_if_empty
from endpoints.signals import endpoint_deleting
from studio.lib.errors import OperationInProgress
from workspaces.models import Target
from workspaces.queries import running_operation
from workspaces.services.record import request_cancel


@receiver(endpoint_deleting)
def on_endpoint_deleting(endpoint_id: int, **_: Any) -> None:
    endpoint = Endpoint.objects.filter(pk=endpoint_id).first()
    if endpoint is not None:
        delete_what_is_behind(endpoint)


def delete_what_is_behind(endpoint: Endpoint) -> None:
    """Start deleting every deployment of an endpoint that is going; a running operation is cancelled first.

    Twice is the same as once; called again until nothing is left.
    """
    from deployments.services.deployments import delete_deployment

    operation = running_operation(Target.ENDPOINT, endpoint.pk)
    by = operation.by if operation else None
    for deployment in Deployment.objects.select_related("endpoint__workspace").filter(endpoint=endpoint):
        if deployment.state == Deployment.State.DELETING:
            continue
        try:
            delete_deployment(deployment=deployment, by=by, with_endpoint=True)
        except OperationInProgress:
            running = running_operation(Target.DEPLOYMENT, deployment.pk)
            if running is not None:
                request_cancel(operation=running, by=by)
    remove_if_empty(endpoint=endpoint)
