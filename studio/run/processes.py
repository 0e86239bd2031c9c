"""Which processes belong to this installation, told by the environment they were started with, and ending them by number."""

from __future__ import annotations

import os
from pathlib import Path

import psutil


def processes_of(home: Path) -> list[psutil.Process]:
    """Everything supervisord or a part of it has started for this home and that still runs, supervisord included.

    Instances are found through their launchers, with which they end.
    """
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if environment.get("STUDIO_PART") and environment.get("STUDIO_HOME") == str(home):
                if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        except psutil.Error:
            continue  # it has ended meanwhile, or it belongs to somebody else
    return found


def end(processes: list[psutil.Process], *, patience_seconds: float) -> None:
    """Ask them to stop; kill what still runs after that long."""
    for process in processes:
        _signal(process, is_last=False)
    _, alive = psutil.wait_procs(processes, timeout=patience_seconds)
    for process in alive:
        _signal(process, is_last=True)
    psutil.wait_procs(alive, timeout=patience_seconds)


def _signal(process: psutil.Process, *, is_last: bool) -> None:
    try:
        if is_last:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        return
