"""Files of a folder or a zip, one at a time, for `Store.put_tree`."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .blobs import Readable
from .errors import FilesRefused
from .names import clean_path
from .trees import MAX_FILES


@dataclass(frozen=True)
class ZipLimits:
    """What a zip may unpack to. The ratio (unpacked to packed) counts once a file has unpacked to 10 MB."""

    total_bytes: int = 50 * 1024**3
    file_count: int = MAX_FILES
    ratio: float = 200.0


_RATIO_COUNTS_FROM_BYTES = 10_000_000
_DEFAULT_LIMITS = ZipLimits()
_JUNK = ("__MACOSX/", ".DS_Store")


def from_folder(folder: Path, *, keep_name: bool = True) -> Iterator[tuple[str, Readable]]:
    """The files below `folder`, in order, as `<folder's name>/…`, or without that name.

    Raises FilesRefused for symbolic links and for what is no regular file.
    """
    folder = folder.absolute()
    base = folder.parent if keep_name else folder
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in [*folders, *sorted(names)]:
            path = Path(here, name)
            mode = path.lstat().st_mode
            relative = str(path.relative_to(base))
            if stat.S_ISLNK(mode):
                raise FilesRefused(relative, "It is a symbolic link.", "Put the file itself in its place.")
            if stat.S_ISDIR(mode):
                continue
            if not stat.S_ISREG(mode):
                raise FilesRefused(relative, "It is not a regular file.")
            # Not followed even if it became a link in the meantime.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                yield relative, file


def from_zip(archive: IO[bytes], *, limits: ZipLimits = _DEFAULT_LIMITS) -> Iterator[tuple[str, Readable]]:
    """The files of a zip, unpacked while they are read. `archive` must be seekable.

    Left out: folders (they follow from their files) and macOS's own entries. Raises FilesRefused naming the entry
    for links, encryption, paths that lead elsewhere, damage, and for more than `limits`.
    """
    try:
        opened = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, ValueError, NotImplementedError) as error:
        raise FilesRefused("", "This is not a zip file, or it is damaged.", "Pack the folder again.") from error
    with opened:
        entries = [info for info in opened.infolist() if not info.is_dir() and not _is_junk(info.filename)]
        if len(entries) > limits.file_count:
            raise FilesRefused("", f"The zip holds {len(entries)} files; at most {limits.file_count} can be stored.")
        # All names first: nothing is unpacked from a zip that will be refused for one of them.
        paths = [_checked(info) for info in entries]
        archive_bytes = archive.seek(0, os.SEEK_END)
        left = _Allowance(limits.total_bytes, archive_bytes)
        for path, info in zip(paths, entries, strict=True):
            yield path, _Unpacked(opened, info, path, left, limits)


def _is_junk(name: str) -> bool:
    return name.startswith(_JUNK[0]) or name.rsplit("/", 1)[-1] == _JUNK[1]


def _name(info: zipfile.ZipInfo) -> str:
    """The name as packed. zipfile cuts names at a NUL, and reads those not marked as UTF-8 as cp437; many are UTF-8."""
    name: str = info.orig_filename
    if info.flag_bits & 0x800 or name.isascii():
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def _checked(info: zipfile.ZipInfo) -> str:
    path = clean_path(_name(info))
    mode = info.external_attr >> 16
    if info.create_system == 3 and stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        raise FilesRefused(path, "It is a link or device, not a file.", "Pack the file itself (zip without -y).")
    if info.flag_bits & 0x1:
        raise FilesRefused(path, "It is encrypted.", "Pack the files without a password.")
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}:
        raise FilesRefused(path, "It is packed by a method that is not known here.", "Pack with the usual method.")
    return path


@dataclass
class _Allowance:
    bytes_left: int
    archive_bytes: int
    used_bytes: int = 0


class _Unpacked:
    """One entry as a stream that counts what really comes out, whatever the zip's directory says."""

    def __init__(
        self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, left: _Allowance, limits: ZipLimits
    ) -> None:
        self._archive = archive
        self._info = info
        self._path = path
        self._left = left
        self._limits = limits
        self._file: IO[bytes] | None = None
        self._size_bytes = 0

    def read(self, size: int, /) -> bytes:
        try:
            if self._file is None:
                self._file = self._archive.open(self._info)
            chunk = self._file.read(size)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            NotImplementedError,
            RuntimeError,
            ValueError,
        ) as error:
            raise FilesRefused(self._path, "It is damaged and cannot be unpacked.", "Pack the folder again.") from error
        self._count(len(chunk))
        if not chunk:
            self._file.close()
        return chunk

    def _count(self, new_bytes: int) -> None:
        self._size_bytes += new_bytes
        self._left.bytes_left -= new_bytes
        self._left.used_bytes += new_bytes
        if self._left.bytes_left < 0:
            raise FilesRefused(self._path, f"The zip unpacks to more than {self._limits.total_bytes:,} bytes.")
        # Both, because entries of a made-up zip may overlap or lie about their packed size.
        packed_bytes = min(self._info.compress_size, self._left.archive_bytes)
        if self._is_bomb(self._size_bytes, packed_bytes) or self._is_bomb(
            self._left.used_bytes, self._left.archive_bytes
        ):
            hint = "Upload the file by itself instead of in a zip."
            raise FilesRefused(
                self._path, f"It unpacks to more than {self._limits.ratio:.0f} times its packed size.", hint
            )

    def _is_bomb(self, unpacked_bytes: int, packed_bytes: int) -> bool:
        return unpacked_bytes > _RATIO_COUNTS_FROM_BYTES and unpacked_bytes > self._limits.ratio * max(packed_bytes, 1)
