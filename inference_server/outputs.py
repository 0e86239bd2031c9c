"""From what run() returned, or raised, to one answer."""

from __future__ import annotations

import json
from typing import Any, Iterator

from inference_server import compat

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

JSON, TEXT = "application/json", "text/html; charset=utf-8"
SCRIPT_FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
SERVER_FAILED = "An unexpected internal error occurred. Check the logs for more info."

_OWN_HEADERS = frozenset(
    """x-request-id x-ms-request-id x-ms-client-request-id content-length content-type connection transfer-encoding
    x-ms-run-function-failed date x-studio-not-run""".split()
)
# Tells the gateway that no user code has seen the request: it may be sent to another instance.
NOT_RUN_HEADER = ("x-studio-not-run", "1")


class Answer:
    """One answer before it is written. `chunks` replaces `body` when it is streamed; `exec_ms` is set once run() returned."""

    __slots__ = ("body", "chunks", "content_type", "exec_ms", "headers", "is_soft_error", "run_failed", "status")

    def __init__(self, status: int, body: bytes, content_type: str | None = JSON, run_failed: bool = False) -> None:
        self.status, self.body, self.content_type, self.run_failed = status, body, content_type, run_failed
        self.exec_ms: float | None = None
        self.headers: list[tuple[str, str]] = []
        self.chunks: Iterator[bytes] | None = None
        self.is_soft_error = False


class Encoded(bytes):
    """A result that is JSON already."""


def message(status: int, text: str, run_failed: bool = False) -> Answer:
    """The JSON body `{"message": …}` of everything that is not a result."""
    return Answer(status, json.dumps({"message": text}).encode(), JSON, run_failed)


def not_run(status: int, text: str) -> Answer:
    """The refusal of a request that never reached run(): worth trying again, here in a second or elsewhere at once."""
    answer = message(status, text)
    answer.headers += [("Retry-After", "1"), NOT_RUN_HEADER]
    return answer


def _orjson_dumps(value: Any) -> bytes:
    """JSON equal to json.dumps's: what orjson writes differently (NaN, subclasses, dates) goes to json.dumps."""
    try:
        data = orjson.dumps(
            value,
            option=orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS,
        )
    except TypeError:
        return json.dumps(value).encode()
    return json.dumps(value).encode() if b"null" in data else data


def _std_dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


dumps = _std_dumps if orjson is None else _orjson_dumps


def result(value: Any) -> Answer:
    """The answer for what run() returned. Raises what json.dumps raises for a value JSON does not know."""
    if type(value) is Encoded:
        return Answer(200, value)
    if value is None:
        return Answer(200, b"{}")
    if compat.is_http_response(value):
        return _from_response(value)
    answer = Answer(200, dumps(value))
    answer.is_soft_error = _has_error(value)
    return answer


def _has_error(value: Any) -> bool:
    """Whether a 200 carries a failure: a JSON object with a top-level "error", also when the script encoded it itself."""
    if isinstance(value, dict):
        return "error" in value
    if isinstance(value, (str, bytes)):
        start, mark = ("{", '"error"') if isinstance(value, str) else (b"{", b'"error"')
        if value.lstrip()[:1] == start and mark in value:  # type: ignore[operator]
            try:
                return "error" in json.loads(value)
            except (ValueError, RecursionError):
                return False
    return False


def _from_response(response: Any) -> Answer:
    status = int(response.status_code)
    failed = status >= 500 or response.headers.get("x-ms-run-function-failed", "").lower() == "true"
    answer = Answer(status, b"", response.headers.get("Content-Type"), failed)
    answer.headers = [(name, value) for name, value in response.headers if name.lower() not in _OWN_HEADERS]
    if response.is_streamed or response.direct_passthrough:
        answer.chunks = _chunks(response)
        return answer
    answer.body = response.get_data()
    if status == 200 and response.mimetype == JSON:
        answer.is_soft_error = _has_error(answer.body)
    return answer


def _chunks(response: Any) -> Iterator[bytes]:
    try:
        for chunk in response.response:
            data = chunk.encode("utf-8") if isinstance(chunk, str) else bytes(chunk)
            if data:
                yield data
    finally:
        response.close()
