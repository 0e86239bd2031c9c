"""Files that arrive in pieces, in any order and several at once: each piece is a file until the list of them is given.

Below `root`/blocks:
    <hash of the file's name>/<hash of the piece's name>   one piece; what nobody asked for is swept after a day
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from .blobs import CHUNK_BYTES, INCOMING_LASTS_SECONDS, Blobs, Readable
from .errors import StoreError

MOST_BLOCKS = 50_000


class BlockMissing(StoreError):
    """The list names a piece that was not sent."""

    code = "InvalidBlockList"
    http_status = 400


class Blocks:
    """Pieces of files below one folder. `key` names a file, `block` a piece of it; both may be any text."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute() / "blocks"

    def put(self, key: str, block: str, stream: Readable) -> int:
        """Keep one piece; returns its size in bytes. The same name again replaces it."""
        folder = self._folder(key)
        size_bytes = 0
        with _new_file(folder) as draft:
            with draft.open("wb") as file:
                while chunk := stream.read(CHUNK_BYTES):
                    file.write(chunk)
                    size_bytes += len(chunk)
            os.replace(draft, folder / _hashed(block))
        return size_bytes

    def commit(self, key: str, blocks: Sequence[str], into: Blobs) -> tuple[str, int]:
        """Store the pieces, in this order, as one file; returns its hash and size. The pieces are gone afterwards.

        Raises BlockMissing for a piece that was not sent, and keeps all of them then.
        """
        folder = self._folder(key)
        paths = [folder / _hashed(block) for block in blocks]
        for block, path in zip(blocks, paths, strict=True):
            if not path.is_file():
                raise BlockMissing(f"Block '{block[:100]}' was not sent.")
        stored = into.put_file(_Joined(paths))
        shutil.rmtree(folder, ignore_errors=True)
        return stored

    def discard(self, key: str) -> None:
        """Forget the pieces of a file. Twice is no error."""
        shutil.rmtree(self._folder(key), ignore_errors=True)

    def sweep(self) -> None:
        """Remove the pieces of files to which nothing was added for a day."""
        with suppress(FileNotFoundError):
            for folder in self.root.iterdir():
                with suppress(FileNotFoundError):
                    if time.time() - folder.stat().st_mtime > INCOMING_LASTS_SECONDS:
                        shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, key: str) -> Path:
        return self.root / _hashed(key)


class _Joined:
    """Several files read as one."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._chunks = _chunks(paths)

    def read(self, size: int, /) -> bytes:
        return next(self._chunks, b"")


def _chunks(paths: Sequence[Path]) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk


class _new_file:
    """A path for a new file in `folder`, which is made; the file is removed unless it was moved away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".", dir=self.folder)
        os.close(descriptor)
        self.path = Path(name)
        return self.path

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
