"""Accounts of the installation, for administrators; one's own password, for everybody."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model, update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from studio.lib.errors import NotFound, StudioError
from studio.lib.forms import show_error
from workspaces import queries
from workspaces.forms import AccountForm, PasswordForm
from workspaces.permissions import check_administrator
from workspaces.services import accounts


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """A password that was made is in the answer to the POST and nowhere else, so there is no redirect then."""
    check_administrator(request.user)
    form = AccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user, password = accounts.create_account(by=request.user, **form.cleaned_data)
        except StudioError as error:
            show_error(form, error)
        else:
            if password:
                return _render(request, AccountForm(), made=user, password=password)
            messages.success(request, f"The account {user} is made; a workspace's owner can now add it as a member.")
            return redirect("workspaces:accounts")
    return _render(request, form, status=422 if request.method == "POST" else 200)


@require_POST
def change(request: HttpRequest, account_id: int) -> HttpResponse:
    """`active` or `administrator`, each "yes" or "no"."""
    check_administrator(request.user)
    user = _account(account_id)
    asked = {f"is_{name}": request.POST.get(name) for name in ("active", "administrator")}
    wanted = {name: value == "yes" for name, value in asked.items() if value in ("yes", "no")}
    try:
        accounts.change_account(user=user, by=request.user, **wanted)
    except StudioError as error:
        messages.error(request, f"{error.message} {error.hint}".strip())
    else:
        messages.success(request, f"{user}: {_now(user)}.")
    return redirect("workspaces:accounts") if user != request.user or user.is_superuser else redirect("studio:home")


@never_cache
@require_POST
def reset(request: HttpRequest, account_id: int) -> HttpResponse:
    """The new password is in this answer and nowhere else."""
    check_administrator(request.user)
    user = _account(account_id)
    password = accounts.reset_password(user=user, by=request.user)
    if user == request.user:
        update_session_auth_hash(request, user)
    return _render(request, AccountForm(), made=user, password=password)


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """One's own."""
    form, status = PasswordForm(request.POST or None), 200
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            accounts.change_own_password(user=request.user, present=given["present"], new=given["new"])
        except StudioError as error:
            show_error(form, error)
        else:
            update_session_auth_hash(request, request.user)  # type: ignore[arg-type]
            messages.success(request, "Your password is changed. Other browsers of yours are signed out.")
            return redirect("studio:home")
    if request.method == "POST":
        status = 422
    return render(request, "workspaces/password.html", {"form": form}, status=status)


def _account(account_id: int) -> Any:
    found = get_user_model().objects.filter(pk=account_id).first()
    if found is None:
        raise NotFound("There is no such account.")
    return found


def _now(user: Any) -> str:
    if not user.is_active:
        return "deactivated and signed out everywhere"
    return "active, an administrator" if user.is_superuser else "active, no administrator"


def _render(request: HttpRequest, form: AccountForm, *, status: int = 200, **more: Any) -> HttpResponse:
    context = {"form": form, "accounts": queries.accounts(), "activities": queries.activities_of_accounts()}
    return render(request, "workspaces/accounts.html", context | more, status=status)
