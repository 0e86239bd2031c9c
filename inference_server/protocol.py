"""One client connection: bytes in, requests in order to the engine, answers in order out."""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from inference_server import outputs
from inference_server.heads import assign_ids
from inference_server.inputs import Refused, Request
from inference_server.outputs import Answer

if TYPE_CHECKING:
    from inference_server.worker import Worker

MAX_HEADER_BYTES = 65536
MAX_PIPELINED = 16
JOIN_BYTES = 65536
LINGER_SECONDS = 2.0
MAX_KNOWN_NAMES = 256
# Header names as they arrive, and in lower case: clients send the same few again and again.
_known_names: dict[bytes, str] = {}
UPGRADE_HEADERS = frozenset(("upgrade", "connection", "http2-settings"))


class Connection(asyncio.Protocol):
    """Keep-alive, pipelining (one request in work at a time), 100-continue, limits and timeouts of one socket."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.transport: asyncio.Transport | None = None
        self.parser = HttpRequestParser(self)
        self.is_busy = self.is_lost = self.is_write_paused = self.is_receiving = self.is_refused = False
        self.closes_after_answer = self.is_advancing = self.is_reading_paused = self.has_answered = False
        self.deadline = monotonic() + worker.settings.header_timeout_seconds
        self.pending: deque[tuple[Request, Answer | None]] = deque()
        self.current: Request | None = None
        self._start()

    def _start(self) -> None:
        self.url = b""
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.head_bytes = self.body_bytes = 0
        self.received_at = 0.0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.worker.connection_opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost, self.is_write_paused = True, False
        self.worker.connection_closed(self)

    def pause_writing(self) -> None:
        self.is_write_paused = True

    def resume_writing(self) -> None:
        self.is_write_paused = False

    def data_received(self, data: bytes) -> None:
        if self.is_refused:
            return
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            self._ignore_offer(data[offer.args[0] :])
        except HttpParserError as error:
            if not self.is_refused:
                self.refuse(400, f"The request is not valid HTTP/1.1: {error}")

    def _ignore_offer(self, rest: bytes) -> None:
        """Read the request again without its offer to change the protocol: the parser would not read its body."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.refuse(405, "This server is not a proxy.")
            return
        kept = [(name, value) for name, value in self.headers.items() if name not in UPGRADE_HEADERS]
        lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in kept)
        self.parser = HttpRequestParser(self)
        self.data_received(b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, self.url, lines, rest))

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._start()
        self.received_at = monotonic()
        self.is_receiving = True
        self.deadline = self.received_at + self.worker.settings.header_timeout_seconds

    def on_url(self, url: bytes) -> None:
        self.url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        key = _known_names.get(name)
        if key is None:
            key = name.decode("latin-1").lower()
            if len(_known_names) < MAX_KNOWN_NAMES:
                _known_names[name] = key
        text = value.decode("latin-1")
        headers = self.headers
        headers[key] = f"{headers[key]},{text}" if key in headers else text
        self._count_head(len(name) + len(value))

    def _count_head(self, size: int) -> None:
        self.head_bytes += size
        if self.head_bytes > MAX_HEADER_BYTES and not self.is_refused:
            self.refuse(431, f"The request line and headers exceed {MAX_HEADER_BYTES} bytes.")

    def on_headers_complete(self) -> None:
        if self.is_refused or self.parser.should_upgrade():
            return
        settings = self.worker.settings
        self.deadline = monotonic() + settings.body_timeout_seconds
        limit = settings.max_body_bytes
        length = self.headers.get("content-length", "0")
        if limit and length.isdigit() and int(length) > limit:
            self.refuse(413, f"The request body has {length} bytes; this deployment accepts {limit}.")
        elif "expect" in self.headers and self.headers["expect"].lower() == "100-continue" and not self.is_busy:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self.is_refused:
            return
        self.parts.append(body)
        self.body_bytes += len(body)
        settings = self.worker.settings
        self.deadline = monotonic() + settings.body_timeout_seconds
        if settings.max_body_bytes and self.body_bytes > settings.max_body_bytes:
            self.refuse(413, f"The request body exceeds the {settings.max_body_bytes} bytes this deployment accepts.")

    def on_message_complete(self) -> None:
        if self.is_refused or self.parser.should_upgrade():
            return
        self.is_receiving = False
        parts = self.parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self.parts = []
        method = self.parser.get_method().decode("latin-1")
        request = Request(method, self.url.decode("latin-1"), self.headers, body, self.received_at)
        request.keep_alive = self.parser.should_keep_alive()
        request.minor_version = 0 if self.parser.get_http_version() == "1.0" else 1
        refusal = None
        try:
            assign_ids(request)
        except Refused as error:
            refusal = outputs.message(error.status, error.message)
        if self.is_busy:
            self.pending.append((request, refusal))
            if len(self.pending) >= MAX_PIPELINED and not self.is_reading_paused and self.transport is not None:
                self.is_reading_paused = True
                self.transport.pause_reading()
        else:
            self._begin(request, refusal)

    # requests in, answers out

    def _begin(self, request: Request, refusal: Answer | None) -> None:
        self.is_busy, self.current = True, request
        if refusal is not None:
            self.answer(refusal)
        else:
            self.worker.route(self, request)

    def refuse(self, status: int, text: str) -> None:
        """Answer a request that was not received whole, and close."""
        self.is_refused = True
        request = Request("-", self.url.decode("latin-1") or "-", self.headers, b"", self.received_at or monotonic())
        request.keep_alive = False
        try:
            assign_ids(request)
        except Refused:
            request.request_id = ""
        answer = outputs.message(status, text)
        self.is_receiving = False
        self.worker.log_answer(request, answer)
        if self.is_busy:
            self.pending.clear()
            self.closes_after_answer = True
            return
        self.write(self.worker.heads.head(request, answer, False) + answer.body)
        self._linger()

    def _linger(self) -> None:
        """Close so that the client still reads the answer: what it goes on sending is read and dropped for a while."""
        self.deadline = monotonic() + LINGER_SECONDS
        if self.transport is not None and not self.transport.is_closing() and self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.close()

    def write(self, data: bytes) -> None:
        if not self.is_lost and self.transport is not None:
            self.transport.write(data)

    def close(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    def abort(self) -> None:
        """Cut the connection in the middle of an answer, so that the client notices."""
        if self.transport is not None:
            self.transport.abort()

    def start_stream(self, answer: Answer) -> None:
        request = self.current
        assert request is not None
        self.closes_after_answer = self.closes_after_answer or request.minor_version == 0
        self.write(self.worker.heads.head(request, answer, self._keeps_alive(request)))

    def stream_chunk(self, data: bytes) -> None:
        assert self.current is not None
        self.write(b"%x\r\n%b\r\n" % (len(data), data) if self.current.minor_version else data)

    def end_stream(self, answer: Answer) -> None:
        assert self.current is not None
        if self.current.minor_version:
            self.write(b"0\r\n\r\n")
        self._answered(answer)

    def answer(self, answer: Answer) -> None:
        """Write a whole answer to the request in work and go on with the next one."""
        request = self.current
        assert request is not None
        head = self.worker.heads.head(request, answer, self._keeps_alive(request))
        if request.method == "HEAD" or answer.status in (204, 304) or not answer.body:
            self.write(head)
        elif len(answer.body) <= JOIN_BYTES:
            self.write(head + answer.body)
        else:
            self.write(head)
            self.write(answer.body)
        self._answered(answer)

    def _keeps_alive(self, request: Request) -> bool:
        if not request.keep_alive or self.worker.is_draining:
            self.closes_after_answer = True
        return not self.closes_after_answer

    def _answered(self, answer: Answer) -> None:
        request = self.current
        assert request is not None
        self.is_busy, self.current, self.has_answered = False, None, True
        self.worker.log_answer(request, answer)
        if self.closes_after_answer:
            self.pending.clear()
            self.close()
            return
        if not self.is_receiving:
            self.deadline = monotonic() + self.worker.settings.keep_alive_seconds
        if self.pending and not self.is_advancing:
            self._advance()

    def _advance(self) -> None:
        """Begin what was pipelined, in a loop: a request that is answered at once comes back here through `_answered`."""
        self.is_advancing = True
        while self.pending and not self.is_busy:
            request, refusal = self.pending.popleft()
            if len(self.pending) < MAX_PIPELINED and self.is_reading_paused:
                self.is_reading_paused = False
                if self.transport is not None and not self.is_lost:
                    self.transport.resume_reading()
            self._begin(request, refusal)
        self.is_advancing = False

    def expire(self, now: float) -> None:
        """Called about once a second: end a connection whose client is silent for too long."""
        if self.is_busy or now < self.deadline:
            return
        if self.is_receiving and not self.is_refused:
            settings = self.worker.settings
            self.refuse(
                408,
                "The request did not arrive in time: the server waits "
                f"{settings.header_timeout_seconds:g} s for the headers and "
                f"{settings.body_timeout_seconds:g} s for each further part of the body.",
            )
        else:
            self.close()
