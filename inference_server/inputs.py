"""From one HTTP request to the keyword arguments of run()."""

from __future__ import annotations

import inspect
import json
from typing import Any
from urllib.parse import parse_qsl

from inference_server import compat
from inference_server.script import Script


class Refused(Exception):
    """The request cannot be given to run(); `status` and the text go to the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Request:
    """One parsed request. Header names are in lower case; repeated headers are joined with commas."""

    __slots__ = (
        "body",
        "client_request_id",
        "headers",
        "keep_alive",
        "method",
        "minor_version",
        "ms_request_id",
        "path",
        "query",
        "received_at",
        "request_id",
    )

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes, received_at: float) -> None:
        self.method = method
        self.path, _, self.query = target.partition("?")
        self.headers, self.body, self.received_at = headers, body, received_at
        self.keep_alive = True
        self.minor_version = 1
        self.request_id = self.ms_request_id = self.client_request_id = ""


def arguments(script: Script, request: Request) -> dict[str, Any]:
    """Keyword arguments for run(). Raises Refused."""
    kind = script.kind
    if kind == "raw":
        made = {
            script.first_parameter: compat.flask_request(
                request.method, request.path, request.query, request.headers, request.body
            )
        }
    elif kind == "model":
        if request.method != "POST":
            raise Refused(405, "Method not allowed")
        made = {script.first_parameter: request.body}
    elif request.method == "POST":
        made = _from_text(script, request) if kind == "text" else _from_object(script, _json_body(request))
    elif request.method == "GET":
        values = query_values(request.query)
        made = {script.first_parameter: json.dumps(values)} if kind == "text" else _from_object(script, values)
    else:
        raise Refused(405, "Method not allowed")
    if script.wants_headers:
        made["request_headers"] = {name.title(): value for name, value in request.headers.items()}
    return made


def _from_text(script: Script, request: Request) -> dict[str, Any]:
    try:
        return {script.first_parameter: request.body.decode("utf-8")}
    except UnicodeDecodeError as error:
        raise Refused(400, f"Input cannot be decoded as UTF-8: {error}") from error


def _json_body(request: Request) -> dict[str, Any]:
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    is_json = content_type == "application/json" or (
        content_type.startswith("application/") and content_type.endswith("+json")
    )
    if not is_json:
        raise Refused(415, "Expects Content-Type to be application/json")
    if not request.body:
        raise Refused(400, "POST body is empty. Expecting a JSON dictionary.")
    try:
        value = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"POST body could not be decoded as JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refused(400, "POST body should be a JSON dictionary.")
    return value


def _from_object(script: Script, values: dict[str, Any]) -> dict[str, Any]:
    made = {}
    for parameter in script.parameters:
        value = values.get(parameter.name, parameter.default)
        if value is inspect.Parameter.empty:
            raise Refused(400, f"A value is not provided for the {parameter.name!r} parameter.")
        made[parameter.name] = value
    return made


def query_values(query: str) -> dict[str, Any]:
    """Query parameters: each value parsed as JSON if it parses, a repeated name becomes a list."""
    found: dict[str, list[Any]] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
