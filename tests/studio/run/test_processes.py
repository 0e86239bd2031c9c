from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from studio.run.processes import end, processes_of

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    children: list[subprocess.Popen[bytes]] = []
    yield children
    for child in children:
        child.kill()
        child.communicate()


def _start(started: list[subprocess.Popen[bytes]], code: str, **environment: str) -> psutil.Process:
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
    started.append(child)
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    return psutil.Process(child.pid)


def test_only_processes_started_for_this_home_are_found(started: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    code = "import time; print('up', flush=True); time.sleep(600)"
    ours = _start(started, code, STUDIO_HOME=str(tmp_path), STUDIO_PART="web")
    _start(started, code, STUDIO_HOME=str(tmp_path / "other"), STUDIO_PART="web")
    _start(started, code, STUDIO_HOME=str(tmp_path))
    assert [process.pid for process in processes_of(tmp_path)] == [ours.pid]


def test_what_does_not_stop_when_asked_is_killed(started: list[subprocess.Popen[bytes]]) -> None:
    stubborn = _start(started, STUBBORN)
    end([stubborn], patience_seconds=0.3)
    assert not stubborn.is_running()


def test_ending_what_has_ended_is_no_error(started: list[subprocess.Popen[bytes]]) -> None:
    gone = _start(started, "print('up', flush=True)")
    started[0].wait(10)
    end([gone], patience_seconds=0.3)
