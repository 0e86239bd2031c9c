"""What instances wrote, also those that have ended."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from deployments.compute.contract import DriverError
from deployments.drivers import get_driver
from deployments.models import Instance
from deployments.queries import get_deployment_for, get_instance, instances_of
from deployments.views.show import endpoint_address
from endpoints.views.door import leads_on_when_gone, page
from studio.lib.errors import BadRequest

CONTAINERS = {"inference-server": "Inference server", "storage-initializer": "Start-up"}
LINE_COUNTS = (100, 500, 2000)


@require_safe
@leads_on_when_gone(endpoint_address)
def logs(request: HttpRequest, ws: str, ep: str, dep: str) -> HttpResponse:
    """`?instance=&container=&lines=`; the newest instance when none is named. The tail is polled while the instance lives."""
    deployment = get_deployment_for(request.user, ws, ep, dep)
    instances = instances_of(deployment)
    named = request.GET.get("instance", "")
    instance = get_instance(deployment, named) if named else next(iter(instances), None)
    container = request.GET.get("container", "inference-server")
    if container not in CONTAINERS:
        raise BadRequest(f"There is no container '{container}'.", hint=f"Use one of {', '.join(CONTAINERS)}.")
    asked = request.GET.get("lines", "")
    line_count = int(asked) if asked in map(str, LINE_COUNTS) else LINE_COUNTS[1]
    context = {
        "workspace": deployment.endpoint.workspace,
        "endpoint": deployment.endpoint,
        "deployment": deployment,
        "instances": instances,
        "instance": instance,
        "container": container,
        "containers": CONTAINERS,
        "line_count": line_count,
        "line_counts": LINE_COUNTS,
        "is_live": instance is not None and instance.state not in Instance.ENDED_STATES,
    }
    return page(request, "deployments/logs.html", context | _tail(instance, container, line_count), part="tail")


def _tail(instance: Instance | None, container: str, line_count: int) -> dict[str, Any]:
    if instance is None:
        return {"lines": [], "failure": None}
    try:
        return {"lines": get_driver(instance.driver).logs(instance.name, line_count, container), "failure": None}
    except DriverError as error:
        return {"lines": [], "failure": error}
