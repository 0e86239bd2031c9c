"""Sign in, the way to a workspace, and the choice between light and dark."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from workspaces.queries import workspaces_for
from workspaces.services.sign_in import TooManyAttempts, begin_sign_in, end_sign_in

THEME_LASTS_SECONDS = 365 * 86_400


@method_decorator(login_not_required, name="dispatch")
class SignIn(LoginView):
    """A part of a page that is asked for after the session has ended reloads the page instead of showing a form in it."""

    template_name = "studio/sign_in.html"
    redirect_authenticated_user = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.headers.get("HX-Request"):
            return HttpResponse(status=200, headers={"HX-Refresh": "true"})
        return super().dispatch(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Counted before the password is looked at; too many attempts get a page that says when to come back."""
        who = {"account": request.POST.get("username", ""), "address": address_of(request)}
        try:
            begin_sign_in(**who)
        except TooManyAttempts as error:
            refused = render(request, "error.html", {"error": error}, status=error.http_status)
            refused.headers["Retry-After"] = str(error.retry_after_seconds)
            return refused
        response = super().post(request, *args, **kwargs)
        if request.user.is_authenticated:
            end_sign_in(**who)
        return response


def address_of(request: HttpRequest) -> str:
    """Where a request comes from. Only the gateway uses the web's unix socket, and it adds the caller's address last."""
    direct = request.META.get("REMOTE_ADDR", "")
    return (direct or request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip())[:45]


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The user's only workspace, or a choice."""
    places = list(workspaces_for(request.user))
    if len(places) == 1:
        return redirect("workspaces:home", places[0].name)
    return render(request, "studio/home.html", {"workspaces": places})


@require_POST
@login_not_required
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the choice in a cookie; anything but light and dark follows the system again."""
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        target = settings.LOGIN_REDIRECT_URL
    response: HttpResponse = HttpResponseRedirect(target) if target.startswith("/") else redirect(target)
    chosen = request.POST.get("theme", "")
    if chosen in ("light", "dark"):
        response.set_cookie("studio_theme", chosen, max_age=THEME_LASTS_SECONDS, samesite="Lax")
    else:
        response.delete_cookie("studio_theme", samesite="Lax")
    return response
