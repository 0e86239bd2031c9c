"""Who belongs to a workspace. For its owners."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from studio.lib.errors import NotFound, StudioError
from studio.lib.forms import show_error
from workspaces import queries
from workspaces.forms import AddMemberForm, MemberForm
from workspaces.models import Member, Workspace
from workspaces.permissions import Need
from workspaces.services import people


@require_http_methods(["GET", "POST"])
def index(request: HttpRequest, ws: str) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws, need=Need.OWN)
    form = AddMemberForm(request.POST or None, workspace=workspace)
    if request.method == "POST" and form.is_valid():
        try:
            member = people.set_member(workspace=workspace, by=request.user, **form.for_service())
        except StudioError as error:
            show_error(form, error)
        else:
            messages.success(request, f"{member.user} is now a member ({member.get_role_display()}).")
            return redirect("workspaces:members", workspace.name)
    return _render(request, workspace, form)


@require_POST
def change(request: HttpRequest, ws: str, member_id: int) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws, need=Need.OWN)
    member = _member(workspace, member_id)
    form = MemberForm(request.POST, prefix=f"member-{member.pk}")
    if form.is_valid():
        try:
            people.set_member(workspace=workspace, user=member.user, by=request.user, **form.cleaned_data)
        except StudioError as error:
            show_error(form, error)
        else:
            messages.success(request, f"{member.user}'s membership is changed.")
            return redirect("workspaces:members", workspace.name)
    return _render(request, workspace, AddMemberForm(workspace=workspace), changed={member.pk: form})


@require_POST
def remove(request: HttpRequest, ws: str, member_id: int) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws, need=Need.OWN)
    member = _member(workspace, member_id)
    if request.POST.get("confirm", "").strip() != member.user.get_username():
        messages.error(request, f"Nobody was removed: type '{member.user}' to confirm.")
        return redirect("workspaces:members", workspace.name)
    try:
        people.remove_member(member=member, by=request.user)
    except StudioError as error:
        messages.error(request, f"{error.message} {error.hint}".strip())
    else:
        messages.success(request, f"{member.user} is no longer a member.")
    own = member.user == request.user and not Member.objects.filter(workspace=workspace, user=request.user).exists()
    return redirect("studio:home") if own else redirect("workspaces:members", workspace.name)


def _member(workspace: Workspace, member_id: int) -> Member:
    member = workspace.members.select_related("user", "workspace").filter(pk=member_id).first()
    if member is None:
        raise NotFound(f"There is no such member of '{workspace.name}'; they may have been removed meanwhile.")
    return member


def _render(
    request: HttpRequest, workspace: Workspace, form: AddMemberForm, changed: dict[int, MemberForm] | None = None
) -> HttpResponse:
    rows = []
    for member in workspace.members.select_related("user").order_by("user__username"):
        initial = {"role": member.role, "can_read_keys": member.can_read_keys}
        its_form = (changed or {}).get(member.pk) or MemberForm(initial=initial, prefix=f"member-{member.pk}")
        rows.append({"member": member, "form": its_form, "dialog_id": f"remove-{member.pk}"})
    return render(request, "workspaces/members.html", {"workspace": workspace, "form": form, "rows": rows})
