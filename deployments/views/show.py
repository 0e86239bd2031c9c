"""The deployments of an endpoint as cards, and one deployment's page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from deployments.forms import ScaleForm
from deployments.models import Deployment, Instance
from deployments.queries import activity_of, deployments_behind, get_deployment_for, instances_of, revisions_of
from deployments.remedies import remedies_of
from deployments.views.sentences import state_sentence
from endpoints.forms import DeleteForm
from endpoints.models import Endpoint, TrafficVersion
from endpoints.queries import current_traffic, get_endpoint_for
from endpoints.views.door import leads_on_when_gone, list_address, page
from studio.lib.parts import asks_for_part
from workspaces.models import Operation, Target
from workspaces.queries import latest_operation

ENDED_SHOWN = 20


def endpoint_address(*, ws: str, ep: str, **_: str) -> str:
    return reverse("endpoints:detail", args=[ws, ep])


@require_safe
@leads_on_when_gone(list_address)
def index(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """The cards, as a page or as the part that the endpoint's page asks for."""
    endpoint = get_endpoint_for(request.user, ws, ep)
    traffic = current_traffic(endpoint)
    deployments = deployments_behind(endpoint)
    cards = [_card(deployment, traffic) for deployment in deployments]
    context = {
        "workspace": endpoint.workspace,
        "endpoint": endpoint,
        "cards": cards,
        "names": [deployment.name for deployment in deployments],
        "is_live": endpoint.state == Endpoint.State.DELETING or any(card["is_live"] for card in cards),
    }
    return page(request, "deployments/list.html", context, part="cards")


def _card(deployment: Deployment, traffic: TrafficVersion) -> dict[str, Any]:
    operation: Operation | None = deployment.operation  # type: ignore[attr-defined]
    return _facts(deployment, traffic) | _about(deployment, operation)


def _facts(deployment: Deployment, traffic: TrafficVersion) -> dict[str, Any]:
    """Share, revision and instances of a deployment that came with its `ready_count`."""
    ready: int = deployment.ready_count  # type: ignore[attr-defined]
    share, mirrored = traffic.percents.get(deployment.name, 0), traffic.mirror.get(deployment.name, 0)
    return {
        "deployment": deployment,
        "revision": deployment.serving_revision or deployment.wanted_revision,
        "share": share,
        "mirrored": mirrored,
        "ready": ready,
        "state": state_sentence(deployment, ready=ready, share=share, mirrored=mirrored),
    }


def _about(deployment: Deployment, operation: Operation | None) -> dict[str, Any]:
    """What runs or went wrong. A settled deployment has as many instances as wanted, and no operation."""
    is_running = operation is not None and operation.state == Operation.State.IN_PROGRESS
    failed = operation is not None and operation.state == Operation.State.FAILED
    ready: int = deployment.ready_count  # type: ignore[attr-defined]
    healing = deployment.serving_revision_id is not None and ready < deployment.wanted_instance_count
    return {
        "operation": operation,
        "is_running": is_running,
        "is_failed": failed and deployment.state == Deployment.State.FAILED,
        "may_cancel": is_running and operation is not None and operation.kind != Operation.Kind.DELETE_DEPLOYMENT,
        "is_live": is_running or healing or deployment.state == Deployment.State.DELETING,
    }


@require_safe
@leads_on_when_gone(endpoint_address)
def detail(request: HttpRequest, ws: str, ep: str, dep: str) -> HttpResponse:
    """One deployment: state, operation, instances (the part that is polled), revisions, scaling, deletion."""
    deployment = get_deployment_for(request.user, ws, ep, dep)
    return detail_page(request, deployment)


def detail_page(request: HttpRequest, deployment: Deployment, *, status: int = 200, **forms: Any) -> HttpResponse:
    """The page with forms as they came back from a service that refused."""
    traffic = current_traffic(deployment.endpoint)
    operation = latest_operation(Target.DEPLOYMENT, deployment.pk)
    instances = instances_of(deployment)
    live = [row for row in instances if row.state not in Instance.ENDED_STATES]
    revision = deployment.serving_revision or deployment.wanted_revision
    behind = Deployment.objects.filter(endpoint=deployment.endpoint).order_by("created_at")
    context = _facts(deployment, traffic) | _about(deployment, operation)
    context |= {
        "workspace": deployment.endpoint.workspace,
        "endpoint": deployment.endpoint,
        "names": list(behind.values_list("name", flat=True)),
        "instances": live,
        "ended": [row for row in instances if row not in live][:ENDED_SHOWN],
        "revisions": revisions_of(deployment),
        "variable_names": sorted(revision.environment_variables) if revision else [],
        "activities": activity_of(deployment),
        "is_part": asks_for_part(request),
        "scale_form": ScaleForm(initial={"instance_count": deployment.wanted_instance_count}),
        "delete_form": DeleteForm(name=deployment.name),
    }
    context["remedies"] = remedies_of(deployment, operation) if context["is_failed"] else []
    unsettled = any(row.state not in (Instance.State.READY, Instance.State.UNREADY) for row in live)
    context["is_live"] = context["is_live"] or unsettled
    return page(request, "deployments/detail.html", context | forms, part="status", status=status)
