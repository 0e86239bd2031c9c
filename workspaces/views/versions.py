"""What versions of models, environments and code have in common: archive, restore, delete, files."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect

from studio.lib.errors import NotFound, StudioError
from workspaces.models import CodeVersion, EnvironmentVersion, FileTree, RegisteredModelVersion
from workspaces.services import assets
from workspaces.staging import store

AnyVersion = RegisteredModelVersion | EnvironmentVersion | CodeVersion
ROWS_PER_PAGE = 50


def page_of(request: HttpRequest, rows: Any) -> Page[Any]:
    """The rows of the page that `?page=` names; the nearest there is when it names none."""
    return Paginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))


def set_archived(request: HttpRequest, version: AnyVersion, *, archived: bool, url: str) -> HttpResponse:
    assets.archive_version(version=version, by=request.user, archived=archived)
    done = "archived: new deployments no longer offer it, what uses it goes on" if archived else "restored"
    messages.success(request, f"{version} is {done}.")
    return redirect(url)


def delete_confirmed(request: HttpRequest, version: AnyVersion, *, url: str, list_url: str) -> HttpResponse:
    """Delete when the typed name is the version's; otherwise, and when it is in use, back with the reason."""
    name = str(version)
    if request.POST.get("confirm", "").strip() != name:
        messages.error(request, f"Nothing was deleted: type '{name}' to confirm.")
        return redirect(url)
    try:
        assets.delete_version(version=version, by=request.user)
    except StudioError as error:
        messages.error(request, f"{error.message} {error.hint}".strip())
        return redirect(url)
    messages.success(request, f"{name} is deleted.")
    return redirect(list_url)


def used_by(version: AnyVersion) -> Iterable[Any]:
    """The revisions made from it, newest first, with their deployments and endpoints."""
    return version.revisions.select_related("deployment__endpoint").order_by("-created_at")[:50]


def file_response(files: FileTree, path: str) -> FileResponse:
    """One stored file as a download, whatever its type. Raises NotFound."""
    for listed, sha256, size_bytes in files.manifest:
        if listed == path:
            name = posixpath.basename(path)
            response = FileResponse(store().open(sha256), as_attachment=True, filename=name)
            response.headers["Content-Type"] = "application/octet-stream"
            response.headers["Content-Length"] = str(size_bytes)
            return response
    raise NotFound(f"There is no file '{path}' in this version.")
