"""The Celery application as the parts run it (`celery -A studio.worker`): each of them says every two seconds that it is alive.

A worker says it from the loop that takes messages off the broker, so one that hangs or has lost the broker falls silent. Beat
says it whenever it has queued something.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from celery import bootsteps
from celery.signals import after_task_publish, beat_init
from celery.worker.consumer import Tasks

from studio.celery import app
from studio.heartbeat import INTERVAL_SECONDS, say_alive


class Heartbeat(bootsteps.StartStopStep):
    """From when the worker takes tasks until it has lost the broker or stops."""

    requires = (Tasks,)

    def __init__(self, consumer: Any, **options: Any) -> None:
        self.timer_entry: Any = None
        super().__init__(consumer, **options)

    def start(self, consumer: Any) -> None:
        say_alive(_part())
        self.timer_entry = consumer.timer.call_repeatedly(INTERVAL_SECONDS, say_alive, (_part(),))

    def stop(self, consumer: Any) -> None:
        if self.timer_entry is not None:
            self.timer_entry.cancel()
            self.timer_entry = None


app.steps["consumer"].add(Heartbeat)


class WithoutTicks(logging.Filter):
    """Ticks come every other second; the log is for what somebody has asked for, and for what went wrong."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO or ".tick_" not in record.getMessage()


for _name in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
    logging.getLogger(_name).addFilter(WithoutTicks())


@beat_init.connect(weak=False)
def watch_beat(**_: Any) -> None:
    """In the process that is beat: every task it queues is a sign of life."""
    say_alive(_part())
    after_task_publish.connect(_queued, weak=False)


def _queued(**_: Any) -> None:
    say_alive(_part())


def _part() -> str:
    return os.environ.get("STUDIO_PART", "unnamed")
