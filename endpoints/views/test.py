"""The Test tab: send a request through the gateway and look at the answer."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from endpoints import scoring
from endpoints.forms import ScoreForm
from endpoints.models import Endpoint
from endpoints.queries import get_endpoint_for
from endpoints.views import snippets
from endpoints.views.door import header, page
from studio.lib.errors import StudioError
from workspaces.permissions import Need

# what a status means to the person at the Test tab; the gateway's body has the details
MEANINGS = {
    401: "The gateway refused the credential. A key regenerated a moment ago is in force within a second; try again.",
    404: "No deployment has traffic, or the pinned one does not exist at the gateway yet.",
    408: "The model took longer than the request timeout of its deployment.",
    413: "The request body is larger than the gateway takes.",
    424: "The model answered with an error; its own status and message are below, more is in its log.",
    429: "Too many requests are pending, or the rate limit of the endpoint is reached. Try again in a moment.",
    503: "No instance is ready for this request.",
}


@require_http_methods(["GET", "HEAD", "POST"])
def test(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """POST sends the request; the answer is shown below the form, or alone when htmx asks."""
    endpoint = get_endpoint_for(request.user, ws, ep, need=Need.WRITE if request.method == "POST" else Need.READ)
    context = header(endpoint)
    shares = {name: context["traffic"].percents.get(name, 0) for name in context["names"]}
    if request.method != "POST":
        initial = {"deployment": request.GET.get("deployment", ""), "body": snippets.sample_body(endpoint)}
        return _test_page(request, endpoint, context, ScoreForm(deployments=shares, initial=initial))
    form = ScoreForm(request.POST, deployments=shares)
    if not form.is_valid():
        return _test_page(request, endpoint, context, form, status=422)
    pinned, body = form.cleaned_data["deployment"], form.cleaned_data["body"]
    try:
        answer = scoring.score(endpoint=endpoint, body=body, deployment=pinned)
    except StudioError as error:
        return _test_page(request, endpoint, context, form, failure=error)
    command = snippets.curl(endpoint, body=body, deployment=pinned)
    meaning = MEANINGS.get(answer.status, "") if not answer.is_good else ""
    return _test_page(request, endpoint, context, form, answer=answer, meaning=meaning, curl=command)


def _test_page(
    request: HttpRequest,
    endpoint: Endpoint,
    context: dict[str, Any],
    form: ScoreForm,
    *,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    return page(
        request, "endpoints/test.html", context | {"tab": "test", "form": form} | more, part="answer", status=status
    )
