"""Runs uv as a child that never outlives us, line by line."""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import uv

from .errors import BuildCancelled

_POLL_SECONDS = 0.2
_HEARTBEAT_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
# Looked up here, before any fork: the child may not import or allocate while another thread of ours held a lock.
_prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None) if sys.platform == "linux" else None

_PASSED_ON = (
    "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NETRC", "PYENV_ROOT",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "PKG_CONFIG_PATH",
)  # fmt: skip


class TookTooLong(Exception):
    """The child was killed at its deadline."""


@dataclass(frozen=True)
class Watch:
    """Who looks on while a child runs. `heartbeat` about every second; `cancelled` five times a second."""

    log: Callable[[str], None]
    heartbeat: Callable[[], None]
    cancelled: Callable[[], bool]

    def check(self) -> None:
        """Raise BuildCancelled if the caller wants no more."""
        self.heartbeat()
        if self.cancelled():
            raise BuildCancelled()


def uv_binary() -> str:
    """The path of the uv that came with this installation."""
    return str(uv.find_uv_bin())


def uv_environment(home: Path) -> dict[str, str]:
    """What uv may know of our environment: where to fetch from and through which proxy, never the studio's secrets.

    Packages built from source run code of strangers in this environment.
    """
    chosen = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    chosen |= {name: value for name, value in os.environ.items() if name.startswith("UV_") and name not in _OURS}
    return chosen | {
        "PATH": search_path(),
        "UV_CACHE_DIR": str(home / "cache" / "uv"),
        "UV_PYTHON_INSTALL_DIR": str(home / "interpreters"),
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
    }


_OURS = frozenset(
    {"UV_PYTHON", "UV_PROJECT_ENVIRONMENT", "UV_SYSTEM_PYTHON", "UV_CONSTRAINT", "UV_TARGET", "UV_OVERRIDE"}
)


def search_path() -> str:
    """PATH with pyenv's shims replaced by the interpreters behind them: a shim without a chosen version only fails."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    entries = [entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(entry).name != "shims"]
    return os.pathsep.join([*entries, *(str(folder) for folder in sorted(pyenv.glob("versions/*/bin")))])


def run(
    command: Sequence[str], *, environment: Mapping[str, str], watch: Watch, timeout_seconds: float
) -> tuple[int, list[str]]:
    """Run a command, each line of its output to `watch.log` as it comes; returns its exit code and all lines.

    Its whole process group is killed when the caller cancels (BuildCancelled), at the deadline (TookTooLong), and by
    the kernel when this process dies.
    """
    child = subprocess.Popen(
        command,
        env=dict(environment),
        # Outside any project, so that no pyproject.toml or uv.toml above STUDIO_HOME changes a user's build.
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_die_with_parent(os.getpid()),
        umask=0o022,
    )
    lines: list[str] = []
    try:
        for line in _lines(child, watch, time.monotonic() + timeout_seconds):
            lines.append(line)
            watch.log(line)
        return child.wait(), lines
    finally:
        _kill_group(child)


def _die_with_parent(parent: int) -> Callable[[], None]:
    def in_child() -> None:
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before we asked
                os._exit(1)

    return in_child


def _lines(child: subprocess.Popen[bytes], watch: Watch, deadline: float) -> Iterator[str]:
    assert child.stdout is not None
    pending = b""
    beat_at = 0.0
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            if now >= beat_at:
                watch.heartbeat()
                beat_at = now + _HEARTBEAT_SECONDS
            if watch.cancelled():
                raise BuildCancelled()
            if now > deadline:
                raise TookTooLong()
            if not selector.select(_POLL_SECONDS):
                continue
            chunk = os.read(child.stdout.fileno(), 65536)
            if not chunk:
                break
            *whole, pending = (pending + chunk).split(b"\n")
            yield from (_text(line) for line in whole)
    if pending:
        yield _text(pending)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip()


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
