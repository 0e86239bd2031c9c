"""Files by container and path: what was uploaded, and what is registered already, under paths of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from api.arm import CONTAINER, read_data_uri
from api.serializers.assets import REGISTERED
from studio.lib.errors import BadRequest, NotFound
from workspaces import queries
from workspaces.models import FileTree, Workspace
from workspaces.services import uploads
from workspaces.staging import keep_stored, store

CODE_CONTAINER = re.compile(r"^code-[0-9a-f-]{36}$")
_BLOB_URL = re.compile(r"^/blobstore/(?P<workspace>[^/]+)/(?P<container>[^/]+)(?:/(?P<path>.*))?$")
_GETTERS: dict[str, Any] = {"models": queries.get_model_version, "codes": queries.get_code_version}


@dataclass(frozen=True)
class Found:
    """A file that can be read. `metadata` without the `x-ms-meta-` of its headers."""

    path: str
    sha256: str
    size_bytes: int
    changed_at: datetime
    metadata: dict[str, str]


def check_container(container: str) -> None:
    """Raises NotFound for a container that is neither the datastore's nor one for code."""
    if container != CONTAINER and not CODE_CONTAINER.match(container):
        raise NotFound(f"There is no container '{container}'.", code="ContainerNotFound")


def find(workspace: Workspace, container: str, path: str) -> Found:
    """Raises NotFound."""
    if not _is_registered(container, path):
        row = uploads.get_file(workspace, container, path)
        return Found(row.path, row.sha256, row.size_bytes, row.changed_at, row.metadata)
    for found in below(workspace, container, path):
        if found.path == path:
            return found
    raise NotFound(f"There is no file '{path}' in '{container}'.", code="BlobNotFound")


def below(workspace: Workspace, container: str, prefix: str) -> list[Found]:
    """By path; `prefix` is taken letter by letter, but of registered files only whole versions are listed."""
    if not _is_registered(container, prefix):
        rows = uploads.files_below(workspace, container, prefix)
        return [Found(row.path, row.sha256, row.size_bytes, row.changed_at, row.metadata) for row in rows]
    parts = prefix.split("/", 4)
    if len(parts) < 4 or parts[1] not in _GETTERS:
        return []
    try:
        version = _GETTERS[parts[1]](workspace, parts[2], parts[3])
    except NotFound:
        return []
    base = "/".join(parts[:4])
    entries = [(f"{base}/{path}", sha256, size) for path, sha256, size in version.files.manifest]
    return [
        Found(path, sha256, size, version.created_at, {}) for path, sha256, size in entries if path.startswith(prefix)
    ]


def tree_of_uri(workspace: Workspace, uri: str, *, keep_name: bool) -> FileTree:
    """The files an asset's address names: a file, or all below a folder. Raises BadRequest, ContentMissing."""
    container, path = _place(workspace, uri)
    if not _is_registered(container, path):
        return uploads.tree_at(workspace, container, path, keep_name=keep_name)
    folder = path.rstrip("/").rpartition("/")[0]
    found = [
        each
        for each in below(workspace, container, path)
        if each.path == path or each.path.startswith(path.rstrip("/") + "/")
    ]
    if not found:
        raise BadRequest(f"There is nothing at '{uri}'.")
    whole_version = path.rstrip("/").count("/") == 3
    cut = len(path.rstrip("/")) + 1 if whole_version or not keep_name else len(folder) + 1
    return keep_stored(
        (each.path[cut:] or each.path.rpartition("/")[2], each.sha256, each.size_bytes) for each in found
    )


def _is_registered(container: str, path: str) -> bool:
    return path.startswith(f"{REGISTERED}/")


def _place(workspace: Workspace, uri: str) -> tuple[str, str]:
    """(container, path) of an azureml:// or https:// address."""
    if not uri.startswith(("https://", "http://")):
        named, path = read_data_uri(uri)
        container = CONTAINER
    else:
        found = _BLOB_URL.match(urlsplit(uri).path)
        if found is None:
            raise BadRequest(f"'{uri}' is not an address of this studio's blob service.", code="NotSupported")
        named, container, path = found["workspace"], found["container"], unquote(found["path"] or "")
    if named and named.lower() != workspace.name.lower():
        raise BadRequest(f"'{uri}' belongs to another workspace.")
    return container, path


def open_content(sha256: str) -> BinaryIO:
    """A stored file for reading. Raises ContentMissing."""
    return store().open(sha256)
