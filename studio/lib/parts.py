"""Which part of a page a request asks for. The server names the part, never the client."""

from __future__ import annotations

from django.http import HttpRequest


def asks_for_part(request: HttpRequest) -> bool:
    """Whether htmx asks for a part; going back in the browser and boosted links need the whole page."""
    htmx = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def template_for(request: HttpRequest, template: str, part: str) -> str:
    """The page's template, or its named part when htmx asks for that."""
    return f"{template}#{part}" if asks_for_part(request) else template
