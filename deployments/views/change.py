"""Verbs on a deployment: create, update, retry, scale, cancel, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from deployments.forms import DeploymentForm, RevisionForm, ScaleForm, UpdateForm, default_instance_type
from deployments.models import Deployment, Revision
from deployments.queries import Choices, choices_in, get_deployment_for, offers
from deployments.remedies import find_remedy
from deployments.services import deployments as services
from deployments.services.revisions import RevisionSpec
from deployments.views.show import detail_page
from endpoints.forms import DeleteForm
from endpoints.models import Endpoint
from endpoints.queries import get_endpoint_for
from endpoints.views.door import page
from studio.lib.errors import Conflict, StudioError
from studio.lib.forms import show_error
from workspaces.permissions import Need
from workspaces.services.assets import register_code


@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """A new deployment; goes on to its page, where its progress is."""
    endpoint = get_endpoint_for(request.user, ws, ep, need=Need.WRITE)
    choices = choices_in(endpoint.workspace)
    room, quota = offers(choices.instance_types)
    posted = (request.POST, request.FILES) if request.method == "POST" else (None, None)
    form = DeploymentForm(*posted, choices=choices, offers=room, initial=_first_choice(request, choices))
    status = 200
    if request.method == "POST":
        try:
            if _complete(request, form, endpoint):
                values = form.values()
                services.create_deployment(
                    endpoint=endpoint,
                    by=request.user,
                    wanted=RevisionSpec(**values),
                    **{name: form.cleaned_data[name] for name in ("name", "instance_count", "description", "tags")},
                )
                return _go_on(request, endpoint, form.cleaned_data["name"])
        except StudioError as error:
            form.refuse(error)
        status = 422
    context = {"workspace": endpoint.workspace, "endpoint": endpoint, "form": form, "quota": quota}
    return page(request, "deployments/create.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def update(request: HttpRequest, ws: str, ep: str, dep: str) -> HttpResponse:
    """A patch of what is wanted now: a new revision starts beside the one that serves."""
    deployment = get_deployment_for(request.user, ws, ep, dep, need=Need.WRITE)
    base = _base(deployment)
    choices = choices_in(deployment.endpoint.workspace, besides=base)
    room, quota = offers(choices.instance_types, leaving_out=deployment)
    posted = (request.POST, request.FILES) if request.method == "POST" else (None, None)
    form = UpdateForm(*posted, choices=choices, offers=room, initial=_initial(request, base, choices))
    status = 200
    if request.method == "POST":
        try:
            if _complete(request, form, deployment.endpoint):
                _refuse_if_stale(form, base)
                _update(request, deployment, form)
                return _go_on(request, deployment.endpoint, deployment.name)
        except StudioError as error:
            form.refuse(error)
        status = 422
    context = {
        "workspace": deployment.endpoint.workspace,
        "endpoint": deployment.endpoint,
        "deployment": deployment,
        "form": form,
        "quota": quota,
        "base": base,
    }
    return page(request, "deployments/update.html", context, status=status)


@require_POST
def retry(request: HttpRequest, ws: str, ep: str, dep: str) -> HttpResponse:
    """Try what is wanted once more, as a new revision."""
    deployment = get_deployment_for(request.user, ws, ep, dep, need=Need.WRITE)
    return _do(request, deployment, services.update_deployment, always=True)


@require_POST
def remedy(request: HttpRequest, ws: str, ep: str, dep: str) -> HttpResponse:
    """`name` is one of the remedies that the failed operation's panel offers now."""
    deployment = get_deployment_for(request.user, ws, ep, dep, need=Need.WRITE)
    chosen = find_remedy(deployment, request.POST.get("name", ""))
    if chosen is None:
        messages.error(request, "This remedy is no longer offered: the deployment has moved on.")
        return _back(deployment)
    return _do(request, deployment, services.update_deployment, change=chosen.change)


@require_POST
def scale(request: HttpRequest, ws: str, ep: str, dep: str) -> HttpResponse:
    """Change the number of instances."""
    deployment = get_deployment_for(request.user, ws, ep, dep, need=Need.WRITE)
    form = ScaleForm(request.POST)
    if not form.is_valid():
        return detail_page(request, deployment, scale_form=form, status=422)
    try:
        operation = services.scale_deployment(deployment=deployment, by=request.user, **form.cleaned_data)
    except StudioError as error:
        show_error(form, error, names={"instance_type": "instance_count"})
        return detail_page(request, deployment, scale_form=form, status=error.http_status)
    if operation is None:
        messages.info(request, "That many instances are wanted already; nothing was changed.")
    return _back(deployment)


@require_POST
def cancel(request: HttpRequest, ws: str, ep: str, dep: str) -> HttpResponse:
    """Ask the running operation to stop."""
    deployment = get_deployment_for(request.user, ws, ep, dep, need=Need.WRITE)
    return _do(request, deployment, services.cancel_operation)


@require_POST
def delete(request: HttpRequest, ws: str, ep: str, dep: str) -> HttpResponse:
    """Drain, stop and remove. Refused, with the reason, while the deployment has traffic."""
    deployment = get_deployment_for(request.user, ws, ep, dep, need=Need.OPERATE)
    form = DeleteForm(request.POST, name=deployment.name)
    if not form.is_valid():
        return detail_page(request, deployment, delete_form=form, status=422)
    try:
        services.delete_deployment(deployment=deployment, by=request.user)
    except StudioError as error:
        form.add_error("confirm", f"{error.message} {error.hint}".strip())
        return detail_page(request, deployment, delete_form=form, status=error.http_status)
    return _back(deployment)


def _complete(request: HttpRequest, form: RevisionForm, endpoint: Endpoint) -> bool:
    """Whether the form can go to a service. Uploaded code is registered first, so that a mistake elsewhere loses nothing."""
    is_valid = form.is_valid()
    if form.uploads and not {"code_files", "code_folder", "paths"} & set(form.errors):
        code = register_code(workspace=endpoint.workspace, name=endpoint.name, by=request.user, **form.code_source)
        form.use_code(code)
    return is_valid


def _update(request: HttpRequest, deployment: Deployment, form: UpdateForm) -> None:
    changed = form.changed_values()
    operation = services.update_deployment(
        deployment=deployment, by=request.user, change=lambda wanted: replace(wanted, **changed)
    )
    if operation is None:
        messages.info(request, "Nothing was changed, so there is no new revision.")


def _base(deployment: Deployment) -> Revision:
    base = deployment.wanted_revision or deployment.serving_revision
    if base is None:
        raise Conflict(f"'{deployment.name}' is being removed and cannot be changed.")
    return base


def _refuse_if_stale(form: UpdateForm, base: Revision) -> None:
    seen = form.cleaned_data["seen_revision"]
    if seen == base.number:
        return
    data = cast(QueryDict, form.data).copy()
    data["seen_revision"] = str(base.number)
    form.data = data
    raise Conflict(
        f"Somebody else changed this deployment meanwhile (revision {base.number}, you saw {seen}).",
        hint="What you typed is still here; look at it against the new revision and save again.",
    )


def _initial(request: HttpRequest, base: Revision, choices: Choices) -> dict[str, Any]:
    """What is wanted now; `?environment=<id>` puts another environment in its place."""
    asked = [row for row in choices.environments if str(row.pk) == request.GET.get("environment")]
    return UpdateForm.initial_of(base) | ({"environment_version": asked[0]} if asked else {})


def _first_choice(request: HttpRequest, choices: Choices) -> dict[str, Any]:
    """What a new deployment most likely wants; `?model=<id>` says which model."""
    kind = default_instance_type(choices.instance_types)
    wanted = [row for row in choices.models if str(row.pk) == request.GET.get("model")]
    model = next(iter([*wanted, *sorted(choices.models, key=lambda row: row.created_at, reverse=True)]), None)
    code = max(choices.codes, key=lambda row: row.created_at, default=None)
    own = [row for row in choices.environments if not row.environment.is_curated]
    environment = max(own or choices.environments, key=lambda row: row.created_at, default=None)
    return {"instance_type": kind, "model_version": model, "code_version": code, "environment_version": environment}


def _do(request: HttpRequest, deployment: Deployment, verb: Any, **arguments: Any) -> HttpResponse:
    try:
        verb(deployment=deployment, by=request.user, **arguments)
    except StudioError as error:
        messages.error(request, f"{error.message} {error.hint}".strip())
    return _back(deployment)


def _back(deployment: Deployment) -> HttpResponse:
    endpoint = deployment.endpoint
    return redirect("deployments:detail", endpoint.workspace.name, endpoint.name, deployment.name)


def _go_on(request: HttpRequest, endpoint: Endpoint, name: str) -> HttpResponse:
    """To the deployment's page; a script that uploads is told where that is."""
    address = reverse("deployments:detail", args=[endpoint.workspace.name, endpoint.name, name])
    if request.headers.get("X-Requested-With") == "XMLHttpRequest":
        return HttpResponse(status=201, headers={"Location": address})
    return redirect(address)
