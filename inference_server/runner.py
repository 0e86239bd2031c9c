"""One call of run(): its clock, its failures, its numbers. Knows nothing of sockets."""

from __future__ import annotations

import os
import traceback
from bisect import bisect_left
from typing import Any, Iterator

from inference_server import board as columns
from inference_server import outputs
from inference_server.board import BUCKET_BOUNDS_SECONDS, Row
from inference_server.inputs import Refused, Request, arguments
from inference_server.log import SCRIPT, log
from inference_server.outputs import SCRIPT_FAILED, SERVER_FAILED, Answer
from inference_server.script import Script
from inference_server.settings import Settings

_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__))


class ScoringTimeout(BaseException):
    """run() took longer than the scoring timeout. Not an Exception, so `except Exception` in a script lets it pass."""


class Runner:
    """Prepares run()'s arguments and turns its end, of whatever kind, into an Answer."""

    def __init__(self, script: Script, settings: Settings, row: Row) -> None:
        self.script, self.row = script, row
        self.timeout_seconds = settings.scoring_timeout_ms / 1000
        self._timeout_text = f"Scoring timeout after {settings.scoring_timeout_ms} ms"
        self._raw = script.kind == "raw"

    def prepare(self, request: Request) -> dict[str, Any] | Answer:
        """The keyword arguments, or the answer when the request is refused."""
        if request.method == "OPTIONS" and not self._raw:
            return Answer(200, b"", outputs.TEXT)
        try:
            return arguments(self.script, request)
        except Refused as error:
            return outputs.message(error.status, error.message)
        except Exception as error:
            self._log_failure(error, "The request could not be prepared for run()", request)
            return outputs.message(500, SERVER_FAILED)

    def returned(self, request: Request, value: Any, seconds: float) -> Answer:
        """The answer for a run() that returned `value`."""
        self._measure(seconds)
        try:
            answer = outputs.result(value)
        except BaseException as error:
            advice = "What run() returned cannot be written as JSON; convert it first (for numpy and pandas: .tolist())"
            self._log_failure(error, advice, request)
            answer = outputs.message(500, SERVER_FAILED)
        answer.exec_ms = seconds * 1000
        if answer.is_soft_error:
            self.row.numbers[columns.SOFT_ERRORS] += 1
        return answer

    def raised(self, request: Request, error: BaseException, seconds: float) -> Answer:
        """The answer for a run() that raised."""
        self._measure(seconds)
        if isinstance(error, ScoringTimeout):
            return self.timed_out(request, error)
        if isinstance(error, Refused):
            log.line(f"Refused: {error.message}", "W", SCRIPT, request_id=request.request_id)
            return outputs.message(error.status, error.message)
        self.row.numbers[columns.RUN_FAILURES] += 1
        text = "run() raised an exception"
        if isinstance(error, SystemExit):
            text = "run() called sys.exit(); the worker goes on"
        self._log_failure(error, text, request)
        return outputs.message(500, SCRIPT_FAILED, run_failed=True)

    def timed_out(self, request: Request, error: BaseException | None = None) -> Answer:
        self.row.numbers[columns.RUN_TIMEOUTS] += 1
        if error is None:
            log.line(self._timeout_text, "E", SCRIPT, now=True, request_id=request.request_id)
        else:
            self._log_failure(error, self._timeout_text, request)
        return outputs.message(500, self._timeout_text, run_failed=True)

    def stream_failed(self, request: Request, error: BaseException) -> None:
        self.row.numbers[columns.RUN_FAILURES] += 1
        self._log_failure(error, "The streamed answer of run() raised; the connection is cut", request)

    def _measure(self, seconds: float) -> None:
        numbers = self.row.numbers
        numbers[columns.RUN_COUNT] += 1
        numbers[columns.RUN_SECONDS] += seconds
        at = bisect_left(BUCKET_BOUNDS_SECONDS, seconds)
        if at < len(BUCKET_BOUNDS_SECONDS):
            numbers[columns.BUCKETS + at] += 1

    @staticmethod
    def _log_failure(error: BaseException, text: str, request: Request) -> None:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
            frames = frames.tb_next
        trace = "".join(traceback.format_exception(type(error), error, frames or error.__traceback__)).rstrip()
        log.line(f"{text}\nEncountered Exception: {trace}", "E", SCRIPT, now=True, request_id=request.request_id)


def next_chunk(chunks: Iterator[bytes]) -> bytes | None:
    """The next part of a streamed answer, None at its end."""
    return next(chunks, None)
