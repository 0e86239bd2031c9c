"""Starting supervisord, finding one that an earlier start left behind, and stopping all of it in good order."""

from __future__ import annotations

import hashlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping

import psutil

from deployments.compute.contract import DriverUnavailable
from deployments.compute.places import write_private
from deployments.compute.supervisor import Program, Supervisor
from studio.run import parts
from studio.run.errors import PartFailed
from studio.run.places import Places
from studio.run.processes import end, processes_of

START_SECONDS = 20.0
POLL_SECONDS = 0.02
SUPERVISORD_STOP_SECONDS = 10.0
INSTANCE_STOP_SECONDS = 40.0


class Supervision:
    """The one supervisord of an installation. `environment` is what it and every part get.

    `configuration` is the text of its own configuration file.
    """

    def __init__(self, places: Places, *, environment: Mapping[str, str], configuration: str) -> None:
        self.places = places
        self.environment = {**environment, "STUDIO_PART": "supervisord"}
        self.configuration = configuration
        self.client = Supervisor(str(places.supervisor_socket))
        self.process: psutil.Process | None = None
        self._child: subprocess.Popen[bytes] | None = None

    # --- what an earlier start left

    def adopt(self) -> bool:
        """Take over the supervisord that an earlier, killed start left running.

        False when there is none, or when it was started with other settings: then it is stopped with all it runs. Processes of this
        home that no supervisord watches any more are stopped too.
        """
        found = self._running()
        if found is not None and self._fingerprint() == self._started_with():
            self.process = found
            return True
        if found is not None:
            self.process = found
            self.stop()
        end(processes_of(self.places.home), patience_seconds=SUPERVISORD_STOP_SECONDS)
        return False

    def _running(self) -> psutil.Process | None:
        try:
            self.client.programs([])
            process = psutil.Process(int(self.places.supervisor_pid.read_text()))
            belongs_here = process.environ().get("STUDIO_HOME") == str(self.places.home)
        except (DriverUnavailable, OSError, ValueError, psutil.Error):
            return None
        return process if belongs_here else None

    def _fingerprint(self) -> str:
        """Changes whenever a running supervisord would start parts differently. A hash: the environment may hold secrets."""
        known = {"environment": self.environment, "configuration": self.configuration, "python": sys.executable}
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

    def _started_with(self) -> str:
        try:
            return str(json.loads(self.places.started.read_text())["fingerprint"])
        except (FileNotFoundError, ValueError, KeyError):
            return ""

    # --- starting

    def start(self) -> None:
        """Start supervisord, and with it the instances whose files are there; `wait_until_answers` says when it is up."""
        for left in self.places.parts_conf.glob("*.conf"):
            left.unlink()
        file = self.places.supervisor / "supervisord.conf"
        write_private(str(file), self.configuration)
        write_private(str(self.places.started), json.dumps({"fingerprint": self._fingerprint()}))
        with open(self.places.logs / "supervisord.err", "wb") as errors:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(file)],
                cwd=self.places.home,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                # Ctrl-C in the terminal is for the foreground program alone, which stops everything in order.
                start_new_session=True,
            )
        self.process = psutil.Process(self._child.pid)

    def wait_until_answers(self) -> None:
        """Raises PartFailed with supervisord's own words when it does not come up within 20 seconds."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.is_alive():
            try:
                self.client.programs([])
            except DriverUnavailable:
                time.sleep(POLL_SECONDS)
            else:
                return
        said = (self.places.logs / "supervisord.err").read_text(errors="replace").strip()
        raise PartFailed(f"supervisord did not start. {said[-2000:]}", hint=f"See {self.places.log('supervisord')}.")

    def add(self, part: parts.Part, text: str) -> None:
        """Write the part's file and have it started; one that runs already stays as it is."""
        write_private(str(self.places.parts_conf / f"{part.name}.conf"), text)
        self.client.add(part.name)

    def part_names(self) -> set[str]:
        """Parts that supervisord runs; none when it does not run."""
        return {file.stem for file in self.places.parts_conf.glob("*.conf")} if self.is_alive() else set()

    def keep_only(self, kept: Mapping[str, str]) -> None:
        """Stop every part but those of `kept` whose file has the text given there. Instances are not touched."""
        running = self.programs()
        names = [file.stem for file in self.places.parts_conf.glob("*.conf")]
        leaving = [name for name in names if self._file_text(name) != kept.get(name) or name not in running]
        self._stop_programs([name for name in leaving if name in running], patience_seconds=20.0)
        for name in leaving:
            (self.places.parts_conf / f"{name}.conf").unlink()
            self.client.forget(name)

    def _file_text(self, name: str) -> str:
        return (self.places.parts_conf / f"{name}.conf").read_text()

    # --- watching

    def programs(self) -> dict[str, Program]:
        """Parts and instances by name. Raises DriverUnavailable."""
        return self.client.programs()

    def is_alive(self) -> bool:
        if self._child is not None:
            self._child.poll()  # one that has ended is not left behind as a zombie
        try:
            return (
                self.process is not None and self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False

    def wait_for_end(self, timeout_seconds: float) -> bool:
        """True when supervisord has ended within that time; whether or not this process started it."""
        if self.process is None or not self.is_alive():
            return True
        try:
            descriptor = os.pidfd_open(self.process.pid)
        except ProcessLookupError:
            return True
        try:
            select.select([descriptor], [], [], timeout_seconds)
        finally:
            os.close(descriptor)
        return not self.is_alive()

    # --- stopping

    def stop(self) -> None:
        """Stop everything: the control plane and the gateway, then the instances, then Redis, then supervisord itself.

        In this order no request that has been let in loses its instance. Afterwards nothing of it runs.
        """
        if self.is_alive():
            try:
                for names in self._stop_order():
                    self._stop_programs(names, patience_seconds=INSTANCE_STOP_SECONDS)
            except DriverUnavailable as error:
                print(
                    f"supervisord does not answer, so its processes are stopped one by one: {error}",
                    file=sys.stderr,
                )
            assert self.process is not None
            end([self.process], patience_seconds=SUPERVISORD_STOP_SECONDS)
        end(processes_of(self.places.home), patience_seconds=SUPERVISORD_STOP_SECONDS)

    def _stop_order(self) -> list[list[str]]:
        names, programs = self.part_names(), self.programs()
        first = [name for name in programs if name in names and name != parts.REDIS]
        return [first, [name for name in programs if name not in names], [parts.REDIS]]

    def _stop_programs(self, names: Collection[str], *, patience_seconds: float) -> None:
        """All at once. supervisord kills what takes longer than its own time to stop."""
        for name in names:
            self.client.stop(name)

        def have_ended() -> bool:
            return all(program.has_ended for program in self.client.programs(list(names)).values())

        if names and not _within(patience_seconds, have_ended):
            still = [name for name, program in self.client.programs(list(names)).items() if not program.has_ended]
            raise DriverUnavailable(f"Still running after {patience_seconds:g} s: {', '.join(still)}.")


def _within(seconds: float, is_done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
