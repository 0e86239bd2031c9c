"""One worker process: loads the script, calls init(), then serves connections until it is told to drain."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import signal
import socket
import sys
from time import monotonic
from typing import Any

from inference_server import board as columns
from inference_server import log as logs
from inference_server import metrics, outputs, swagger
from inference_server.batch_engine import BatchEngine
from inference_server.board import Board
from inference_server.concurrent_engines import AsyncEngine, ThreadEngine
from inference_server.engine import Engine, InlineEngine
from inference_server.heads import HeadWriter
from inference_server.inputs import Request, query_values
from inference_server.log import current_request_id, log
from inference_server.outputs import Answer
from inference_server.protocol import Connection
from inference_server.runner import Runner
from inference_server.script import Script, ScriptFailed, choose, failure_traceback
from inference_server.settings import Settings

EXIT_SCRIPT_FAILED = 3
EXIT_HUNG = 4
EXIT_TOO_LARGE = 5
TICK_SECONDS = 0.5
FLUSH_AFTER_SECONDS = 0.05
DRAIN_STEP_SECONDS = 0.01
SILENT_CLIENT_SECONDS = 0.25
HANG_GRACE_SECONDS = 0.5
ACCEPTS_PER_TURN = 16
TRACEBACK_SIGNAL = signal.SIGRTMIN + 7

NOT_FOUND = (
    "The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
)
BEING_REPLACED = "The instance is replacing a hung worker; try again."
NOT_ALLOWED = "The method is not allowed for the requested URL."
_METHODS = {
    "/": ("GET", "HEAD"),
    "/ready": ("GET", "HEAD"),
    "/metrics": ("GET", "HEAD"),
    "/swagger.json": ("GET", "HEAD"),
}


def prepare_script(settings: Settings) -> Script:
    """Load the script and call init(). On failure: log why, whose fault and what to do; exit code 3."""
    faulthandler.enable()
    faulthandler.register(TRACEBACK_SIGNAL, all_threads=True)
    logs.take_over(settings.log_level, settings.app_root, settings.script_path)
    if settings.debug_port:
        _attach_debugger(settings.debug_port)
    try:
        script = choose(settings)
        script.load()
        script.init()
    except ScriptFailed as error:
        log.line(str(error), "E")
        if error.__cause__ is not None:
            log.line(f"Encountered Exception: {failure_traceback(error)}", "E")
        log.flush()
        raise SystemExit(EXIT_SCRIPT_FAILED) from error
    return script


def _attach_debugger(port: int) -> None:
    try:
        import debugpy  # type: ignore[import-not-found]
    except ImportError:
        log.line("AZUREML_DEBUG_PORT is set but debugpy is not in the environment: add `debugpy` to it.", "W", now=True)
        return
    debugpy.connect(port)
    debugpy.wait_for_client()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        log.line("uvloop is not installed; asyncio's own event loop is used, which is slower", "W")
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class Worker:
    """Connections, routes and drain of one process; the engine calls run()."""

    def __init__(
        self, settings: Settings, script: Script, board: Board, at: int, listener: socket.socket, lifeline: int
    ) -> None:
        self.settings, self.script, self.board, self.listener = settings, script, board, listener
        self.at, self.row = at, board.rows[at]
        self.loop = _new_loop()
        asyncio.set_event_loop(self.loop)
        self.heads = HeadWriter(settings)
        self.swagger = swagger.Documents(settings, script)
        self.connections: set[Connection] = set()
        self.engine = self._choose_engine()
        self._lifeline = lifeline
        self._drain_ends_at = 0.0
        self._stops_at_drain = False
        self._openings: set[asyncio.Task[Any]] = set()
        self._is_accepting = False
        self._is_leaving = self._is_too_large = False
        self._memory_limit_bytes = settings.worker_memory_bytes

    def _choose_engine(self) -> Engine:
        runner = Runner(self.script, self.settings, self.row)
        if self.script.is_async:
            return AsyncEngine(self, runner, self.loop, self.settings.coroutines_per_worker)
        if self.script.batch is not None:
            return BatchEngine(self, runner, self.loop, self.settings.max_batch)
        if self.settings.threads_per_worker > 1:
            return ThreadEngine(self, runner, self.loop, self.settings.threads_per_worker)
        return InlineEngine(self, runner, self.loop)

    # life

    def serve(self) -> None:
        """Serve until drained."""
        signal.signal(signal.SIGTERM, lambda *_: self.loop.call_soon_threadsafe(self.drain))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        log.on_first_line = self._flush_soon
        self.loop.add_reader(self._lifeline, self._supervisor_died)
        self._accept(True)
        self.loop.call_soon(self._tick)
        self.row.numbers[columns.READY] = 1
        self._check_memory_after_init()
        log.line(f"Scoring timeout is set to {self.settings.scoring_timeout_ms}")
        log.line(f"Worker with pid {os.getpid()} ready for serving traffic", now=True)
        self.engine.serve()
        log.on_first_line = None
        log.flush()

    def _supervisor_died(self) -> None:
        self.loop.remove_reader(self._lifeline)
        log.line("The supervisor is gone; this worker finishes what it holds and stops", "W", now=True)
        self.drain()

    @property
    def is_draining(self) -> bool:
        return bool(self._drain_ends_at) or self.board.draining

    def drain(self) -> None:
        """Take what waits to be accepted, listen no more, finish every request, then stop."""
        if self._drain_ends_at:
            return
        self._drain_ends_at = monotonic() + self.settings.drain_seconds
        self.row.numbers[columns.READY] = 0
        self._accept(False)
        while self._accept_one():
            pass
        self.listener.close()
        self.loop.call_later(DRAIN_STEP_SECONDS, self._drain_step)  # first hear what has arrived already

    def _drain_step(self) -> None:
        now = monotonic()
        is_late = now > self._drain_ends_at - self.settings.drain_seconds + SILENT_CLIENT_SECONDS
        for connection in list(self.connections):
            if not connection.is_busy and not connection.is_receiving and (connection.has_answered or is_late):
                connection.close()
        is_over = now > self._drain_ends_at
        if self._openings or (self.connections and not is_over):
            self.loop.call_later(DRAIN_STEP_SECONDS, self._drain_step)
            return
        if not self.engine.is_idle:
            count = len(self.engine.held()) + len(self.engine.queue)
            log.line(
                f"{count} requests did not end within {self.settings.drain_seconds:g} s; they are cut", "W", now=True
            )
            os._exit(self.exit_code)
        self.engine.finish()

    def _tick(self) -> None:
        now = monotonic()
        self.row.numbers[columns.BEAT_AT] = now
        for connection in list(self.connections):
            connection.expire(now)
        self._leave_when_hung(now)
        self._leave_when_too_large()
        log.flush()
        self.loop.call_later(TICK_SECONDS, self._tick)

    def _leave_when_hung(self, now: float) -> None:
        """When C code ignores the timeout but lets this thread run: answer what is held, then make room for a new worker."""
        started_at = self.row.numbers[columns.RUN_STARTED_AT]
        limit = self.settings.scoring_timeout_ms / 1000 + HANG_GRACE_SECONDS
        if not started_at or now - started_at < limit or self._is_leaving:
            return
        self._is_leaving = True
        self._accept(False)
        self.row.numbers[columns.READY] = 0
        log.line(f"run() ignores its timeout after {now - started_at:.1f} s; this worker is replaced", "E", now=True)
        faulthandler.dump_traceback(all_threads=True)
        for connection, request, began_at in self.engine.held():
            connection.closes_after_answer = True
            connection.answer(self.engine.runner.timed_out(request) if now - began_at >= limit else _being_replaced())
        for connection, _ in list(self.engine.queue):
            connection.closes_after_answer = True
            connection.answer(outputs.not_run(503, BEING_REPLACED))
        self.engine.queue.clear()
        log.flush()
        self.loop.call_later(0.1, os._exit, EXIT_HUNG)

    def _check_memory_after_init(self) -> None:
        limit, held = self._memory_limit_bytes, metrics.resident_bytes(os.getpid())
        if limit and held > limit:
            self._memory_limit_bytes = 0
            text = (
                f"After init() this worker holds {held} bytes already, more than STUDIO_WORKER_MEMORY_BYTES ({limit})"
            )
            log.line(f"{text}; the ceiling is not applied. Raise it above what the model needs", "W", now=True)

    def _leave_when_too_large(self) -> None:
        """Over the memory ceiling: take no more, end what is held, make room for a new worker."""
        limit = self._memory_limit_bytes
        if not limit or self._drain_ends_at or self.board.draining:
            return
        held = metrics.resident_bytes(os.getpid())
        if held > limit:
            self._is_too_large = True
            text = f"This worker holds {held} bytes, more than STUDIO_WORKER_MEMORY_BYTES ({limit})"
            log.line(f"{text}; it ends what it holds and is replaced", "W", now=True)
            self.drain()

    @property
    def exit_code(self) -> int:
        """Of the process, once it has served."""
        return EXIT_TOO_LARGE if self._is_too_large and not self.board.draining else 0

    def _flush_soon(self) -> None:
        try:
            self.loop.call_later(FLUSH_AFTER_SECONDS, log.flush)
        except RuntimeError:
            log.flush()

    # connections

    def _accept(self, wanted: bool) -> None:
        if wanted == self._is_accepting:
            return
        self._is_accepting = wanted
        if wanted:
            self.loop.add_reader(self.listener.fileno(), self._accept_some)
        else:
            self.loop.remove_reader(self.listener.fileno())

    def _accept_some(self) -> None:
        for _ in range(1 if self.settings.worker_count > 1 else ACCEPTS_PER_TURN):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        try:
            client, _ = self.listener.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            log.line(f"A connection could not be accepted: {error}", "E")
            self._accept(False)
            self.loop.call_later(0.1, self._accept, True)
            return False
        client.setblocking(False)
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self.loop.create_task(self.loop.connect_accepted_socket(lambda: Connection(self), client))
        self._openings.add(task)
        task.add_done_callback(self._opened)
        return True

    def _opened(self, task: asyncio.Task[Any]) -> None:
        self._openings.discard(task)
        if not task.cancelled() and isinstance(task.exception(), Exception):
            log.line(f"A connection could not be opened: {task.exception()}", "W")

    def run_is_long(self, is_long: bool) -> None:
        """While run() holds this worker, leave new connections to idle ones; take them when all are busy."""
        if self.settings.worker_count == 1 or self._drain_ends_at:
            return
        self._accept(not is_long)
        if is_long:
            self.loop.call_later(0.02, self._accept_when_all_are_busy)

    def _accept_when_all_are_busy(self) -> None:
        if self._is_accepting or self._drain_ends_at or not self.row.numbers[columns.RUN_STARTED_AT]:
            return
        if all(row.numbers[columns.RUN_STARTED_AT] for row in self.board.rows if row.numbers[columns.READY]):
            self._accept(True)
        else:
            self.loop.call_later(0.02, self._accept_when_all_are_busy)

    def connection_opened(self, connection: Connection) -> None:
        self.connections.add(connection)
        self.row.numbers[columns.CONNECTIONS] = len(self.connections)

    def connection_closed(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.row.numbers[columns.CONNECTIONS] = len(self.connections)

    # routes

    def route(self, connection: Connection, request: Request) -> None:
        path, method = request.path, request.method
        if path == "/score" and method in ("GET", "POST", "OPTIONS"):
            self.engine.submit(connection, request)
        else:
            connection.answer(self._other(path, method, request))

    def _other(self, path: str, method: str, request: Request) -> Answer:
        if path == "/score" and method == "HEAD":
            return outputs.message(405, "Method not allowed")
        allowed = ("GET", "POST", "OPTIONS") if path == "/score" else _METHODS.get(path)
        if allowed is None:
            return outputs.message(404, NOT_FOUND)
        if method == "OPTIONS":
            answer = Answer(200, b"", outputs.TEXT)
        elif method not in allowed:
            answer = outputs.message(405, NOT_ALLOWED)
        else:
            return self._get(path, request)
        answer.headers.append(("Allow", ", ".join(sorted({*allowed, "OPTIONS"}))))
        return answer

    def _get(self, path: str, request: Request) -> Answer:
        if path == "/":
            return Answer(200, b"Healthy", outputs.TEXT)
        if path == "/ready":
            is_ready = self.board.is_ready and not self.is_draining
            return Answer(200, b"Ready", outputs.TEXT) if is_ready else Answer(503, b"Not ready", outputs.TEXT)
        if path == "/metrics":
            return Answer(200, metrics.render(self.board), metrics.CONTENT_TYPE)
        return self.swagger.answer(str(query_values(request.query).get("version", "2")))

    # the request lines of the log

    def log_answer(self, request: Request, answer: Answer) -> None:
        path = request.path
        if path == "/score":
            self.row.numbers[columns.ANSWERS + answer.status // 100 - 1] += 1
        elif path not in ("/swagger.json", "-"):
            return
        length = "N/A" if answer.chunks is not None else len(answer.body)
        log.line(f"{_line_start(request)} {answer.status} {_ms(request)} {length}", request_id=request.request_id)

    def log_disconnect(self, request: Request) -> None:
        """The line of a request whose client left before its answer was complete."""
        log.line(f"{_line_start(request)} 499 {_ms(request)} 0", request_id=request.request_id)


def _being_replaced() -> Answer:
    """For a request that run() holds but did not get to end: it may have had effects, so it is not tried elsewhere."""
    answer = outputs.message(503, BEING_REPLACED)
    answer.headers.append(("Retry-After", "1"))
    return answer


def _line_start(request: Request) -> str:
    return f"{request.method} {request.path}?{request.query}" if request.query else f"{request.method} {request.path}"


def _ms(request: Request) -> str:
    return f"{(monotonic() - request.received_at) * 1000:.3f}ms"


def run_worker(
    settings: Settings, board: Board, at: int, listener: socket.socket, lifeline: int, script: Script | None = None
) -> int:
    """The whole life of a worker process after its fork; returns its exit code."""
    row = board.rows[at]
    row.reset()
    row.numbers[columns.PID] = os.getpid()
    row.numbers[columns.BEAT_AT] = monotonic()
    current_request_id.set("")
    try:
        worker = Worker(settings, script or prepare_script(settings), board, at, listener, lifeline)
        gc.collect()
        gc.freeze()
        worker.serve()
        return worker.exit_code
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    finally:
        row.numbers[columns.READY] = 0
        log.flush()
        sys.stdout.flush()
