"""The supervisor: opens the socket, forks workers, watches them, replaces the dead and the hung, drains on SIGTERM.

It never imports the user's code, so nothing a script does can take it down.
"""

from __future__ import annotations

import os
import resource
import selectors
import signal
import socket
import sys
from time import monotonic
from typing import Sequence

from inference_server import board as columns
from inference_server import settings as settings_module
from inference_server.board import Board
from inference_server.doorman import Doorman
from inference_server.listen import AddressUnusable, open_listener, open_port, remove_socket_file
from inference_server.log import log
from inference_server.nursery import Nursery, fork
from inference_server.script import Script
from inference_server.settings import SettingInvalid, Settings
from inference_server.worker import EXIT_SCRIPT_FAILED, EXIT_TOO_LARGE, TRACEBACK_SIGNAL, run_worker

WATCH_SECONDS = 0.25
STARTING_WATCH_SECONDS = 0.02
KILL_GRACE_SECONDS = 2.0
SILENCE_SECONDS = 1.5
FAREWELL_SECONDS = (
    10.0  # for a worker that is alive beside its hung run(): it answers what it holds and leaves by itself
)
TRACEBACK_SECONDS = 0.3
STABLE_SECONDS = 10.0
FILES_WANTED = 65_536
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0


class _Place:
    """One worker's place: the process that holds it, and when the next one may start."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.pid = 0
        self.started_at = 0.0
        self.start_after = 0.0
        self.quick_deaths = 0
        self.was_ready = False
        self.kill_at = 0.0


class Supervisor:
    def __init__(self, settings: Settings, listener: socket.socket, health: socket.socket | None) -> None:
        self.settings, self.listener, self.health = settings, listener, health
        self.board = Board(settings.worker_count)
        self.places = [_Place(at) for at in range(settings.worker_count)]
        self.selector = selectors.DefaultSelector()
        self.doorman = Doorman(self.selector, self.board)
        self.nursery: Nursery | None = None
        self.has_ever_been_ready = False
        self.exit_code = 0
        self._stop_asked = False
        self._workers_told_at = 0.0
        self._lame_duck_ends_at = 0.0
        self._lifeline, self._lifeline_end = os.pipe()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._socket_inode = os.stat(settings.socket_path).st_ino if settings.socket_path else 0

    def run(self) -> int:
        """Until stopped; the exit code: 0 drained, 3 the script cannot be used."""
        self._listen_to_signals()
        if self.settings.preload:
            self._open_nursery()
        if self.health is not None:
            self.doorman.watch(self.health, True)
        while not self._is_over():
            self._start_workers()
            self._place_doorman(self._needs_doorman())
            for key, _ in self.selector.select(self._pause()):
                key.data()
            now = monotonic()
            self._reap(now)
            self._watch(now)
            self.doorman.expire(now)
            self._step_stop(now)
        if self.settings.socket_path:
            remove_socket_file(self.settings.socket_path, self._socket_inode)
        log.flush()
        return self.exit_code

    def _pause(self) -> float:
        settled = all(place.pid and place.was_ready for place in self.places) and not self._stop_asked
        return WATCH_SECONDS if settled else STARTING_WATCH_SECONDS

    def _place_doorman(self, wanted: bool) -> None:
        """At the door before the board says so, away from it before the board says ready."""
        if wanted:
            self.board.shared[columns.DOORMAN] = 1.0
        self.doorman.watch(self.listener, wanted)
        if not wanted:
            self.board.shared[columns.DOORMAN] = 0.0

    def _needs_doorman(self) -> bool:
        return not self._workers_told_at and not any(row.numbers[columns.READY] for row in self.board.rows)

    def _is_over(self) -> bool:
        alive = any(place.pid for place in self.places) or (self.nursery is not None and self.nursery.pid)
        return bool(self._workers_told_at) and not alive

    # signals

    def _listen_to_signals(self) -> None:
        for end in (self._wake_reader, self._wake_writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        self.selector.register(self._wake_reader, selectors.EVENT_READ, lambda: self._wake_reader.recv(4096))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, *_: object) -> None:
        self._stop_asked = True

    def _step_stop(self, now: float) -> None:
        """Readiness first, then the listening socket, then the workers; past the limit, without asking."""
        if not self._stop_asked:
            return
        if not self._lame_duck_ends_at:
            was_serving = any(place.was_ready for place in self.places if place.pid)
            self.board.shared[columns.DRAINING] = 1.0
            self.doorman.why_not_ready = "it is stopping."
            self._lame_duck_ends_at = now + (self.settings.lame_duck_seconds if was_serving else 0.0)
            log.line("Stopping: no longer ready, requests in flight go on", now=True)
        if not self._workers_told_at and now >= self._lame_duck_ends_at:
            self._workers_told_at = now
            self._tell_workers()
        if self._workers_told_at and now > self._workers_told_at + self.settings.drain_seconds + KILL_GRACE_SECONDS:
            self._signal_all(signal.SIGKILL)

    def _tell_workers(self) -> None:
        self._place_doorman(False)
        if self.settings.socket_path:
            remove_socket_file(self.settings.socket_path, self._socket_inode)
        self.listener.close()
        if self.nursery is not None:
            self.nursery.close()
        self._signal_all(signal.SIGTERM)

    def _signal_all(self, number: signal.Signals) -> None:
        pids = [place.pid for place in self.places if place.pid]
        if self.nursery is not None and self.nursery.pid and not self.nursery.is_ready:
            pids.append(self.nursery.pid)
        for pid in pids:
            _send(pid, number)

    # starting

    def _open_nursery(self) -> None:
        nursery = Nursery(self.settings, self._run_preloaded, self._close_inherited)
        if nursery.open():
            self.nursery = nursery
            self.selector.register(nursery, selectors.EVENT_READ, self._hear_nursery)
        else:
            log.line("WORKER_PRELOAD is not available on this system; each worker runs init() itself", "W")

    def _hear_nursery(self) -> None:
        assert self.nursery is not None
        if self.nursery.is_heard:
            return
        self.selector.unregister(self.nursery)
        try:
            self.nursery.hear()
        except OSError:
            return  # it died; the reaper knows more

    def _start_workers(self) -> None:
        if self._stop_asked or (self.nursery is not None and not self.nursery.is_ready):
            return
        now = monotonic()
        for place in self.places:
            if not place.pid and now >= place.start_after:
                self.board.rows[place.at].reset()
                place.started_at, place.was_ready, place.kill_at = now, False, 0.0
                try:
                    place.pid = self._start_worker(place.at)
                except OSError as error:
                    log.line(f"A worker could not be started: {error}; trying again in 1 s", "E", now=True)
                    place.start_after = now + 1.0

    def _start_worker(self, at: int) -> int:
        if self.nursery is not None and self.nursery.can_fork:
            try:
                return self.nursery.spawn(at)
            except OSError as error:
                log.line(f"Preloading has ended ({error}); workers run init() themselves from now on", "W", now=True)
                self.nursery.can_fork = False
        return fork(lambda: self._run_plain(at))

    def _run_plain(self, at: int) -> int:
        self._close_inherited()
        return run_worker(self.settings, self.board, at, self.listener, self._lifeline)

    def _run_preloaded(self, at: int, script: Script) -> int:
        return run_worker(self.settings, self.board, at, self.listener, self._lifeline, script)

    def _close_inherited(self) -> None:
        """In a child: let go of everything that is the supervisor's alone."""
        self.doorman.close_all()
        self.selector.close()
        os.close(self._lifeline_end)
        for end in (self._wake_reader, self._wake_writer):
            end.close()
        if self.health is not None:
            self.health.close()

    # watching

    def _reap(self, now: float) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            if self.nursery is not None and pid == self.nursery.pid:
                self._nursery_died(code)
                continue
            for place in self.places:
                if place.pid == pid:
                    self._died(place, code, now)

    def _nursery_died(self, code: int) -> None:
        assert self.nursery is not None
        self.nursery.pid = 0
        self._hear_nursery()  # its last word may have come together with its end
        if not self.nursery.is_ready:
            self._give_up(code)
        self.nursery.is_ready = True

    def _give_up(self, code: int) -> None:
        """The script never came up: say so once and end with exit code 3."""
        if code != EXIT_SCRIPT_FAILED and not self._stop_asked:
            log.line(
                f"The scoring script ended its process while it was loaded or in init(): {_cause(code)}", "E", now=True
            )
        if not self._stop_asked:
            self.exit_code = EXIT_SCRIPT_FAILED
        self._stop_asked = True

    def _died(self, place: _Place, code: int, now: float) -> None:
        row = self.board.rows[place.at]
        pid, place.pid = place.pid, 0
        was_ready = place.was_ready or bool(row.numbers[columns.READY])
        running, noted = bool(row.numbers[columns.RUN_STARTED_AT]), row.noted
        row.reset()
        if self._stop_asked:
            return
        if not self.has_ever_been_ready and not was_ready:
            self._give_up(code)
            return
        self.has_ever_been_ready = True
        lived = now - place.started_at
        place.quick_deaths = place.quick_deaths + 1 if lived < STABLE_SECONDS or not was_ready else 0
        pause = 0.0
        if place.quick_deaths > 1:
            pause = min(FIRST_BACKOFF_SECONDS * 2 ** (place.quick_deaths - 2), LONGEST_BACKOFF_SECONDS)
        place.start_after = now + pause
        self.board.shared[columns.RESTARTS] += 1
        self.doorman.why_not_ready = "its worker is being replaced."
        what = f"Worker {pid} ended: {_cause(code)}"
        what += " while it ran a request" if running else ""
        log.line(f"{what}; replacing it in {pause:g} s", "E", now=True, request_id=noted if running else "")

    def _watch(self, now: float) -> None:
        run_limit = self.settings.scoring_timeout_ms / 1000 + KILL_GRACE_SECONDS
        for place in self.places:
            if not place.pid:
                continue
            numbers = self.board.rows[place.at].numbers
            if numbers[columns.READY]:
                place.was_ready = self.has_ever_been_ready = True
            if place.kill_at:
                if now >= place.kill_at:
                    _send(place.pid, signal.SIGKILL)
                continue
            started_at, beat_at = numbers[columns.RUN_STARTED_AT], numbers[columns.BEAT_AT]
            reason = ""
            over_seconds = now - started_at - run_limit if started_at else 0.0
            is_silent = now - beat_at > SILENCE_SECONDS
            if over_seconds > 0 and (is_silent or over_seconds > FAREWELL_SECONDS):
                reason = f"run() has not ended after {now - started_at:.1f} s and cannot be interrupted"
            elif numbers[columns.READY] and beat_at and now - beat_at > self.settings.worker_timeout_seconds:
                reason = f"it gave no sign of life for {now - beat_at:.1f} s (WORKER_TIMEOUT)"
            if reason:
                noted = self.board.rows[place.at].noted
                log.line(f"Worker {place.pid} is killed: {reason}; where it hangs:", "E", now=True, request_id=noted)
                _send(place.pid, TRACEBACK_SIGNAL)
                place.kill_at = now + TRACEBACK_SECONDS


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _allow_many_files() -> None:
    """Raise the soft limit of open files to the hard one (at most FILES_WANTED): each client takes a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _cause(code: int) -> str:
    if code == EXIT_TOO_LARGE:
        return "it had reached its memory ceiling"
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    advice = " (perhaps out of memory: compare the model with the instance's memory limit)" if name == "SIGKILL" else ""
    return f"signal {name}{advice}"


def main(argv: Sequence[str]) -> int:
    """The command line; see docs/reference/inference-server.md. Returns the exit code."""
    try:
        settings = settings_module.load(argv, os.environ)
    except SettingInvalid as error:
        print(f"Configuration Error\n{error}", file=sys.stderr)
        return EXIT_SCRIPT_FAILED
    settings_module.export(settings)
    _allow_many_files()
    log.with_request_id = settings.log_request_id
    for line in settings_module.table(settings):
        print(line)
    for name in settings.unknown_keys:
        log.line(f"The configuration file has an unknown key {name!r}, which is ignored", "W")
    if settings.app_insights:
        log.line(
            "AML_APP_INSIGHTS_ENABLED has no effect here; requests are measured at the gateway and in /metrics", "W"
        )
    if settings.model_dir is None:
        log.line("AZUREML_MODEL_DIR is not set: the script gets no model directory")
    try:
        listener = open_listener(settings)
        health = open_port(settings.host, settings.health_port) if settings.health_port else None
    except AddressUnusable as error:
        print(error, file=sys.stderr)
        return 1
    log.flush()
    sys.stdout.flush()
    return Supervisor(settings, listener, health).run()
