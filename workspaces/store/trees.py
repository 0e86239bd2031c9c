"""Folders of stored files: put in, verified, brought out again."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .blobs import CHUNK_BYTES, INCOMING_LASTS_SECONDS, Blobs, Readable, checked, settle
from .errors import ContentMissing, FilesRefused
from .names import clean_path

MAX_FILES = 100_000


@dataclass(frozen=True)
class TreeFile:
    """One file of a tree: its path below the tree's folder, and its content."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Tree:
    """A folder of files. Two trees with the same paths and contents have the same hash, wherever they came from."""

    hash: str
    manifest: tuple[TreeFile, ...]

    @property
    def size_bytes(self) -> int:
        """The sum of the files' sizes."""
        return sum(file.size_bytes for file in self.manifest)

    @property
    def file_count(self) -> int:
        """How many files there are; never 0."""
        return len(self.manifest)


@dataclass(frozen=True)
class Collected:
    """What one collection removed."""

    tree_hashes: tuple[str, ...]
    blob_count: int
    freed_bytes: int


class Store:
    """The file store below `home`/store. Every method may be called at once from several processes."""

    def __init__(self, home: Path) -> None:
        self.root = home.absolute() / "store"
        self.blobs = Blobs(self.root)

    def put_file(self, stream: Readable) -> tuple[str, int]:
        """Store one file; returns its SHA-256 and size in bytes."""
        return self.blobs.put_file(stream)

    def put_tree(self, entries: Iterable[tuple[str, Readable]]) -> Tree:
        """Store files under their relative paths. Each stream is read before the next entry is asked for.

        Raises FilesRefused for no files at all, for a path that cannot be stored, and for one given twice.
        """
        files: dict[str, TreeFile] = {}
        for given, stream in entries:
            path = clean_path(given)
            if path in files:
                raise FilesRefused(given, "The path occurs twice.")
            if len(files) >= MAX_FILES:
                raise FilesRefused("", f"There are more than {MAX_FILES} files.", "Pack them into fewer files.")
            sha256, size_bytes = self.blobs.put_file(stream)
            files[path] = TreeFile(path, sha256, size_bytes)
        return self._save(tuple(files[path] for path in sorted(files)))

    def put_stored_tree(self, files: Iterable[TreeFile]) -> Tree:
        """A tree of files whose contents are stored already; nothing is read or copied.

        Raises FilesRefused like `put_tree`, and ContentMissing for content that is not in the store (any more).
        """
        kept: dict[str, TreeFile] = {}
        for file in files:
            path = clean_path(file.path)
            if path in kept:
                raise FilesRefused(file.path, "The path occurs twice.")
            if len(kept) >= MAX_FILES:
                raise FilesRefused("", f"There are more than {MAX_FILES} files.", "Pack them into fewer files.")
            if not self.blobs.keep(file.sha256, file.size_bytes):
                raise ContentMissing(file.sha256, f"('{path}') is not in the store")
            kept[path] = TreeFile(path, file.sha256, file.size_bytes)
        return self._save(tuple(kept[path] for path in sorted(kept)))

    def tree(self, tree_hash: str) -> Tree:
        """A stored tree by its hash. Raises ContentMissing."""
        try:
            listed = json.loads(self._manifest_path(tree_hash).read_bytes())
        except FileNotFoundError as error:
            raise ContentMissing(tree_hash, "is not in the store") from error
        return Tree(tree_hash, tuple(TreeFile(*entry) for entry in listed))

    def open(self, sha256: str) -> BinaryIO:
        """One stored file for reading. Raises ContentMissing."""
        return self.blobs.open(sha256)

    def verify(self, tree: Tree) -> None:
        """Read every file of the tree. Raises ContentMissing for the first that is gone or damaged."""
        for file in tree.manifest:
            if problem := self.blobs.damaged(file.sha256, file.size_bytes):
                raise ContentMissing(file.sha256, f"('{file.path}') {problem}")

    def materialise(self, tree: Tree, target: Path) -> Path:
        """Make `target` a folder with exactly the tree's files, read-only (0444, folders 0755); returns it.

        Hard links where the file system allows, copies elsewhere. It appears whole or not at all; one that is
        complete is left as it is, one that is not is replaced. Raises ContentMissing.
        """
        if _is_complete(tree, target):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{target.name[:60]}.unfinished-"
        _sweep(target.parent, prefix)
        unfinished = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        try:
            content = unfinished / "tree"
            content.mkdir()
            for file in tree.manifest:
                self._bring(file, content / file.path)
            for folder, _, _ in os.walk(content):
                os.chmod(folder, 0o755)
            _swap(content, target, unfinished / "former", tree)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return target

    def collect_garbage(self, live_tree_hashes: Iterable[str], *, older_than_seconds: float) -> Collected:
        """Remove the trees not named and the files no remaining tree holds, both stored longer ago than the time.

        The time protects what was put in but not yet written into a row: choose it longer than an upload lasts.
        """
        live = set(live_tree_hashes)
        before = time.time() - older_than_seconds
        self.blobs.sweep_incoming()
        removed, held = [], set()
        for path in _files_below(self.root / "trees"):
            tree_hash = path.parent.name + path.name
            if tree_hash not in live and _remove_if_older(path, before):
                removed.append(tree_hash)
            else:
                with suppress(ContentMissing):
                    held |= {file.sha256 for file in self.tree(tree_hash).manifest}
        blob_count = freed_bytes = 0
        for path in _files_below(self.root / "blobs"):
            if path.parent.name + path.name not in held:
                size_bytes = path.stat().st_size if path.exists() else 0
                if _remove_if_older(path, before):
                    blob_count += 1
                    freed_bytes += size_bytes
        return Collected(tuple(removed), blob_count, freed_bytes)

    def _save(self, manifest: tuple[TreeFile, ...]) -> Tree:
        if not manifest:
            raise FilesRefused("", "There are no files.", "Upload at least one file.")
        _refuse_files_that_are_folders([file.path for file in manifest])
        listed = json.dumps(
            [[file.path, file.sha256, file.size_bytes] for file in manifest], ensure_ascii=False
        ).encode()
        tree = Tree(hashlib.sha256(listed).hexdigest(), manifest)
        target = self._manifest_path(tree.hash)
        with self.blobs.incoming() as (handle, path):
            handle.write(listed)
            settle(handle, path, target)
        return tree

    def _manifest_path(self, tree_hash: str) -> Path:
        return self.root / "trees" / checked(tree_hash)[:2] / tree_hash[2:]

    def _bring(self, file: TreeFile, place: Path) -> None:
        source = self.blobs.path(file.sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            _link_or_copy(source, place)
        except FileNotFoundError as error:
            raise ContentMissing(file.sha256, f"('{file.path}') is not in the store") from error
        if place.stat().st_size != file.size_bytes:
            raise ContentMissing(file.sha256, f"('{file.path}') has the wrong size")


def _link_or_copy(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP}:
            raise
        with source.open("rb") as readable, place.open("wb") as writable:
            shutil.copyfileobj(readable, writable, CHUNK_BYTES)
        os.chmod(place, 0o444)


def _swap(content: Path, target: Path, former: Path, tree: Tree) -> None:
    """Put the finished folder in place of what is at `target`, whoever else does the same."""
    while True:
        try:
            os.rename(content, target)
            return
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise
        if _is_complete(tree, target):
            return
        shutil.rmtree(former, ignore_errors=True)
        with suppress(FileNotFoundError):
            os.rename(target, former)


def _sweep(folder: Path, prefix: str) -> None:
    """Remove what killed processes left half-made more than a day ago."""
    for path in folder.glob(f"{glob.escape(prefix)}*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > INCOMING_LASTS_SECONDS:
                shutil.rmtree(path)


def _is_complete(tree: Tree, target: Path) -> bool:
    """Whether `target` holds the tree's files with their sizes, and nothing else."""
    if not target.is_dir() or target.is_symlink():
        return False
    found = {str(path.relative_to(target)): path.lstat() for path in _files_below(target)}
    wanted = {file.path: file.size_bytes for file in tree.manifest}
    return {path: facts.st_size for path, facts in found.items()} == wanted and all(
        facts.st_mode & 0o777 == 0o444 for facts in found.values()
    )


def _files_below(folder: Path) -> Iterator[Path]:
    for here, _, names in os.walk(folder):
        yield from (Path(here, name) for name in sorted(names))


def _remove_if_older(path: Path, before: float) -> bool:
    try:
        if path.stat().st_mtime >= before:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _refuse_files_that_are_folders(paths: Sequence[str]) -> None:
    known = set(paths)
    for path in paths:
        parts = path.split("/")
        for length in range(1, len(parts)):
            if (parent := "/".join(parts[:length])) in known:
                raise FilesRefused(parent, f"It is a file and also the folder of '{path}'.")
