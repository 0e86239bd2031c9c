"""The text around an answer: status line, id headers, CORS; and the ids themselves."""

from __future__ import annotations

import time
from http import HTTPStatus
from random import getrandbits

from inference_server.inputs import Refused, Request
from inference_server.log import log
from inference_server.outputs import Answer
from inference_server.settings import SERVER_VERSION, Settings

ID_LIMIT = 100
DEPRECATED_ID = (
    "x-ms-request-id header has been deprecated and will be removed from future versions of the server. "
    "Please use x-ms-client-request-id."
)
_REASONS = {status.value: status.phrase for status in HTTPStatus}


def new_request_id() -> str:
    """A random UUID (version 4) as text."""
    digits = f"{getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[getrandbits(2)]}{digits[17:20]}-{digits[20:]}"


def assign_ids(request: Request) -> None:
    """Fill the request's ids from its headers. Raises Refused (431) for one longer than 100 characters."""
    headers = request.headers
    given = headers.get("x-request-id")
    if given is not None and len(given) > ID_LIMIT:
        raise Refused(431, f"x-request-id must not exceed {ID_LIMIT} characters")
    request.request_id = given or new_request_id()
    deprecated, client = headers.get("x-ms-request-id", ""), headers.get("x-ms-client-request-id", "")
    if len(deprecated) > ID_LIMIT or len(client) > ID_LIMIT:
        raise Refused(431, f"x-ms-request-id and x-ms-client-request-id must not exceed {ID_LIMIT} characters")
    if deprecated:
        log.line(DEPRECATED_ID, "W", request_id=request.request_id)
    request.ms_request_id = deprecated or client or request.request_id
    request.client_request_id = client or deprecated


class HeadWriter:
    """Builds the head of each answer; remembers the parts that do not change."""

    def __init__(self, settings: Settings) -> None:
        self._version = f"x-ms-server-version: {SERVER_VERSION}\r\n" if settings.send_version else ""
        self._origins = settings.cors_origins
        self._date_second, self._date = 0, ""
        self._starts: dict[tuple[int, str | None], str] = {}

    def _start(self, status: int, content_type: str | None) -> str:
        known = self._starts.get((status, content_type))
        if known is None:
            known = f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n{self._version}"
            if content_type is not None:
                known += f"Content-Type: {content_type}\r\n"
            if len(self._starts) < 256:
                self._starts[status, content_type] = known
        return known

    def _now(self) -> str:
        second = int(time.time())
        if second != self._date_second:
            self._date_second = second
            self._date = time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT\r\n", time.gmtime(second))
        return self._date

    def head(self, request: Request, answer: Answer, keep_alive: bool) -> bytes:
        """The bytes before the body. Streams are chunked (HTTP/1.1) or end with the connection (HTTP/1.0)."""
        text = self._start(answer.status, answer.content_type) + self._now()
        if answer.chunks is None:
            if answer.status not in (204, 304) and answer.status >= 200:
                text += f"Content-Length: {len(answer.body)}\r\n"
        elif request.minor_version >= 1:
            text += "Transfer-Encoding: chunked\r\n"
        if answer.exec_ms is not None:
            text += f"x-ms-run-fn-exec-ms: {answer.exec_ms:.3f}\r\n"
        text += "x-ms-run-function-failed: True\r\n" if answer.run_failed else "x-ms-run-function-failed: False\r\n"
        if request.request_id:
            text += f"x-request-id: {request.request_id}\r\n"
            if request.ms_request_id:
                text += f"x-ms-request-id: {request.ms_request_id}\r\n"
            if request.client_request_id:
                text += f"x-ms-client-request-id: {request.client_request_id}\r\n"
        if "traceid" in request.headers:
            text += f"TraceId: {request.headers['traceid']}\r\n"
        if answer.headers:
            text += "".join(f"{name}: {_one_line(value)}\r\n" for name, value in answer.headers)
        if self._origins:
            text += self._cors(request)
        if not keep_alive:
            text += "Connection: close\r\n"
        elif request.minor_version == 0:
            text += "Connection: keep-alive\r\n"
        return (text + "\r\n").encode("latin-1", "replace")

    def _cors(self, request: Request) -> str:
        origin = request.headers.get("origin")
        if not origin:
            return ""
        if origin not in self._origins and "*" not in self._origins:
            return "Vary: Origin\r\n"
        text = f"Access-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n"
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            text += "Access-Control-Allow-Methods: GET, POST\r\n"
            asked = request.headers.get("access-control-request-headers")
            text += f"Access-Control-Allow-Headers: {asked}\r\n" if asked else ""
        return text


def _one_line(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ") if "\n" in value or "\r" in value else value
