"""Processes made by fork: plain children of the supervisor, and workers forked from one that has run init() already."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import signal
import socket
import struct
import sys
import traceback
from typing import Callable

from inference_server.log import log
from inference_server.script import Script
from inference_server.settings import Settings
from inference_server.worker import prepare_script

PR_SET_CHILD_SUBREAPER = 36
ANSWER_PATIENCE_SECONDS = 30.0
READY, THREADS = b"R", b"T"
_PID = struct.Struct("q")


def fork(child: Callable[[], int]) -> int:
    """Run `child` in a new process that ends with its result; returns the process id, in the parent only."""
    log.flush()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        log.after_fork()
        code = child()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        log.line(f"This process of the inference server failed\n{traceback.format_exc().rstrip()}", "E")
    finally:
        try:
            atexit._run_exitfuncs()
            log.flush()
            sys.stdout.flush()
        finally:
            os._exit(code)


class Nursery:
    """With WORKER_PRELOAD: a process that loads the script and runs init() once, then forks each worker from itself.

    Workers become children of the supervisor (it is their subreaper), so it watches and replaces them like any other. A
    replacement shares the model's memory and is ready in milliseconds. When init() has started threads a fork would lose
    them; then `can_fork` is False and every worker runs init() itself.
    """

    def __init__(
        self, settings: Settings, start_worker: Callable[[int, Script], int], close_inherited: Callable[[], None]
    ) -> None:
        self._settings, self._start_worker, self._close_inherited = settings, start_worker, close_inherited
        self._ours, self._theirs = socket.socketpair()
        self.is_heard = self.is_ready = self.can_fork = False
        self.pid = 0

    def open(self) -> bool:
        """Start the process; False where the kernel does not know subreapers."""
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "prctl") or libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            return False
        self.pid = fork(self._main)
        self._theirs.close()
        return True

    def fileno(self) -> int:
        return self._ours.fileno()

    def hear(self) -> None:
        """Read whether init() is over; call when the descriptor is readable."""
        self.is_heard = True
        word = self._ours.recv(1)
        self.is_ready = word in (READY, THREADS)
        self.can_fork = word == READY

    def spawn(self, at: int) -> int:
        """Fork the worker of row `at`; returns its process id. Raises OSError when the process is gone."""
        self._ours.settimeout(ANSWER_PATIENCE_SECONDS)
        self._ours.sendall(_PID.pack(at))
        answer = self._ours.recv(_PID.size, socket.MSG_WAITALL)
        if len(answer) < _PID.size:
            raise OSError("the preloaded process is gone")
        return int(_PID.unpack(answer)[0])

    def close(self) -> None:
        self._ours.close()

    # in the preloaded process

    def _main(self) -> int:
        self._ours.close()
        self._close_inherited()
        script = prepare_script(self._settings)
        threads = len(os.listdir("/proc/self/task"))
        if threads > 1:
            text = f"init() left {threads - 1} threads running, which a fork would lose; each worker runs init() itself"
            log.line(
                text + ". Set WORKER_PRELOAD=false, or OMP_NUM_THREADS=1 when they are BLAS threads.", "W", now=True
            )
            self._theirs.sendall(THREADS)
            return 0
        gc.collect()
        gc.freeze()
        self._theirs.sendall(READY)
        while True:
            asked = self._theirs.recv(_PID.size, socket.MSG_WAITALL)
            if len(asked) < _PID.size:
                return 0
            self._fork_worker(_PID.unpack(asked)[0], script)

    def _fork_worker(self, at: int, script: Script) -> None:
        """Fork twice, so that the worker loses this parent and the supervisor becomes it."""

        def between() -> int:
            def worker() -> int:
                self._theirs.close()
                return self._start_worker(at, script)

            self._theirs.sendall(_PID.pack(fork(worker)))
            os._exit(0)

        os.waitpid(fork(between), 0)
