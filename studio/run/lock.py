"""One start at a time for each STUDIO_HOME."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from studio.run.errors import StartRefused
from studio.run.places import Places


@contextmanager
def only_start(places: Places) -> Iterator[None]:
    """Hold the home for as long as this process lives. Raises StartRefused when another living start holds it."""
    descriptor = os.open(places.start_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode().strip() or "unknown"
            raise StartRefused(
                f"STUDIO_HOME {places.home} is already being run, by process {holder}.",
                hint="Stop that one first, or start a second installation with its own STUDIO_HOME and ports.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
