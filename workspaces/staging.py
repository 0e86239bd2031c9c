"""Files on disk that instances are made from: kept by content, brought out under the names a scoring script expects.

Below STUDIO_HOME/mounts:
    azureml-models/<workspace id>/<model>/<version>/   what AZUREML_MODEL_DIR points to
    code/<hash>/                                       a code folder
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from django.conf import settings

from studio.lib.errors import BadRequest
from workspaces.builds.builder import build_log as build_log_file
from workspaces.builds.runtime import ensure_runtime
from workspaces.models import CodeVersion, EnvironmentBuild, FileTree, RegisteredModelVersion
from workspaces.store.blocks import Blocks
from workspaces.store.sources import from_zip
from workspaces.store.trees import Store, Tree, TreeFile


@lru_cache(maxsize=1)
def store() -> Store:
    """The installation's file store."""
    return Store(settings.STUDIO_HOME)


def keep_files(files: Iterable[tuple[str, IO[bytes]]]) -> FileTree:
    """Store files under their relative paths. Raises FilesRefused."""
    return _row(store().put_tree(files))


def keep_zip(archive: IO[bytes]) -> FileTree:
    """Store the files of a zip. Raises FilesRefused."""
    return _row(store().put_tree(from_zip(archive)))


@lru_cache(maxsize=1)
def blocks() -> Blocks:
    """Pieces of files that are being uploaded."""
    return Blocks(settings.STUDIO_HOME / "store")


def keep_stored(files: Iterable[tuple[str, str, int]]) -> FileTree:
    """(path, sha256, size in bytes) of contents that are in the store. Raises FilesRefused and ContentMissing."""
    return _row(store().put_stored_tree(TreeFile(*file) for file in files))


def _row(tree: Tree) -> FileTree:
    if tree.size_bytes > settings.STUDIO_MAX_UPLOAD_BYTES:
        raise BadRequest(
            f"The files have {tree.size_bytes} bytes; at most {settings.STUDIO_MAX_UPLOAD_BYTES} are taken.",
            field="files",
            hint="An administrator can raise STUDIO_MAX_UPLOAD_BYTES.",
        )
    row, _ = FileTree.objects.get_or_create(
        sha256=tree.hash,
        defaults={
            "manifest": [[file.path, file.sha256, file.size_bytes] for file in tree.manifest],
            "size_bytes": tree.size_bytes,
            "file_count": tree.file_count,
        },
    )
    return row


def tree_of(row: FileTree) -> Tree:
    """The row as the store knows it."""
    return Tree(row.sha256, tuple(TreeFile(*entry) for entry in row.manifest))


@dataclass(frozen=True)
class Staged:
    """Where an instance finds what it needs; `summary` says in a sentence what was brought out."""

    model: Path | None
    code: Path | None
    runtime: Path
    summary: str


def stage(*, model: RegisteredModelVersion | None, code: CodeVersion | None, build: EnvironmentBuild) -> Staged:
    """Bring model and code out of the store and see that the inference server's runtime is there.

    Some milliseconds when all is there already. Raises ContentMissing and BuildFailed.
    """
    began = time.monotonic()
    mounts = settings.STUDIO_HOME / "mounts"
    parts = []
    model_dir = code_dir = None
    if model is not None:
        target = mounts / "azureml-models" / str(model.model.workspace_id) / model.model.name / model.version
        model_dir = store().materialise(tree_of(model.files), target)
        parts.append(f"{model}: {_size(model.files)}")
    if code is not None:
        code_dir = store().materialise(tree_of(code.files), mounts / "code" / code.files.sha256)
        parts.append(f"{code}: {_size(code.files)}")
    source = settings.REPOSITORY / "inference_server"
    runtime = ensure_runtime(Path(build.python_path), home=settings.STUDIO_HOME, source_dir=source)
    parts.append(f"{time.monotonic() - began:.2f} s")
    return Staged(model_dir, code_dir, runtime, ", ".join(parts))


def _size(files: FileTree) -> str:
    return f"{files.file_count} file{'s' if files.file_count != 1 else ''}, {files.size_bytes:,} bytes"


def build_log(build: EnvironmentBuild, *, most: int = 500) -> list[str]:
    """The newest lines of an environment build's log, oldest first; empty before the first attempt."""
    folder = Path(build.path).parent.name if build.path else build.log_key
    if not folder:
        return []
    file = build_log_file(settings.STUDIO_HOME, folder)
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()[-most:]
    except FileNotFoundError:
        return []
