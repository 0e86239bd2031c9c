"""The log: azmlinfsrv's line format on standard output, buffered, never torn, joined to requests by their id."""

from __future__ import annotations

import builtins
import json
import logging
import logging.config
import os
import select
import sys
import time
from collections import deque
from contextvars import ContextVar
from typing import Any, Callable

PIPE_ATOMIC_BYTES = 4096
FLUSH_LINES = 64
WRITE_PATIENCE_SECONDS = 2.0
SERVER, SCRIPT, PRINT, SWAGGER = "azmlinfsrv", "azmlinfsrv.user_script", "azmlinfsrv.print", "azmlinfsrv.swagger"

current_request_id: ContextVar[str] = ContextVar("current_request_id", default="")
_LEVELS = {"D": logging.DEBUG, "I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR, "C": logging.CRITICAL}


class Log:
    """Lines wait in memory until `flush`; `line(..., now=True)` flushes at once. Safe to call from any thread."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._second, self._stamp = 0, ""
        self._prefix = f" [{os.getpid()}] "
        self.with_request_id = True
        self.through_logging = False
        self.on_first_line: Callable[[], None] | None = None

    def after_fork(self) -> None:
        self._waiting.clear()
        self._prefix = f" [{os.getpid()}] "

    def line(self, message: str, level: str = "I", name: str = SERVER, now: bool = False, request_id: str = "") -> None:
        """Add one record. Continuation lines of `message` follow as they are; a request id ends the record after a tab."""
        if self.through_logging:
            token = current_request_id.set(request_id) if request_id else None
            logging.getLogger(name).log(_LEVELS[level], "%s", message)
            if token is not None:
                current_request_id.reset(token)
            return
        self.record(message, level, name, now, request_id)

    def record(self, message: str, level: str, name: str, now: bool, request_id: str = "") -> None:
        moment = time.time()
        second = int(moment)
        if second != self._second:
            self._second, self._stamp = second, time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
        if self.with_request_id:
            request_id = request_id or current_request_id.get()
            if request_id:
                message = f"{message}\trequest_id={request_id}"
        waiting = self._waiting
        waiting.append(f"{self._stamp},{int((moment - second) * 1000):03d} {level}{self._prefix}{name} - {message}\n")
        if now or len(waiting) >= FLUSH_LINES:
            self.flush()
        elif self.on_first_line is not None and len(waiting) == 1:
            self.on_first_line()

    def flush(self) -> None:
        """Write what waits, whole records at a time as far as a pipe keeps them together."""
        waiting = self._waiting
        chunk: list[bytes] = []
        size = 0
        while waiting:
            try:
                record = waiting.popleft().encode("utf-8", "backslashreplace")
            except IndexError:
                break
            if size and size + len(record) > PIPE_ATOMIC_BYTES:
                _write(b"".join(chunk))
                chunk, size = [], 0
            chunk.append(record)
            size += len(record)
        if chunk:
            _write(b"".join(chunk))


def _write(data: bytes) -> None:
    """Write all of `data` to standard output; when nobody reads it for some seconds, drop it rather than stop serving."""
    while data:
        try:
            data = data[os.write(1, data) :]
        except BlockingIOError:
            if not select.select([], [1], [], WRITE_PATIENCE_SECONDS)[1]:
                return
        except OSError:
            return


log = Log()


class _LogHandler(logging.Handler):
    """Carries records of the script's own `logging` calls into the log."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
        except Exception:
            self.handleError(record)
            return
        log.record(message, record.levelname[:1], record.name, now=True)


def _hooked_print(original: Callable[..., None]) -> Callable[..., None]:
    def print(
        *objects: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False
    ) -> None:
        if file is None or file is sys.stdout:
            log.line((" " if sep is None else sep).join(map(str, objects)), name=PRINT, now=True)
        else:
            original(*objects, sep=sep, end=end, file=file, flush=flush)

    return print


def take_over(level: str, app_root: str, script_path: str | None) -> None:
    """Route print() and logging of the script into the log; a `logging.json` (dictConfig) of the user replaces the format."""
    builtins.print = _hooked_print(builtins.print)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    root = logging.getLogger()
    root.addHandler(_LogHandler())
    root.setLevel(level if isinstance(logging.getLevelName(level), int) else "INFO")
    folders = [app_root] + ([os.path.dirname(script_path)] if script_path else [])
    for path in (os.path.join(folder, "logging.json") for folder in folders):
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                logging.config.dictConfig(json.load(file))
            log.through_logging = True
            return
