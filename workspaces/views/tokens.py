"""Personal access tokens: everybody's own, for the API."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from studio.lib.errors import NotFound
from workspaces import queries
from workspaces.forms import AccessTokenForm
from workspaces.models import AccessToken
from workspaces.services import people


@never_cache
@require_http_methods(["GET", "POST"])
def index(request: HttpRequest, ws: str) -> HttpResponse:
    """The new token's text is in the answer to the POST and nowhere else, so this is the one form without a redirect."""
    workspace = queries.get_workspace_for(request.user, ws)
    form, made, text = AccessTokenForm(request.POST or None), None, ""
    if request.method == "POST" and form.is_valid():
        made, text = people.create_access_token(user=request.user, workspace=workspace, **form.for_service())
        form = AccessTokenForm()
    tokens = _own(request.user).filter(Q(workspace=workspace) | Q(workspace=None))
    context = {
        "workspace": workspace,
        "form": form,
        "tokens": [(token, _state(token)) for token in tokens],
        "made": made,
        "text": text,
    }
    return render(request, "workspaces/tokens.html", context)


@require_POST
def revoke(request: HttpRequest, ws: str, token_id: int) -> HttpResponse:
    workspace = queries.get_workspace_for(request.user, ws)
    token = _own(request.user).filter(pk=token_id).first()
    if token is None:
        raise NotFound("You have no such access token.")
    people.revoke_access_token(token=token, by=request.user)
    messages.success(request, f"The token '{token.name}' no longer works.")
    return redirect("workspaces:tokens", workspace.name)


def _own(user: Any) -> QuerySet[AccessToken]:
    return AccessToken.objects.filter(user=user)


def _state(token: AccessToken) -> str:
    if token.revoked_at:
        return "Revoked"
    return "Expired" if token.expires_at and token.expires_at < timezone.now() else "Active"
