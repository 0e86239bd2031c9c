"""An endpoint's page: overview, settings, deletion."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from endpoints import services
from endpoints.forms import DeleteForm, EndpointSettingsForm
from endpoints.models import Endpoint
from endpoints.queries import activity_around, get_endpoint_for
from endpoints.views.door import header, leads_on_when_gone, list_address, page
from studio.lib.errors import StudioError
from studio.lib.forms import show_error
from studio.lib.parts import asks_for_part
from workspaces.permissions import Need


@require_safe
@leads_on_when_gone(list_address)
def overview(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """What stands behind the address and what happened to it. The deployments' own room serves their cards."""
    endpoint = get_endpoint_for(request.user, ws, ep)
    context = header(endpoint) | {"tab": "overview", "activities": activity_around(endpoint)}
    return page(request, "endpoints/detail.html", context, part="activity")


@require_safe
@leads_on_when_gone(list_address)
def state(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """The state at the top of every tab, polled while something is under way."""
    endpoint = get_endpoint_for(request.user, ws, ep)
    if not asks_for_part(request):
        return redirect("endpoints:detail", endpoint.workspace.name, endpoint.name)
    return render(request, "endpoints/_state.html", header(endpoint))


@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """Description, tags, auth mode, rate limit; the way to delete."""
    endpoint = get_endpoint_for(request.user, ws, ep, need=Need.WRITE if request.method == "POST" else Need.READ)
    form = EndpointSettingsForm(request.POST or None, initial=_settings_of(endpoint))
    status = 200
    if request.method == "POST" and form.is_valid():
        changed = {name: form.cleaned_data[name] for name in form.changed_data}
        try:
            services.update_endpoint(endpoint=endpoint, by=request.user, **changed)
        except StudioError as error:
            show_error(form, error)
            status = error.http_status
        else:
            messages.success(request, "Saved." if changed else "Nothing was changed.")
            return redirect("endpoints:settings", endpoint.workspace.name, endpoint.name)
    elif request.method == "POST":
        status = 422
    return _settings_page(request, endpoint, form=form, status=status)


@require_POST
def delete(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """Start deleting the endpoint and all behind it."""
    endpoint = get_endpoint_for(request.user, ws, ep, need=Need.OPERATE)
    form = DeleteForm(request.POST, name=endpoint.name)
    if not form.is_valid():
        return _settings_page(request, endpoint, delete_form=form, status=422)
    try:
        services.delete_endpoint(endpoint=endpoint, by=request.user)
    except StudioError as error:
        form.add_error("confirm", f"{error.message} {error.hint}".strip())
        return _settings_page(request, endpoint, delete_form=form, status=error.http_status)
    messages.success(request, f"Endpoint {endpoint.name} is being deleted.")
    return redirect("endpoints:detail", endpoint.workspace.name, endpoint.name)


def _settings_of(endpoint: Endpoint) -> dict[str, Any]:
    return {name: getattr(endpoint, name) for name in EndpointSettingsForm.base_fields}


def _settings_page(request: HttpRequest, endpoint: Endpoint, *, status: int, **forms: Any) -> HttpResponse:
    defaults = {
        "form": EndpointSettingsForm(initial=_settings_of(endpoint)),
        "delete_form": DeleteForm(name=endpoint.name),
        "delete_url": reverse("endpoints:delete", args=[endpoint.workspace.name, endpoint.name]),
    }
    context = header(endpoint) | {"tab": "settings"} | defaults | forms
    return page(request, "endpoints/settings.html", context, status=status)
