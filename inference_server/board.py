"""Numbers that the supervisor and the workers share: one row each worker, in anonymous memory made before the fork."""

from __future__ import annotations

import mmap

ROW_NUMBERS = 40
TEXT_BYTES = 128

# Columns of a worker's row. *_AT are time.monotonic(), the same clock in every process.
(
    RUN_STARTED_AT,
    BEAT_AT,
    PID,
    READY,
    RUNNING,
    QUEUED,
    RUN_COUNT,
    RUN_SECONDS,
    RUN_FAILURES,
    RUN_TIMEOUTS,
    SOFT_ERRORS,
    REJECTED,
    DISCONNECTED,
    CONNECTIONS,
    ANSWERS,  # five columns: 1xx (unused) to 5xx
) = range(15)
BUCKETS = ANSWERS + 5
BATCHES, BATCHED = 32, 33
BUCKET_BOUNDS_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# Columns of the row all share.
DRAINING, RESTARTS, DOORMAN = 0, 1, 2


class Row:
    """One worker's numbers, and the id of the request its run() holds (to name it when the process dies)."""

    def __init__(self, numbers: memoryview[float], text: memoryview) -> None:
        self.numbers = numbers
        self._text = text

    def note(self, request_id: str) -> None:
        data = request_id.encode("utf-8", "replace")[: TEXT_BYTES - 1]
        self._text[: len(data) + 1] = data + b"\0"

    @property
    def noted(self) -> str:
        return bytes(self._text).split(b"\0", 1)[0].decode("utf-8", "replace")

    def reset(self) -> None:
        """Forget the state of a dead worker; the counters go on, so a restart never lowers them."""
        for column in (RUN_STARTED_AT, BEAT_AT, PID, READY, RUNNING, QUEUED, CONNECTIONS):
            self.numbers[column] = 0.0
        self.note("")


class Board:
    def __init__(self, worker_count: int) -> None:
        numbers_bytes = 8 * ROW_NUMBERS * (worker_count + 1)
        self._memory = mmap.mmap(-1, numbers_bytes + TEXT_BYTES * worker_count)
        view = memoryview(self._memory)
        numbers, texts = view[:numbers_bytes].cast("d"), view[numbers_bytes:]
        self.shared = numbers[:ROW_NUMBERS]
        self.rows = [
            Row(
                numbers[ROW_NUMBERS * (at + 1) : ROW_NUMBERS * (at + 2)],
                texts[TEXT_BYTES * at : TEXT_BYTES * (at + 1)],
            )
            for at in range(worker_count)
        ]

    @property
    def draining(self) -> bool:
        return self.shared[DRAINING] != 0.0

    @property
    def is_ready(self) -> bool:
        """Whether a new connection would be served: a worker has run init(), the doorman has left, nobody asked to stop."""
        return not self.draining and not self.shared[DOORMAN] and any(row.numbers[READY] for row in self.rows)
