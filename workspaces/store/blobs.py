"""Files by the SHA-256 of their content, each once.

Below `root`:
    blobs/ab/cdef…   one file of that hash, 0444, never changed
    trees/ab/cdef…   the manifest of one tree (see trees.py)
    incoming/        what is being written; a killed writer's rest is swept after a day
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from .errors import ContentMissing

CHUNK_BYTES = 1024 * 1024
INCOMING_LASTS_SECONDS = 86_400.0
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Readable(Protocol):
    """Anything with `read(bytes)`: an open file, an upload, a zip's entry."""

    def read(self, size: int, /) -> bytes: ...


class Blobs:
    """The files below one folder. Every method may be called at once from several processes."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def put_file(self, stream: Readable) -> tuple[str, int]:
        """Store what `stream` gives until its end; returns its hash and size in bytes.

        On the disk, not in memory, and safe from a power cut once returned. Twice stores once.
        """
        digest = hashlib.sha256()
        size_bytes = 0
        with self.incoming() as (file, path):
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
                size_bytes += len(chunk)
            sha256 = digest.hexdigest()
            target = self.path(sha256)
            if _refresh(target, size_bytes):
                return sha256, size_bytes
            settle(file, path, target)
        return sha256, size_bytes

    def keep(self, sha256: str, size_bytes: int) -> bool:
        """Whether a file of this hash and size is stored; if so it counts as new, so that no collection takes it soon."""
        return _refresh(self.path(sha256), size_bytes)

    def path(self, sha256: str) -> Path:
        """Where the file of this hash is, if it is stored. Raises ValueError for what is no hash."""
        return self.root / "blobs" / checked(sha256)[:2] / sha256[2:]

    def open(self, sha256: str) -> BinaryIO:
        """The stored file for reading. Raises ContentMissing."""
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError as error:
            raise ContentMissing(sha256, "is not in the store") from error

    def damaged(self, sha256: str, size_bytes: int) -> str:
        """Read the whole file; returns what is wrong with it, "" for nothing."""
        digest = hashlib.sha256()
        try:
            with self.open(sha256) as file:
                if os.fstat(file.fileno()).st_size != size_bytes:
                    return "has the wrong size"
                while chunk := file.read(CHUNK_BYTES):
                    digest.update(chunk)
        except ContentMissing:
            return "is not in the store"
        return "" if digest.hexdigest() == sha256 else "does not have the content its hash names"

    @contextmanager
    def incoming(self) -> Iterator[tuple[IO[bytes], Path]]:
        """A new file that is removed unless it was moved away."""
        folder = self.root / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file, Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def sweep_incoming(self) -> None:
        """Remove what writers killed more than a day ago left."""
        with suppress(FileNotFoundError):
            for entry in os.scandir(self.root / "incoming"):
                with suppress(FileNotFoundError):
                    if time.time() - entry.stat().st_mtime > INCOMING_LASTS_SECONDS:
                        os.unlink(entry.path)


def settle(file: IO[bytes], path: Path, target: Path) -> None:
    """Give a written file its final place: on disk first, then there, then its folder on disk too."""
    file.flush()
    os.fchmod(file.fileno(), 0o444)
    os.fsync(file.fileno())
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, target)
    for folder in (target.parent, target.parent.parent):
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries safe from a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refresh(target: Path, size_bytes: int) -> bool:
    """Whether the file is already there; if so it counts as new, so that no collection takes it from under its finder."""
    try:
        os.utime(target)
        return target.stat().st_size == size_bytes
    except FileNotFoundError:
        return False


def checked(sha256: str) -> str:
    """The hash if it is one: 64 lower-case hex digits. Raises ValueError, since a path is made of it."""
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r} is not a SHA-256 in hex")
    return sha256
