"""Runs one instance: starts, limits, watches and restarts its serving process. The program around it is `launch.py`.

It stays the parent of the serving process, because only a parent learns how a process ended. supervisord restarts the launcher
should it die; the launcher restarts the instance, with growing pauses, except after exit code 3 (the script itself fails).
What happens is written to the instance's state file, which the driver reads, and to its events.

Standard library only, and little of it: the launcher's own start is on the way to an instance's first answer.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import stat
import sys
import time

from deployments.compute import confine, limits, places, sandbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCRIPT_FAILED = 3
CANNOT_EXECUTE = 126
PAUSES_SECONDS = (0, 1, 2, 4, 8, 16, 30)
STABLE_AFTER_SECONDS = 60.0
SUPERVISOR_STARTSECS = 1.0
WATCHED_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class Launcher:
    """One instance over all its runs. `state` is what the state file shows; each method leaves it true."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.is_stopping = False
        self.groups: limits.Groups = {}
        self.applied: dict[str, str] = {}
        self.began = time.monotonic()
        self.oom_kills_seen = 0
        self.is_run_oom_killed = False
        previous = places.read_document(spec["state_file"]) or {}
        self.state: dict[str, Any] = {
            "state": "Starting",
            "launcher_pid": os.getpid(),
            "pid": None,
            "started_at": None,
            "exit_code": previous.get("exit_code"),
            "restarts": previous.get("restarts", 0),
            "failures": previous.get("failures", 0),
            "oom_killed": previous.get("oom_killed", False),
            "message": "",
            "limits_applied": {},
            "groups": {},
            "spec_digest": spec["digest"],
        }
        self.was_cut_short = previous.get("state") in ("Starting", "Running", "BackOff")

    def run(self) -> int:
        """Keep the instance running until it is asked to stop or has failed for good; returns the launcher's exit code."""
        if not self._take_over():
            return 0
        self._clear_leftovers()
        self.groups, self.applied = confine.make_groups(self.spec)
        self.oom_kills_seen = limits.oom_kills(self.groups)
        self._show("Starting", groups=self.groups)
        if self.was_cut_short:  # the launcher itself was killed, and took its instance with it
            self.state["restarts"] += 1
            self.state["failures"] += 1
        try:
            return self._run_until_final()
        finally:
            self._clear_leftovers()

    def _run_until_final(self) -> int:
        while self._pause_before_start():
            exit_code = self._run_once()
            if self.is_stopping:
                break
            if exit_code in (SCRIPT_FAILED, CANNOT_EXECUTE):
                self._outlive_startsecs()
                return SCRIPT_FAILED
            self.state["restarts"] += 1
        self._show("Stopped", pid=None, message="Stopped as asked.")
        return 0

    def _run_once(self) -> int:
        """Start the serving process and wait for its end; returns its exit code, 128 + n for signal n."""
        started = time.monotonic()
        self.is_run_oom_killed = False
        try:
            pid, self.state["limits_applied"] = confine.start(self.spec, self.groups, self.applied)
        except OSError as error:
            return self._could_not_start(error)
        self._show(
            "Starting", pid=pid, started_at=time.time(), message="The process runs; it has not opened its address yet."
        )
        self._event("Started", f"Started the inference server as process {pid}.")
        try:
            status = self._watch(pid)
        finally:
            self._unpublish()
            self._end_remaining(pid)
        ran_for = time.monotonic() - started
        self.state["failures"] = 0 if ran_for >= STABLE_AFTER_SECONDS else self.state["failures"] + 1
        exit_code = os.waitstatus_to_exitcode(status)
        return self._tell_end(128 - exit_code if exit_code < 0 else exit_code, ran_for)

    def _could_not_start(self, error: OSError) -> int:
        self.state["failures"] += 1
        message = f"The instance could not be started: {error}."
        if error.errno in (errno.ENOENT, errno.EACCES, errno.ENOEXEC) and error.filename == self.spec["command"][0]:
            self._show("Fatal", pid=None, exit_code=CANNOT_EXECUTE, message=message + " Rebuild its environment.")
            self._event("Failed", message)
            return CANNOT_EXECUTE
        self._show("BackOff", pid=None, message=message)
        self._event("Failed", message)
        return 1

    def _watch(self, pid: int) -> int:
        """Wait for the process to end, meanwhile publish its address and pass on requests to stop. Returns its wait status."""
        deadline: float | None = None
        started = time.monotonic()
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return status
            if self.state["state"] == "Starting" and self._publish():
                self._show("Running", message="")
            now = time.monotonic()
            if self.is_stopping and deadline is None:
                deadline = now + self.spec["stop_grace_seconds"]
                self._show("Stopping", message="Finishing what it had begun.")
                self._event("Killing", "Asked the inference server to stop.")
                os.kill(pid, signal.SIGTERM)
            if deadline is not None and now >= deadline:
                self._event("Killing", f"Killed after {self.spec['stop_grace_seconds']:g} s of grace.")
                os.kill(pid, signal.SIGKILL)
                deadline = now + 5.0
            self._notice_oom_kill()
            self._wait(self._watch_interval(now - started, deadline, now))

    def _watch_interval(self, age_seconds: float, deadline: float | None, now: float) -> float:
        if deadline is not None:
            return max(0.0, min(2.0, deadline - now))
        if self.state["state"] == "Running":
            return 2.0
        return 0.01 if age_seconds < 5 else 0.1

    def _pause_before_start(self) -> bool:
        """Wait as long as the failures so far demand; False when asked to stop instead."""
        failures = self.state["failures"]
        pause = PAUSES_SECONDS[min(failures - 1, len(PAUSES_SECONDS) - 1)] if failures else 0
        if pause and not self.is_stopping:
            message = f"{self.state['message']} Starting again in {pause} s.".strip()
            self._show("BackOff", pid=None, message=message)
            self._event("BackOff", message)
        until = time.monotonic() + pause
        while not self.is_stopping and (left := until - time.monotonic()) > 0:
            self._wait(left)
        return not self.is_stopping

    def _tell_end(self, exit_code: int, ran_for_seconds: float) -> int:
        self._notice_oom_kill()
        if self.is_stopping:
            self.state["exit_code"] = exit_code
            self._event("Exited", f"The inference server ended with exit code {exit_code}.")
            return exit_code
        if self.is_run_oom_killed and exit_code == 128 + signal.SIGKILL:
            message = f"Killed: it reached its memory limit of {self._memory_limit()}."
        elif exit_code == SCRIPT_FAILED:
            message = (
                "The scoring script could not be loaded or its init() failed; see the log. It is not started again."
            )
        else:
            message = f"Ended with exit code {exit_code} after {ran_for_seconds:.1f} s."
        shown = "Exited" if exit_code == SCRIPT_FAILED else "BackOff"
        self._show(shown, pid=None, exit_code=exit_code, oom_killed=self.is_run_oom_killed, message=message)
        self._event("Exited", message)
        return exit_code

    def _notice_oom_kill(self) -> None:
        kills = limits.oom_kills(self.groups)
        if kills <= self.oom_kills_seen:
            return
        self.oom_kills_seen = kills
        self.is_run_oom_killed = True
        message = f"A process was killed at the memory limit of {self._memory_limit()}."
        self._show(self.state["state"], oom_killed=True, message=message)
        self._event("OOMKilled", message)

    def _memory_limit(self) -> str:
        return f"{self.spec['limits']['memory'] // 1024**2} MiB"

    def _publish(self) -> bool:
        """Give the instance's socket its public name once it exists; True when it has it.

        An instance that runs as its own user opens its socket where only it can write. The very file that was checked to be
        a socket is linked, so a link to somebody else's socket in its place is never followed.
        """
        private, public = confine.private_socket(self.spec), self.spec["socket"]
        try:
            descriptor = os.open(private, os.O_PATH | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                return self._cannot_publish("what it opened is not a socket")
            if private != public:  # naming a folder makes Python use linkat, which alone can follow the link in /proc
                os.link(f"/proc/self/fd/{descriptor}", public, src_dir_fd=descriptor, follow_symlinks=True)
        except OSError as error:
            return self._cannot_publish(str(error))
        finally:
            os.close(descriptor)
        return True

    def _cannot_publish(self, why: str) -> bool:
        message = f"The address cannot be published: {why}."
        if message != self.state["message"]:
            self._show("Starting", message=message)
            self._event("Failed", message)
        return False

    def _unpublish(self) -> None:
        for path in {self.spec["socket"], confine.private_socket(self.spec)}:
            try:
                os.unlink(path)
            except FileNotFoundError:
                continue

    def _end_remaining(self, pid: int) -> None:
        """Kill what the serving process left behind: it leads a process group, and the control groups know the rest."""
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it left nothing behind
        limits.kill_all(self.groups)

    def _clear_leftovers(self) -> None:
        """What an earlier run, or an earlier launcher that was killed, may have left: processes, groups, a socket."""
        groups = self.groups or (places.read_document(self.spec["state_file"]) or {}).get("groups", {})
        groups = {controller: (version, folder) for controller, (version, folder) in groups.items()}
        limits.kill_all(groups)
        self._unpublish()
        until = time.monotonic() + 2.0
        while limits.pids(groups) and time.monotonic() < until:
            self._wait(0.01)
        limits.remove(groups)

    def _take_over(self) -> bool:
        """Wait until no other launcher of this instance is left; False when asked to stop meanwhile.

        When supervisord is killed, its launchers stop their instances gracefully while a new supervisord starts new ones.
        """
        descriptor = os.open(self.spec["lock_file"], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while not self.is_stopping:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                self._wait(0.05)
        return False

    def _outlive_startsecs(self) -> None:
        """Stay until supervisord counts us as started: what ends sooner it restarts, whatever the exit code."""
        until = self.began + SUPERVISOR_STARTSECS + 0.5
        while not self.is_stopping and (left := until - time.monotonic()) > 0:
            self._wait(left)

    def _wait(self, seconds: float) -> None:
        """Sleep until a signal or for that long; remembers a request to stop."""
        received = signal.sigtimedwait(WATCHED_SIGNALS, seconds)
        if received is not None and received.si_signo in STOP_SIGNALS:
            self.is_stopping = True

    def _show(self, state: str, **changes: Any) -> None:
        self.state.update(changes, state=state)
        places.write_private(self.spec["state_file"], json.dumps(self.state))

    def _event(self, name: str, message: str) -> None:
        places.append_event(self.spec["events_file"], name, message)


def main(spec_file: str) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED_SIGNALS)
    parent = os.getppid()
    sandbox.die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:
        return 0
    spec = places.read_document(spec_file)
    if spec is None:
        print(f"There is no specification at {spec_file}; this instance was removed.", file=sys.stderr)
        return 1
    return Launcher(spec).run()
