"""The board as Prometheus text (version 0.0.4)."""

from __future__ import annotations

import os

from inference_server import board as columns
from inference_server.board import BUCKET_BOUNDS_SECONDS, Board

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SUMS = (
    ("inference_requests_in_flight", "gauge", "Requests that run() works on now.", columns.RUNNING),
    ("inference_requests_queued", "gauge", "Requests that wait for run() now.", columns.QUEUED),
    ("inference_connections", "gauge", "Open client connections.", columns.CONNECTIONS),
    ("inference_run_failures_total", "counter", "Calls of run() that raised.", columns.RUN_FAILURES),
    ("inference_run_timeouts_total", "counter", "Calls of run() ended by the scoring timeout.", columns.RUN_TIMEOUTS),
    (
        "inference_soft_errors_total",
        "counter",
        "Answers 200 whose JSON object has a top-level error.",
        columns.SOFT_ERRORS,
    ),
    ("inference_rejected_total", "counter", "Requests answered 429 because the queue was full.", columns.REJECTED),
    ("inference_batches_total", "counter", "Calls that took what waited together.", columns.BATCHES),
    ("inference_batched_requests_total", "counter", "Requests in those calls.", columns.BATCHED),
    ("inference_disconnected_total", "counter", "Requests whose client left before run().", columns.DISCONNECTED),
)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def render(board: Board) -> bytes:
    rows = [row.numbers for row in board.rows]
    lines: list[str] = []

    def head(name: str, kind: str, text: str) -> None:
        lines.extend((f"# HELP {name} {text}", f"# TYPE {name} {kind}"))

    for name, kind, text, column in _SUMS:
        head(name, kind, text)
        lines.append(f"{name} {sum(row[column] for row in rows):.0f}")
    head("inference_answers_total", "counter", "Answers on /score by status class.")
    for hundreds in range(2, 6):
        count = sum(row[columns.ANSWERS + hundreds - 1] for row in rows)
        lines.append(f'inference_answers_total{{class="{hundreds}xx"}} {count:.0f}')
    head("inference_run_seconds", "histogram", "Time spent in run().")
    below = 0.0
    for at, bound in enumerate(BUCKET_BOUNDS_SECONDS):
        below += sum(row[columns.BUCKETS + at] for row in rows)
        lines.append(f'inference_run_seconds_bucket{{le="{bound:g}"}} {below:.0f}')
    count = sum(row[columns.RUN_COUNT] for row in rows)
    lines.append(f'inference_run_seconds_bucket{{le="+Inf"}} {count:.0f}')
    lines.append(f"inference_run_seconds_sum {sum(row[columns.RUN_SECONDS] for row in rows):.9f}")
    lines.append(f"inference_run_seconds_count {count:.0f}")
    head("inference_worker_restarts_total", "counter", "Workers replaced after they died or hung.")
    lines.append(f"inference_worker_restarts_total {board.shared[columns.RESTARTS]:.0f}")
    head("inference_ready", "gauge", "1 when the instance takes requests.")
    lines.append(f"inference_ready {int(board.is_ready)}")
    head("inference_worker_ready", "gauge", "1 when this worker has completed init().")
    lines.extend(f'inference_worker_ready{{worker="{at}"}} {row[columns.READY]:.0f}' for at, row in enumerate(rows))
    head("inference_worker_resident_bytes", "gauge", "Resident memory of this worker.")
    for at, row in enumerate(rows):
        lines.append(f'inference_worker_resident_bytes{{worker="{at}"}} {resident_bytes(int(row[columns.PID]))}')
    return ("\n".join(lines) + "\n").encode()
