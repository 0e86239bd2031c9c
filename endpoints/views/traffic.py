"""The Traffic tab: shares, mirroring, undo and history. The rules are in endpoints/traffic.py."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from endpoints import queries, services
from endpoints.forms import TrafficForm
from endpoints.models import Endpoint, TrafficVersion
from endpoints.queries import TrafficPreview, current_traffic, get_endpoint_for, traffic_history, why_not_serving
from endpoints.traffic import sentence
from endpoints.views.door import header, leads_on_when_gone, list_address, page
from studio.lib.errors import Conflict, StudioError
from workspaces.permissions import Need

VERSIONS_SHOWN = 30


@require_http_methods(["GET", "HEAD", "POST"])
@leads_on_when_gone(list_address)
def edit(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """POST checks the shares and shows the change as a sentence; posted again with `apply` it comes into force."""
    endpoint = get_endpoint_for(request.user, ws, ep, need=Need.WRITE if request.method == "POST" else Need.READ)
    newest = current_traffic(endpoint)
    reasons = why_not_serving(endpoint, already=newest.percents | newest.mirror)
    if request.method != "POST":
        return _traffic_page(request, endpoint, TrafficForm(deployments=reasons, initial=_initial(newest)))
    form = TrafficForm(request.POST, deployments=reasons, initial=_initial(newest))
    if not form.is_valid():
        return _traffic_page(request, endpoint, form, status=422)
    try:
        if "apply" in request.POST:
            return _apply(request, endpoint, form)
        preview = _preview(endpoint, form)
    except Conflict as error:
        form = _with_newest_number(request, endpoint, form)
        form.add_error(None, f"{error.message} {error.hint} What you typed is still here.")
        return _traffic_page(request, endpoint, form, status=error.http_status)
    except StudioError as error:
        form.refuse(error)
        return _traffic_page(request, endpoint, form, status=error.http_status)
    return _traffic_page(request, endpoint, form, preview=preview)


@require_POST
def undo(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """Back to the version before, or to version `number`."""
    endpoint = get_endpoint_for(request.user, ws, ep, need=Need.WRITE)
    number = request.POST.get("number", "")
    to_number = int(number) if number.isdecimal() and len(number) < 9 else None
    before = current_traffic(endpoint)
    try:
        version = services.undo_traffic(endpoint=endpoint, by=request.user, to_number=to_number)
    except StudioError as error:
        messages.error(request, f"{error.message} {error.hint}".strip())
    else:
        messages.success(request, f"Version {version.number}: {_words(before, version)}.")
    return redirect("endpoints:traffic", endpoint.workspace.name, endpoint.name)


def _preview(endpoint: Endpoint, form: TrafficForm) -> TrafficPreview:
    return queries.preview_traffic(
        endpoint, percents=form.percents, mirror=form.mirror, seen_number=form.cleaned_data["seen_number"]
    )


def _apply(request: HttpRequest, endpoint: Endpoint, form: TrafficForm) -> HttpResponse:
    before = current_traffic(endpoint)
    version = services.set_traffic(
        endpoint=endpoint,
        percents=form.percents,
        mirror=form.mirror,
        by=request.user,
        reason=form.cleaned_data["reason"],
        seen_number=form.cleaned_data["seen_number"],
    )
    if version.number == before.number:
        messages.info(request, "This is the traffic already in force; nothing was changed.")
    else:
        messages.success(request, f"Version {version.number}: {_words(before, version)}.")
    return redirect("endpoints:traffic", endpoint.workspace.name, endpoint.name)


def _with_newest_number(request: HttpRequest, endpoint: Endpoint, form: TrafficForm) -> TrafficForm:
    """The same form with what was typed, as if made from the version now in force."""
    newest = current_traffic(endpoint)
    data = request.POST.copy()
    data["seen_number"] = str(newest.number)
    again = TrafficForm(data, deployments=form.deployments, initial=_initial(newest))
    again.is_valid()
    return again


def _initial(version: TrafficVersion) -> dict[str, Any]:
    target, percent = next(iter(version.mirror.items()), ("", None))
    shares = {TrafficForm.field_of(name): value for name, value in version.percents.items()}
    return shares | {"seen_number": version.number, "mirror_target": target, "mirror_percent": percent}


def _words(before: TrafficVersion, after: TrafficVersion) -> str:
    """What changed from one version to another, mirroring included."""
    changes = [sentence(before.percents, after.percents)]
    mirrored = sentence(before.mirror, after.mirror)
    if mirrored != "no change":
        changes = [change for change in changes if change != "no change"] + [f"mirrored to {mirrored}"]
    return "; ".join(changes).replace(" %", "\N{NO-BREAK SPACE}%")


def _traffic_page(
    request: HttpRequest,
    endpoint: Endpoint,
    form: TrafficForm,
    *,
    preview: TrafficPreview | None = None,
    status: int = 200,
) -> HttpResponse:
    context = header(endpoint)
    newest: TrafficVersion = context["traffic"]
    history = _history(endpoint, newest)
    context |= {
        "tab": "traffic",
        "form": form,
        "rows": _rows(form, newest, context["behind"]),
        "preview": preview,
        "history": history,
        "undo": history[0]["undo_words"] if history and newest.number > 1 else "",
    }
    return page(request, "endpoints/traffic.html", context, part="force", status=status)


def _rows(form: TrafficForm, newest: TrafficVersion, behind: list[Any]) -> list[dict[str, Any]]:
    instances = {deployment.name: deployment for deployment in behind}
    return [
        {
            "name": name,
            "field": form[form.field_of(name)],
            "reason": reason,
            "now": newest.percents.get(name, 0),
            "value": _shown_share(form, name),
            "behind": instances.get(name),
        }
        for name, reason in form.deployments.items()
    ]


def _shown_share(form: TrafficForm, name: str) -> int:
    """What the slider stands at: what was typed, as far as it is a share."""
    value = str(form[form.field_of(name)].value() or 0)
    return min(int(value), 100) if value.isdecimal() and len(value) < 9 else 0


def _history(endpoint: Endpoint, newest: TrafficVersion) -> list[dict[str, Any]]:
    """Versions, newest first, each with what it changed and what going back to it would change."""
    versions = list(traffic_history(endpoint, most=VERSIONS_SHOWN + 1))
    pairs = list(zip(versions, [*versions[1:], None], strict=True))[:VERSIONS_SHOWN]
    return [
        {
            "version": version,
            "words": _words(before, version) if before else "No traffic",
            "undo_words": _words(version, before) if before else "",
            "back_words": _words(newest, version) if version.number != newest.number else "",
            "is_same": (version.percents, version.mirror) == (newest.percents, newest.mirror),
        }
        for version, before in pairs
    ]
