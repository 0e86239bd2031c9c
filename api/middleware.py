"""Azure's words in an address, whatever their case, reach the one spelling that the site map has."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from api.arm import spelled


class ArmSpelling:
    """Clients write resourceGroups and resourcegroups, listKeys and listkeys."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.path_info = spelled(request.path_info)
        return self.get_response(request)
