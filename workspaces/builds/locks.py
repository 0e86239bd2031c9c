"""One builder at a time for one folder, across processes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.1


def _nothing() -> None:
    return None


@contextmanager
def locked(path: Path, *, while_waiting: Callable[[], None] = _nothing) -> Iterator[None]:
    """Hold the lock file at `path` exclusively; the kernel lets go of it when the holder dies.

    `while_waiting` is called about every 0.1 s until it is ours, and may raise to give up.
    """
    descriptor = _open(path)
    try:
        while not _acquire(descriptor, path):
            if _is_stale(descriptor, path):
                os.close(descriptor)
                descriptor = _open(path)
                continue
            while_waiting()
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def try_locked(path: Path) -> Iterator[bool]:
    """Like `locked`, without waiting: False when another process holds it."""
    descriptor = _open(path)
    try:
        yield _acquire(descriptor, path)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _acquire(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # The garbage collector removes lock files: one that is no longer at its path protects nothing.
    return not _is_stale(descriptor, path)


def _is_stale(descriptor: int, path: Path) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return True
    mine = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)
