"""The engine that calls the model once for all requests that wait: never more than `max_batch`, never waiting for more."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, Sequence

from inference_server import board as columns
from inference_server.engine import InlineEngine
from inference_server.inputs import Request
from inference_server.log import SCRIPT, current_request_id, log
from inference_server.outputs import Answer
from inference_server.runner import Runner, ScoringTimeout

if TYPE_CHECKING:
    from inference_server.protocol import Connection
    from inference_server.worker import Worker


class BatchEngine(InlineEngine):
    """One request alone when nothing else waits, so an idle instance answers as fast as without batches."""

    def __init__(self, worker: Worker, runner: Runner, loop: asyncio.AbstractEventLoop, max_batch: int) -> None:
        super().__init__(worker, runner, loop)
        self.max_batch = max_batch
        self._batch: list[tuple[Connection, Request]] = []

    def held(self) -> list[tuple[Connection, Request, float]]:
        return [(connection, request, self.run_started_at) for connection, request in self._batch]

    def _work_next(self) -> bool:
        batch: list[tuple[Connection, Request]] = []
        items: list[Any] = []
        while len(batch) < self.max_batch:
            taken = self.take()
            if taken is None:
                break
            prepared = self.runner.prepare(taken[1])
            if isinstance(prepared, Answer):
                taken[0].answer(prepared)
            else:
                batch.append(taken)
                items.append(prepared[self.runner.script.first_parameter])
        if batch:
            self._work_together(batch, items)
        return bool(batch)

    def _work_together(self, batch: list[tuple[Connection, Request]], items: list[Any]) -> None:
        numbers = self.numbers
        self._batch = batch
        # A full batch and a full queue behind it may be held; 429 begins after that.
        self.running = self.limit = len(batch)
        numbers[columns.RUNNING] = len(batch)
        numbers[columns.BATCHES] += 1
        numbers[columns.BATCHED] += len(batch)
        only = batch[0][1].request_id if len(batch) == 1 else ""
        token = current_request_id.set(only)
        self.runner.row.note(only or f"{batch[0][1].request_id} and {len(batch) - 1} others")
        answers, seconds = self._score([request for _, request in batch], items)
        self._shift(seconds)
        current_request_id.reset(token)
        self._batch = []
        numbers[columns.RUNNING] = 0
        self.running, self.limit = 0, 1
        for (connection, _), answer in zip(batch, answers):
            connection.answer(answer)

    def _score(self, requests: list[Request], items: list[Any]) -> tuple[list[Answer], float]:
        """An answer for each request; when the call for all of them fails, each is tried alone."""
        started_at = monotonic()
        try:
            values = self._guarded(self._call, {"items": items}, started_at)
        except BaseException as error:
            seconds = monotonic() - started_at
            if len(items) == 1 or isinstance(error, ScoringTimeout):
                return [self.runner.raised(request, error, seconds) for request in requests], seconds
            text = f"A call for {len(items)} requests failed ({type(error).__name__}: {error}); each is tried alone"
            log.line(text, "W", SCRIPT)
            alone = [self._score([request], [item]) for request, item in zip(requests, items)]
            return [answers[0] for answers, _ in alone], monotonic() - started_at
        seconds = monotonic() - started_at
        return [self._answer(request, value, seconds) for request, value in zip(requests, values)], seconds

    def _call(self, items: list[Any]) -> Sequence[Any]:
        batch = self.runner.script.batch
        assert batch is not None
        values = batch(items)
        if not isinstance(values, (list, tuple)) or len(values) != len(items):
            got = f"{len(values)} results" if isinstance(values, (list, tuple)) else f"a {type(values).__name__}"
            raise ValueError(
                f"run_batch() returned {got} for {len(items)} requests; it should return a list with one for each"
            )
        return values

    def _answer(self, request: Request, value: Any, seconds: float) -> Answer:
        if isinstance(value, BaseException):
            return self.runner.raised(request, value, seconds)
        answer = self.runner.returned(request, value, seconds)
        if answer.chunks is not None:
            answer.chunks.close()  # type: ignore[attr-defined]
            return self.runner.raised(request, TypeError("run_batch() cannot return a streamed answer"), seconds)
        return answer
