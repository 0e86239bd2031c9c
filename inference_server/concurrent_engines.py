"""The engines for more than one run() at a time in a worker: threads, or coroutines when run() is async."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from inference_server import board as columns
from inference_server.engine import Engine
from inference_server.inputs import Request
from inference_server.log import current_request_id
from inference_server.outputs import Answer
from inference_server.runner import Runner, ScoringTimeout, next_chunk

if TYPE_CHECKING:
    from inference_server.protocol import Connection
    from inference_server.worker import Worker

WATCH_STEP_SECONDS = 0.05
STREAM_STEP_SECONDS = 0.05


class _ConcurrentEngine(Engine):
    """Counts the calls that run; the oldest one's start is what the supervisor watches."""

    def __init__(self, worker: Worker, runner: Runner, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        super().__init__(worker, runner, loop)
        self.limit = limit
        self.started: dict[Request, tuple[Connection, float]] = {}

    def held(self) -> list[tuple[Connection, Request, float]]:
        return [(connection, request, began_at) for request, (connection, began_at) in self.started.items()]

    def wake(self) -> None:
        while self.running < self.limit:
            taken = self.take()
            if taken is None:
                return
            connection, request = taken
            prepared = self.runner.prepare(request)
            if isinstance(prepared, Answer):
                connection.answer(prepared)
                continue
            self.started[request] = connection, monotonic()
            self._count()
            self.begin(connection, request, prepared)

    def begin(self, connection: Connection, request: Request, prepared: dict[str, Any]) -> None:
        raise NotImplementedError

    def ended(self, connection: Connection, request: Request, answer: Answer | None) -> None:
        """On the loop's thread, once for each call; None when the answer was streamed or cut."""
        if self.started.pop(request, None) is None:
            return
        self._count()
        if answer is not None:
            connection.answer(answer)
        self.wake()

    def _count(self) -> None:
        self.running = len(self.started)
        self.numbers[columns.RUNNING] = self.running
        self.numbers[columns.RUN_STARTED_AT] = min((at for _, at in self.started.values()), default=0.0)


class ThreadEngine(_ConcurrentEngine):
    """run() in threads; the event loop keeps the main thread."""

    def __init__(self, worker: Worker, runner: Runner, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        super().__init__(worker, runner, loop, limit)
        self._work: SimpleQueue[tuple[Connection, Request, dict[str, Any]]] = SimpleQueue()
        self._calls: dict[int, _Call] = {}

    def serve(self) -> None:
        for at in range(self.limit):
            threading.Thread(target=self._thread, name=f"run-{at}", daemon=True).start()
        self.loop.call_later(WATCH_STEP_SECONDS, self._watch)
        self.loop.run_forever()

    def begin(self, connection: Connection, request: Request, prepared: dict[str, Any]) -> None:
        self._work.put((connection, request, prepared))

    def _thread(self) -> None:
        while True:
            connection, request, prepared = self._work.get()
            token = current_request_id.set(request.request_id)
            answer = self._run(request, prepared)
            if answer.chunks is not None:
                self._stream(connection, request, answer)
            current_request_id.reset(token)
            done = None if answer.chunks is not None else answer
            self.loop.call_soon_threadsafe(self.ended, connection, request, done)

    def _run(self, request: Request, prepared: dict[str, Any]) -> Answer:
        started_at = monotonic()
        call = _Call(threading.get_ident(), started_at + self.runner.timeout_seconds)
        try:
            try:
                self._calls[id(call)] = call
                value = self.runner.script.run(**prepared)
            finally:
                call.end()
                self._calls.pop(id(call), None)
            return self.runner.returned(request, value, monotonic() - started_at)
        except BaseException as error:
            call.end()
            self._calls.pop(id(call), None)
            return self.runner.raised(request, error, monotonic() - started_at)

    def _watch(self) -> None:
        now = monotonic()
        for call in list(self._calls.values()):
            if now > call.ends_at:
                call.interrupt()
        self.loop.call_later(WATCH_STEP_SECONDS, self._watch)

    def _stream(self, connection: Connection, request: Request, answer: Answer) -> None:
        chunks = answer.chunks
        assert chunks is not None
        say = self.loop.call_soon_threadsafe
        try:
            say(connection.start_stream, answer)
            while not connection.is_lost:
                data = next_chunk(chunks)
                if data is None:
                    say(connection.end_stream, answer)
                    return
                written = threading.Event()
                say(_write_chunk, connection, data, written)
                written.wait()
                while connection.is_write_paused and not connection.is_lost:
                    threading.Event().wait(STREAM_STEP_SECONDS)
            say(self.worker.log_disconnect, request)
        except BaseException as error:
            self.runner.stream_failed(request, error)
            say(connection.abort)
        finally:
            chunks.close()  # type: ignore[attr-defined]


def _write_chunk(connection: Connection, data: bytes, written: threading.Event) -> None:
    connection.stream_chunk(data)
    written.set()


class _Call:
    """One run() in a thread, which may be interrupted from the loop's thread while it lasts and never after."""

    def __init__(self, thread_id: int, ends_at: float) -> None:
        self.thread_id, self.ends_at = thread_id, ends_at
        self._lock = threading.Lock()
        self._is_over = False

    def interrupt(self) -> None:
        with self._lock:
            if not self._is_over:
                self._is_over = True
                raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
                raise_in(ctypes.c_ulong(self.thread_id), ctypes.py_object(ScoringTimeout))

    def end(self) -> None:
        """After this no interruption arrives: one that was asked for but not yet raised is withdrawn."""
        with self._lock:
            if self._is_over:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread_id), None)
            self._is_over = True


class _Limit:
    """Cancels one coroutine when its time is over, and remembers that it did."""

    def __init__(self, task: asyncio.Task[None] | None) -> None:
        self._task = task
        self.is_reached = False

    def reached(self) -> None:
        self.is_reached = True
        if self._task is not None:
            self._task.cancel()


class AsyncEngine(_ConcurrentEngine):
    """run() is a coroutine function: its calls overlap on the worker's own event loop."""

    def __init__(self, worker: Worker, runner: Runner, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        super().__init__(worker, runner, loop, limit)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, connection: Connection, request: Request, prepared: dict[str, Any]) -> None:
        task = self.loop.create_task(self._run(connection, request, prepared))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, connection: Connection, request: Request, prepared: dict[str, Any]) -> None:
        current_request_id.set(request.request_id)
        started_at = monotonic()
        limit = _Limit(asyncio.current_task())
        timer = self.loop.call_later(self.runner.timeout_seconds, limit.reached)
        answer: Answer | None
        try:
            value = await self.runner.script.run(**prepared)
            timer.cancel()
            answer = self.runner.returned(request, value, monotonic() - started_at)
        except BaseException as error:
            timer.cancel()
            reason = ScoringTimeout().with_traceback(error.__traceback__) if limit.is_reached else error
            answer = self.runner.raised(request, reason, monotonic() - started_at)
        if answer.chunks is not None:
            await self._stream(connection, request, answer)
            answer = None
        self.ended(connection, request, answer)

    async def _stream(self, connection: Connection, request: Request, answer: Answer) -> None:
        chunks = answer.chunks
        assert chunks is not None
        connection.start_stream(answer)
        try:
            while not connection.is_lost:
                data = next_chunk(chunks)
                if data is None:
                    connection.end_stream(answer)
                    return
                connection.stream_chunk(data)
                await asyncio.sleep(0)
                while connection.is_write_paused and not connection.is_lost:
                    await asyncio.sleep(STREAM_STEP_SECONDS)
            self.worker.log_disconnect(request)
        except BaseException as error:
            self.runner.stream_failed(request, error)
            connection.abort()
        finally:
            chunks.close()  # type: ignore[attr-defined]
