"""Environments: list, create, watch being built, archive, delete."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from studio.lib.errors import StudioError
from studio.lib.forms import show_error
from studio.lib.parts import asks_for_part, template_for
from workspaces import queries, staging
from workspaces.builds.conda import with_package
from workspaces.forms import EnvironmentForm
from workspaces.models import EnvironmentBuild, EnvironmentVersion, Workspace
from workspaces.permissions import Need
from workspaces.services import environments as services
from workspaces.views import versions

LOG_LINES_SHOWN = 400
UNDER_WAY = (EnvironmentBuild.State.QUEUED, EnvironmentBuild.State.RUNNING)


@require_GET
def index(request: HttpRequest, ws: str) -> HttpResponse:
    """`?q=` searches names; `?archived=1` shows archived versions too."""
    workspace = queries.get_workspace_for(request.user, ws)
    search, archived = request.GET.get("q", "").strip(), request.GET.get("archived") == "1"
    found = queries.environments_in(workspace).filter(name__icontains=search)
    rows = [row for row in (_row(environment, archived) for environment in found) if row]
    own = [row for row in rows if not row["environment"].is_curated]
    context = {
        "workspace": workspace,
        "page": versions.page_of(request, own),
        "curated": [row for row in rows if row["environment"].is_curated],
        "q": search,
        "archived": archived,
        "is_settled": not any(is_under_way(row["newest"]) for row in rows),
    }
    return render(request, template_for(request, "workspaces/environments.html", "rows"), context)


def _row(environment: Any, archived: bool) -> dict[str, Any] | None:
    """The environment with its newest version; None when all are archived and those are not wanted."""
    newest = next((v for v in environment.versions.all() if archived or not v.archived_at), None)
    if newest is None:
        return None
    newest.environment = environment
    return {"environment": environment, "newest": newest, "is_waiting_for_use": is_waiting_for_use(newest)}


def is_waiting_for_use(version: EnvironmentVersion) -> bool:
    """A curated environment is built when something first uses it; until then its build only stands in the queue."""
    if version.build.state != EnvironmentBuild.State.QUEUED or not version.environment.is_curated:
        return False
    wanted = Q(environment__is_curated=False) | Q(revisions__isnull=False)
    return not version.build.versions.filter(wanted).exists()


def is_under_way(version: EnvironmentVersion) -> bool:
    return version.build.state in UNDER_WAY and not is_waiting_for_use(version)


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest, ws: str) -> HttpResponse:
    """`?from=name:version` begins with that version's definition, `&add=` with one more package.

    `?next=` is a page of the studio that goes on with the new version: it gets `environment=<id>`.
    """
    workspace = queries.get_workspace_for(request.user, ws, need=Need.WRITE)
    form = EnvironmentForm(request.POST or None, initial=_initial(workspace, request))
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_environment_version(workspace=workspace, by=request.user, **form.for_service())
        except StudioError as error:
            show_error(form, error, names={"": form.definition_field})
        else:
            messages.success(request, f"{made} is registered.")
            onward = request.GET.get("next", "")
            if onward.startswith("/") and url_has_allowed_host_and_scheme(onward, None):
                return redirect(f"{onward}?environment={made.pk}")
            return redirect("workspaces:environment-version", workspace.name, made.environment.name, made.version)
    return render(request, "workspaces/create_environment.html", {"workspace": workspace, "form": form})


def _initial(workspace: Workspace, request: HttpRequest) -> dict[str, Any]:
    name, _, number = request.GET.get("from", "").partition(":")
    package = request.GET.get("add", "").strip()
    if not number:
        return {}
    found = queries.get_environment_version(workspace, name, number)
    return {
        "name": f"my-{name}" if found.environment.is_curated else name,
        "kind": "pip" if found.pip_requirements.strip() else "conda",
        "conda_file": with_package(found.conda_file, package),
        "pip_requirements": f"{found.pip_requirements.rstrip()}\n{package}\n" if package else found.pip_requirements,
        "image": found.image,
        "description": found.description,
        "tags": found.tags,
    }


@require_GET
def detail(request: HttpRequest, ws: str, name: str) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws)
    environment = queries.get_environment(workspace, name)
    newest = environment.versions.filter(archived_at__isnull=True).first()
    return _show(
        request, workspace, queries.get_environment_version(workspace, name, newest.version if newest else "latest")
    )


@require_GET
def version(request: HttpRequest, ws: str, name: str, version: str) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws)
    return _show(request, workspace, queries.get_environment_version(workspace, name, version))


def _show(request: HttpRequest, workspace: Workspace, shown: EnvironmentVersion) -> HttpResponse:
    watched = request.GET.get("watch") == "1" and shown.build.state in UNDER_WAY
    context = {
        "workspace": workspace,
        "environment": shown.environment,
        "version": shown,
        "build": shown.build,
        "is_settled": not (watched or is_under_way(shown)),
        "is_waiting_for_use": is_waiting_for_use(shown) and not watched,
        "log_lines": staging.build_log(shown.build, most=LOG_LINES_SHOWN),
    }
    if asks_for_part(request):
        return render(request, "workspaces/environment.html#build", context)
    context |= {
        "versions": shown.environment.versions.select_related("build", "created_by"),
        "revisions": versions.used_by(shown),
        "activities": queries.activities_of("environment", shown.environment.pk, most=10),
    }
    return render(request, "workspaces/environment.html", context)


@require_POST
def rebuild(request: HttpRequest, ws: str, name: str, version: str) -> HttpResponse:
    """Build what was never built, try again what failed, check what succeeded."""
    found, url = _to_change(request, ws, name, version)
    if found.build.state == EnvironmentBuild.State.QUEUED:
        services.ensure_build_wanted(build=found.build)
    else:
        services.rebuild(build=found.build, by=request.user)
    return redirect(f"{url}?watch=1")


@require_POST
def archive(request: HttpRequest, ws: str, name: str, version: str) -> HttpResponse:
    found, url = _to_change(request, ws, name, version)
    return versions.set_archived(request, found, archived=True, url=url)


@require_POST
def restore(request: HttpRequest, ws: str, name: str, version: str) -> HttpResponse:
    found, url = _to_change(request, ws, name, version)
    return versions.set_archived(request, found, archived=False, url=url)


@require_POST
def delete(request: HttpRequest, ws: str, name: str, version: str) -> HttpResponse:
    found, url = _to_change(request, ws, name, version)
    return versions.delete_confirmed(request, found, url=url, list_url=reverse("workspaces:environments", args=[ws]))


def _to_change(request: HttpRequest, ws: str, name: str, version: str) -> tuple[EnvironmentVersion, str]:
    workspace = queries.get_workspace_for(request.user, ws, need=Need.WRITE)
    found = queries.get_environment_version(workspace, name, version)
    return found, reverse(
        "workspaces:environment-version", args=[workspace.name, found.environment.name, found.version]
    )
