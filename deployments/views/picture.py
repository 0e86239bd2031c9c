"""The drawing of an endpoint's traffic, polled by its page."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from deployments.picture import WIDTH, draw
from deployments.queries import rows_of_picture
from endpoints.queries import get_endpoint_for
from endpoints.views.door import leads_on_when_gone, list_address


@require_safe
@leads_on_when_gone(list_address)
def picture(request: HttpRequest, ws: str, ep: str) -> HttpResponse:
    """`?seen=` is the mark of the drawing the page has: the answer to the same one is 204, and nothing is swapped."""
    endpoint = get_endpoint_for(request.user, ws, ep)
    rows = rows_of_picture(endpoint)
    mark = hashlib.sha256(json.dumps([asdict(row) for row in rows]).encode()).hexdigest()[:12]
    if request.GET.get("seen") == mark:
        return HttpResponse(status=204)
    drawing = draw(endpoint.name, rows)
    context = {"workspace": endpoint.workspace, "endpoint": endpoint, "picture": drawing, "mark": mark, "width": WIDTH}
    return render(request, "deployments/_picture.html", context)
