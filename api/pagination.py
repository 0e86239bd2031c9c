"""Lists: a page of rows, and the address of the next one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.db.models.fields.json import KeyTransform
from rest_framework.request import Request
from rest_framework.response import Response

from studio.lib.errors import BadRequest

PAGE_SIZE = 100
PAGE_SIZE_MAXIMUM = 1000


def whole_number(request: Request, *names: str, default: int, minimum: int, maximum: int) -> int:
    """The first of these query parameters that is given. Raises BadRequest naming it."""
    for name in names:
        text = request.query_params.get(name)
        if text is None:
            continue
        if not (text.isascii() and text.isdigit() and len(text) < 10 and minimum <= int(text) <= maximum):
            raise BadRequest(f"'{name}' is '{text}'; use a whole number from {minimum} to {maximum}.", field=name)
        return int(text)
    return default


def page(request: Request, rows: QuerySet[Any] | list[Any], answer: Callable[[Any], dict[str, Any]]) -> Response:
    """`$skip`, and `$top` or `count`; `nextLink` only when there is more."""
    top = whole_number(request, "$top", "count", default=PAGE_SIZE, minimum=1, maximum=PAGE_SIZE_MAXIMUM)
    skip = whole_number(request, "$skip", "$skiptoken", default=0, minimum=0, maximum=10**8)
    found = list(rows[skip : skip + top + 1])
    body: dict[str, Any] = {"value": [answer(row) for row in found[:top]]}
    # `$top` as the client means it is all it wants; only pages of our own making go on.
    if len(found) > top and "$top" not in request.query_params:
        kept = [(name, value) for name, value in request.query_params.items() if name not in ("$skip", "$skiptoken")]
        query = urlencode([*kept, ("$skip", str(skip + top))], safe="$")
        body["nextLink"] = request.build_absolute_uri(f"{request.path}?{query}")
    return Response(body)


def with_tags(request: Request, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Only rows that have all of `?tags=name,name=value`."""
    parts = filter(None, (part.strip() for part in request.query_params.get("tags", "").split(",")))
    for number, part in enumerate(parts):
        name, has_value, value = part.partition("=")
        rows = rows.filter(tags__has_key=name)
        if has_value:
            alias = f"tag_{number}"
            rows = rows.alias(**{alias: KeyTransform(name, "tags")}).filter(**{alias: value})
    return rows
