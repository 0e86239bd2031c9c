"""How requests reach run(): a bounded FIFO, and run() inline on the worker's main thread.

The inline engine works in two gears. While run() is quick it is called from within the event loop, in slices of
SLICE_SECONDS, and the loop is polled between slices. Once a call was slow, run() is called with the loop stopped, and a
second thread (the lookout) takes the loop over whenever a call lasts longer than LOOKOUT_AFTER_SECONDS: health checks, 429s,
new connections and the log are served while run() goes on, as far as it lets other Python threads run.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from asyncio.events import _set_running_loop
from collections import deque
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from inference_server import board as columns
from inference_server import outputs
from inference_server.inputs import Request
from inference_server.log import current_request_id
from inference_server.outputs import Answer
from inference_server.runner import Runner, ScoringTimeout, next_chunk

if TYPE_CHECKING:
    from inference_server.protocol import Connection
    from inference_server.worker import Worker

SLICE_SECONDS = 0.00025
STREAM_GATHER_SECONDS = 0.001
SLOW_RUN_SECONDS = 0.005
QUICK_RUNS_TO_SHIFT_UP = 32
LOOKOUT_AFTER_SECONDS = 0.02
LOOKOUT_STEP_SECONDS = 0.01
LOOKOUT_HIGH_GEAR_STEP_SECONDS = 0.25
LOOKOUT_IDLE_SECONDS = 1.0

QUEUE_FULL = "Too many requests wait for this instance; try again later."


class Engine:
    """What the three engines share. `submit` takes a request, `serve` works until `finish`."""

    def __init__(self, worker: Worker, runner: Runner, loop: asyncio.AbstractEventLoop) -> None:
        self.worker, self.runner, self.loop = worker, runner, loop
        self.numbers = runner.row.numbers
        self.queue: deque[tuple[Connection, Request]] = deque()
        self.max_queue = worker.settings.max_queue
        self.running = 0
        self.limit = 1
        self.is_finished = False

    @property
    def is_idle(self) -> bool:
        return not self.queue and not self.running

    def submit(self, connection: Connection, request: Request) -> None:
        """Queue a request, or answer 429 when `max_queue` others wait already for a busy run()."""
        if len(self.queue) + self.running >= self.max_queue + self.limit:
            self.numbers[columns.REJECTED] += 1
            connection.answer(outputs.not_run(429, QUEUE_FULL))
            return
        self.queue.append((connection, request))
        self.numbers[columns.QUEUED] = len(self.queue)
        self.wake()

    def take(self) -> tuple[Connection, Request] | None:
        """The next request whose client is still there."""
        while self.queue:
            connection, request = self.queue.popleft()
            self.numbers[columns.QUEUED] = len(self.queue)
            if not connection.is_lost:
                return connection, request
            self.numbers[columns.DISCONNECTED] += 1
            self.worker.log_disconnect(request)
        return None

    def wake(self) -> None:
        """Something is in the queue."""
        raise NotImplementedError

    def serve(self) -> None:
        """Work until `finish`."""
        self.loop.run_forever()

    def finish(self) -> None:
        self.is_finished = True
        self.loop.stop()

    def held(self) -> list[tuple[Connection, Request, float]]:
        """Requests inside run() now, each with the time (monotonic) it began."""
        return []


class Alarm:
    """Raises ScoringTimeout in the main thread when run() lasts too long.

    One interval timer, set when the first call begins and, when it fires, set again for what is left of the call that runs
    then: a quick run() pays for no system call.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.started_at = 0.0
        self._is_set = False
        signal.signal(signal.SIGALRM, self._fired)

    def start(self, now: float) -> None:
        self.started_at = now
        if not self._is_set:
            self._is_set = True
            signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def _fired(self, *_: object) -> None:
        if not self.started_at:
            self._is_set = False
            return
        left = self.seconds - (monotonic() - self.started_at)
        if left > 0:
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001))
            return
        self._is_set = False
        self.started_at = 0.0
        raise ScoringTimeout


class InlineEngine(Engine):
    """run() on the main thread, one at a time."""

    def __init__(self, worker: Worker, runner: Runner, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(worker, runner, loop)
        self.alarm = Alarm(runner.timeout_seconds)
        self.turn = threading.Lock()  # whoever holds it may touch the loop and the connections
        self.lookout = Lookout(self)
        self.current: tuple[Connection, Request] | None = None
        self.run_started_at = 0.0
        self._quick_runs = 0
        self.is_low_gear = True
        self._is_scheduled = self._is_waiting = False
        self._late_stream: tuple[Connection, Request, Answer] | None = None

    def held(self) -> list[tuple[Connection, Request, float]]:
        return [(*self.current, self.run_started_at)] if self.current is not None else []

    def serve(self) -> None:
        self.turn.acquire()
        self.lookout.start()
        while not self.is_finished:
            self._is_waiting = True
            self.loop.call_soon(_nothing)  # lets uvloop send what was written while the loop was stopped
            if self.queue and self.is_low_gear:
                self.loop.stop()
            self.loop.run_forever()
            self._is_waiting = False
            if self._late_stream is not None:
                self._stream_later(*self._late_stream)
            if self.queue and self.is_low_gear:
                self._slice()

    def wake(self) -> None:
        if self.is_low_gear:
            if self._is_waiting:
                self._is_waiting = False
                self.loop.stop()
        elif not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._is_scheduled = False
        if self._late_stream is None:
            self._slice()
        if self._late_stream is not None:
            self.is_low_gear, self._is_waiting = True, False
            self.loop.stop()
        elif self.queue:
            self.wake()

    def _slice(self) -> None:
        ends_at = monotonic() + SLICE_SECONDS
        while True:
            if not self._work_next():
                return
            if monotonic() > ends_at or self._late_stream is not None:
                return

    def _work_next(self) -> bool:
        """Serve what is next in the queue; False when nothing is."""
        taken = self.take()
        if taken is None:
            return False
        self._work(*taken)
        return True

    def _work(self, connection: Connection, request: Request) -> None:
        prepared = self.runner.prepare(request)
        if isinstance(prepared, Answer):
            connection.answer(prepared)
            return
        self.current = connection, request
        self.running = 1
        token = current_request_id.set(request.request_id)
        numbers = self.numbers
        numbers[columns.RUNNING] = 1
        self.runner.row.note(request.request_id)
        started_at = monotonic()
        try:
            value = self._guarded(self.runner.script.run, prepared, started_at)
            seconds = monotonic() - started_at
            answer = self.runner.returned(request, value, seconds)
        except BaseException as error:
            seconds = monotonic() - started_at
            answer = self.runner.raised(request, error, seconds)
        self._shift(seconds)
        if answer.chunks is None:
            connection.answer(answer)
        elif self.loop.is_running():
            self._late_stream = connection, request, answer
            current_request_id.reset(token)
            return
        else:
            self._stream(connection, request, answer)
        current_request_id.reset(token)
        self._done()

    def _done(self) -> None:
        self.numbers[columns.RUNNING] = 0
        self.running = 0
        self.current = None

    def _stream_later(self, connection: Connection, request: Request, answer: Answer) -> None:
        """A stream needs the loop between its parts, so one that began in high gear waits until the loop has stopped."""
        self._late_stream = None
        token = current_request_id.set(request.request_id)
        self._stream(connection, request, answer)
        current_request_id.reset(token)
        self._done()

    def _shift(self, seconds: float) -> None:
        """Low gear after a slow call; high gear again after some quick ones in a row."""
        if seconds > SLOW_RUN_SECONDS:
            self._quick_runs = 0
            self.is_low_gear = True
        elif self.is_low_gear:
            self._quick_runs += 1
            if self._quick_runs >= QUICK_RUNS_TO_SHIFT_UP:
                self.is_low_gear = False
                if not self._is_waiting and self.queue:
                    self.wake()

    def _guarded(self, function: Any, keywords: dict[str, Any], started_at: float) -> Any:
        """Call the user's code under the alarm, the supervisor's watch and, in low gear, the lookout's."""
        hands_over = not self.loop.is_running()
        self.run_started_at = started_at
        self.lookout.wake()
        if hands_over:
            self.turn.release()
        else:
            _set_running_loop(None)  # so that asyncio.run() works inside run()
        self.numbers[columns.RUN_STARTED_AT] = started_at
        try:
            try:
                self.alarm.start(started_at)
                return function(**keywords)
            finally:
                self.alarm.started_at = 0.0
        finally:
            self.numbers[columns.RUN_STARTED_AT] = self.run_started_at = 0.0
            if hands_over:
                self._take_turn_back()
            else:
                _set_running_loop(self.loop)

    def _take_turn_back(self) -> None:
        if not self.turn.acquire(blocking=False):
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.turn.acquire()

    def _stream(self, connection: Connection, request: Request, answer: Answer) -> None:
        """Send the parts as run()'s generator makes them; nothing else runs meanwhile, but the loop is served."""
        chunks = answer.chunks
        assert chunks is not None
        connection.start_stream(answer)
        sent_at = monotonic()
        try:
            while not connection.is_lost:
                data = self._guarded(next_chunk, {"chunks": chunks}, monotonic())
                if data is None:
                    connection.end_stream(answer)
                    return
                connection.stream_chunk(data)
                if connection.is_write_paused or monotonic() - sent_at > STREAM_GATHER_SECONDS:
                    self._let_loop_send(connection)
                    sent_at = monotonic()
            self.worker.log_disconnect(request)
        except BaseException as error:
            self.runner.stream_failed(request, error)
            connection.abort()
        finally:
            chunks.close()  # type: ignore[attr-defined]

    def _let_loop_send(self, connection: Connection) -> None:
        while True:
            self.loop.call_soon(_nothing)
            self.loop.call_later(
                LOOKOUT_STEP_SECONDS, self.loop.stop
            ) if connection.is_write_paused else self.loop.stop()
            self.loop.run_forever()
            if not connection.is_write_paused or self.is_finished:
                return


class Lookout(threading.Thread):
    """Serves the event loop while run() holds the main thread for long."""

    def __init__(self, engine: InlineEngine) -> None:
        super().__init__(name="lookout", daemon=True)
        self.engine = engine
        self._call = threading.Event()
        self._is_asleep = False

    def wake(self) -> None:
        if self._is_asleep:
            self._is_asleep = False
            self._call.set()

    def run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        engine = self.engine
        last_work_at = monotonic()
        while True:
            if monotonic() - last_work_at > LOOKOUT_IDLE_SECONDS:
                self._call.clear()
                self._is_asleep = True
                if not engine.run_started_at:
                    self._call.wait()
                self._is_asleep = False
                last_work_at = monotonic()
            sleep(LOOKOUT_STEP_SECONDS if engine.is_low_gear else LOOKOUT_HIGH_GEAR_STEP_SECONDS)
            started_at = engine.run_started_at
            if started_at:
                last_work_at = monotonic()
                if last_work_at - started_at >= LOOKOUT_AFTER_SECONDS:
                    self._serve(started_at)

    def _serve(self, started_at: float) -> None:
        engine = self.engine
        now = monotonic()
        if now - started_at < engine.runner.timeout_seconds:
            engine.numbers[columns.BEAT_AT] = now  # this thread got the interpreter, so the worker is not hung
        if not engine.turn.acquire(blocking=False):
            return
        try:
            if engine.run_started_at == started_at:
                engine.worker.run_is_long(True)
                engine.loop.run_forever()
                engine.worker.run_is_long(False)
        finally:
            engine.turn.release()


def _nothing() -> None:
    """A callback whose only use is that the loop does not sleep before it has sent what waits."""
