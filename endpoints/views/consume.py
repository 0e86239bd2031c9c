"""The Consume tab: addresses, credentials on demand, commands to paste."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from endpoints import services
from endpoints.models import AuthMode, Endpoint
from endpoints.queries import get_endpoint_for
from endpoints.views import snippets
from endpoints.views.door import header, page
from studio.lib.errors import NotFound, StudioError
from workspaces.permissions import Need
from workspaces.services.record import record

KEYS = ("primary", "secondary")


@require_safe
def consume(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """Where and how to score. Credentials are shown only by the POST views below."""
    return _consume_page(request, get_endpoint_for(request.user, ws, ep))


@require_POST
@never_cache
def reveal_keys(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """Both keys, once, on this answer. Goes into the activity."""
    endpoint = get_endpoint_for(request.user, ws, ep, need=Need.KEYS)
    record(subject=endpoint.activity_subject(), verb="keys shown", by=request.user)
    keys = {which: getattr(endpoint, f"{which}_key") for which in KEYS}
    return _consume_page(request, endpoint, keys=keys, credential=endpoint.primary_key)


@require_POST
@never_cache
def fetch_token(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """A new token, once, on this answer. Goes into the activity."""
    endpoint = get_endpoint_for(request.user, ws, ep, need=Need.KEYS)
    if endpoint.auth_mode != AuthMode.AML_TOKEN:
        messages.error(request, "This endpoint takes keys, not tokens.")
        return redirect("endpoints:consume", endpoint.workspace.name, endpoint.name)
    try:
        token = services.issue_token(endpoint=endpoint)
    except StudioError as error:
        return _consume_page(request, endpoint, failure=error, status=error.http_status)
    record(subject=endpoint.activity_subject(), verb="token fetched", by=request.user)
    return _consume_page(request, endpoint, token=token, credential=token.token)


@require_POST
def regenerate_key(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """Replace the primary or secondary key."""
    endpoint = get_endpoint_for(request.user, ws, ep, need=Need.OPERATE)
    which = request.POST.get("which", "")
    try:
        services.regenerate_key(endpoint=endpoint, which=which, by=request.user)
    except StudioError as error:
        messages.error(request, f"{error.message} {error.hint}".strip())
    else:
        messages.success(request, f"The {which} key is new; the old one stops working as soon as the gateway has it.")
    return redirect("endpoints:consume", endpoint.workspace.name, endpoint.name)


@require_safe
def certificate(request: HttpRequest, ws: str, ep: str) -> HttpResponse | FileResponse:
    """The authority's certificate, for callers on other machines."""
    get_endpoint_for(request.user, ws, ep)
    try:
        file = snippets.ca_file().open("rb")
    except FileNotFoundError:
        raise NotFound("This installation has no certificate authority of its own.") from None
    return FileResponse(file, as_attachment=True, filename="ca.pem", content_type="application/x-pem-file")


def _consume_page(request: HttpRequest, endpoint: Endpoint, *, status: int = 200, **more: Any) -> HttpResponse:
    body, credential = snippets.sample_body(endpoint), more.pop("credential", "")
    context: dict[str, Any] = header(endpoint) | {
        "tab": "consume",
        "takes_keys": endpoint.auth_mode == AuthMode.KEY,
        "curl": snippets.curl(endpoint, body=body, credential=credential),
        "python": snippets.python(endpoint, body=body, credential=credential),
        "placeholder": snippets.placeholder(endpoint),
        "has_credential": bool(credential),
        "ca_file": snippets.ca_file(),
        "key_names": KEYS,
    }
    return page(request, "endpoints/consume.html", context | more, status=status)
