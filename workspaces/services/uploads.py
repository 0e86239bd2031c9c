"""Files that are sent ahead, by container and path, of what they will be registered as."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from studio.lib.errors import BadRequest, Conflict, NotFound
from workspaces.models import FileTree, UploadedFile, Workspace
from workspaces.staging import blocks, keep_stored, store
from workspaces.store.blobs import Readable
from workspaces.store.blocks import MOST_BLOCKS
from workspaces.store.names import clean_path


class UploadExists(Conflict):
    """There already is a file at this path."""

    code = "BlobAlreadyExists"


def put_file(
    *, workspace: Workspace, container: str, path: str, stream: Readable, metadata: Mapping[str, str], overwrite: bool
) -> UploadedFile:
    """Store what `stream` gives until its end as a complete file. Raises UploadExists unless `overwrite`, and FilesRefused."""
    path = clean_path(path)
    if not overwrite:
        _refuse_existing(workspace, container, path)
    sha256, size_bytes = store().put_file(stream)
    return _keep(workspace, container, path, sha256, size_bytes, metadata, overwrite)


def put_block(*, workspace: Workspace, container: str, path: str, block: str, stream: Readable) -> None:
    """Store one piece of a file, which is none until `commit_blocks`. Raises FilesRefused."""
    blocks().put(_key(workspace, container, clean_path(path)), block, stream)


def commit_blocks(
    *,
    workspace: Workspace,
    container: str,
    path: str,
    listed: Sequence[str],
    metadata: Mapping[str, str],
    overwrite: bool,
) -> UploadedFile:
    """Make a file of the pieces named, in this order. Raises BlockMissing, UploadExists, BadRequest (too many)."""
    path = clean_path(path)
    if len(listed) > MOST_BLOCKS:
        raise BadRequest(
            f"The list names {len(listed)} blocks; at most {MOST_BLOCKS} are taken.", code="BlockListTooLong"
        )
    if not overwrite:
        _refuse_existing(workspace, container, path)
    sha256, size_bytes = blocks().commit(_key(workspace, container, path), listed, store().blobs)
    return _keep(workspace, container, path, sha256, size_bytes, metadata, overwrite)


def set_metadata(*, file: UploadedFile, metadata: Mapping[str, str]) -> None:
    """Replace what is said about a file."""
    file.metadata, file.changed_at = dict(metadata), timezone.now()
    file.save(update_fields=["metadata", "changed_at"])


def get_file(workspace: Workspace, container: str, path: str) -> UploadedFile:
    """A complete file whose content is stored, for a day from now on. Raises NotFound."""
    found = _at(workspace, container, path).first()
    if found is None or not store().blobs.keep(found.sha256, found.size_bytes):
        raise NotFound(f"There is no file '{path}' in '{container}'.", code="BlobNotFound")
    return found


def files_below(workspace: Workspace, container: str, prefix: str) -> QuerySet[UploadedFile]:
    """By path; `prefix` is taken letter by letter."""
    return UploadedFile.objects.filter(workspace=workspace, container=container, path__startswith=prefix).order_by(
        "path"
    )


def tree_at(workspace: Workspace, container: str, path: str, *, keep_name: bool) -> FileTree:
    """What was uploaded at `path`: one file, or all below a folder, with the folder's own name in the paths or without.

    Raises BadRequest when nothing is there, and ContentMissing.
    """
    path = path.strip("/")
    folder = path.rpartition("/")[0]
    cut = len(folder) + 1 if folder and keep_name else 0
    single = _at(workspace, container, path).first() if path else None
    if single is not None:
        return keep_stored([(path.rpartition("/")[2], single.sha256, single.size_bytes)])
    if not keep_name:
        cut = len(path) + 1 if path else 0
    found = files_below(workspace, container, f"{path}/" if path else "")
    rows = list(found.values_list("path", "sha256", "size_bytes"))
    if not rows:
        raise BadRequest(f"Nothing was uploaded to '{path}' in '{container}'.", hint="Upload the files first.")
    return keep_stored((name[cut:], sha256, size_bytes) for name, sha256, size_bytes in rows)


def _keep(
    workspace: Workspace,
    container: str,
    path: str,
    sha256: str,
    size_bytes: int,
    metadata: Mapping[str, str],
    overwrite: bool,
) -> UploadedFile:
    if size_bytes > settings.STUDIO_MAX_UPLOAD_BYTES:
        raise BadRequest(
            f"The file has {size_bytes} bytes; at most {settings.STUDIO_MAX_UPLOAD_BYTES} are taken.",
            code="RequestBodyTooLarge",
            hint="An administrator can raise STUDIO_MAX_UPLOAD_BYTES.",
        )
    values = {"path": path, "sha256": sha256, "size_bytes": size_bytes, "metadata": dict(metadata)}
    with transaction.atomic():
        row, is_new = UploadedFile.objects.get_or_create(
            workspace=workspace,
            container=container,
            path_sha256=_hashed(path),
            defaults={**values, "changed_at": timezone.now()},
        )
        if not is_new:
            if not overwrite:
                raise UploadExists(f"There already is a file '{path}'.")
            for name, value in values.items():
                setattr(row, name, value)
            row.changed_at = timezone.now()
            row.save()
    return row


def _refuse_existing(workspace: Workspace, container: str, path: str) -> None:
    found = _at(workspace, container, path).first()
    if found is None:
        return
    if store().blobs.keep(found.sha256, found.size_bytes):
        raise UploadExists(f"There already is a file '{path}'.")
    found.delete()


def _at(workspace: Workspace, container: str, path: str) -> QuerySet[UploadedFile]:
    return UploadedFile.objects.filter(workspace=workspace, container=container, path_sha256=_hashed(path))


def _key(workspace: Workspace, container: str, path: str) -> str:
    return f"{workspace.pk}/{container}/{path}"


def _hashed(path: str) -> str:
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
