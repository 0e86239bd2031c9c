"""Register models and code; archive and restore versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import IO, Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from studio.lib.errors import BadRequest, Conflict, InUse
from workspaces.models import (
    Code,
    CodeVersion,
    EnvironmentVersion,
    FileTree,
    RegisteredModel,
    RegisteredModelVersion,
    Target,
    Workspace,
)
from workspaces.models.assets import ModelType
from workspaces.models.record import Subject
from workspaces.services.record import record
from workspaces.staging import keep_files, keep_zip

Files = Iterable[tuple[str, IO[bytes]]]
A = TypeVar("A", RegisteredModel, Code)


def register_model(
    *,
    workspace: Workspace,
    name: str,
    by: Any,
    files: Files | None = None,
    zip_file: IO[bytes] | None = None,
    tree: FileTree | None = None,
    version: str = "",
    type: str = ModelType.CUSTOM,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
    is_anonymous: bool = False,
    flavours: Mapping[str, Any] | None = None,
) -> RegisteredModelVersion:
    """A new version of a model, from (path, stream) pairs, a zip or stored files. Paths are as AZUREML_MODEL_DIR will show them.

    `version` "" takes the next whole number. Raises BadRequest (name, version, files) and Conflict (the version exists).
    """
    if type not in ModelType.values:
        raise BadRequest(f"'{type}' is not a model type; use one of {', '.join(ModelType.values)}.", field="type")
    tree = tree or _keep(files, zip_file)
    with transaction.atomic():
        model = _named(RegisteredModel, workspace, name)
        made = RegisteredModelVersion(
            model=model,
            version=version or next_version(model.versions.values_list("version", flat=True)),
            type=type,
            files=tree,
            description=description,
            tags=dict(tags or {}),
            properties=dict(properties or {}),
            is_anonymous=is_anonymous,
            flavours=dict(flavours or {}),
            created_by=by,
        )
        _save_version(made, what=f"model '{model.name}'")
        subject = Subject(workspace.pk, Target.MODEL, model.pk, str(made))
        after = {"files": tree.file_count, "size_bytes": tree.size_bytes, "sha256": tree.sha256}
        record(subject=subject, verb="model registered", by=by, after=after)
    return made


def register_code(
    *,
    workspace: Workspace,
    name: str,
    by: Any,
    files: Files | None = None,
    zip_file: IO[bytes] | None = None,
    tree: FileTree | None = None,
    version: str = "",
    description: str = "",
    tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
    is_anonymous: bool = False,
) -> CodeVersion:
    """A new version of a code folder. The same content as the newest version is no new version."""
    tree = tree or _keep(files, zip_file)
    with transaction.atomic():
        code = _named(Code, workspace, name)
        newest = code.versions.first()
        if newest is not None and newest.files_id == tree.pk and version in ("", newest.version):
            return newest
        made = CodeVersion(
            code=code,
            version=version or next_version(code.versions.values_list("version", flat=True)),
            files=tree,
            description=description,
            tags=dict(tags or {}),
            properties=dict(properties or {}),
            is_anonymous=is_anonymous,
            created_by=by,
        )
        _save_version(made, what=f"code '{code.name}'")
        subject = Subject(workspace.pk, Target.CODE, code.pk, str(made))
        record(subject=subject, verb="code registered", by=by, after={"files": tree.file_count, "sha256": tree.sha256})
    return made


def archive_version(
    *, version: RegisteredModelVersion | EnvironmentVersion | CodeVersion, by: Any, archived: bool
) -> None:
    """Hide a version from lists, or show it again. What uses it goes on. Twice is the same as once."""
    if bool(version.archived_at) == archived:
        return
    version.archived_at = timezone.now() if archived else None
    version.save(update_fields=["archived_at"])
    record(subject=_subject(version), verb="archived" if archived else "restored", by=by)


def describe_version(
    *,
    version: RegisteredModelVersion | EnvironmentVersion | CodeVersion,
    by: Any,
    description: str,
    tags: Mapping[str, str],
    properties: Mapping[str, str],
) -> None:
    """Replace what is said about a version; what it holds never changes. Twice is the same as once."""
    wanted: dict[str, Any] = {"description": description, "tags": dict(tags), "properties": dict(properties)}
    before = {field: getattr(version, field) for field in wanted if getattr(version, field) != wanted[field]}
    if not before:
        return
    after = {field: wanted[field] for field in before}
    with transaction.atomic():
        for field, value in after.items():
            setattr(version, field, value)
        version.save(update_fields=list(after))
        record(subject=_subject(version), verb="described", by=by, before=before, after=after)


def delete_version(*, version: RegisteredModelVersion | EnvironmentVersion | CodeVersion, by: Any) -> None:
    """Remove a version for good; its name goes with its last version. Raises InUse while a deployment's revision uses it."""
    users = version.revisions.select_related("deployment__endpoint")[:5]
    if users:
        names = ", ".join(sorted({str(revision.deployment) for revision in users}))
        raise InUse(f"{version} is used by {names}.", hint="Delete or update these deployments first, or archive it.")
    subject = _subject(version)
    with transaction.atomic():
        parent = getattr(version, _PARENT[type(version)])
        record(subject=subject, verb=f"{subject.kind} version deleted", by=by)
        version.delete()
        if not parent.versions.exists():
            parent.delete()


_PARENT = {RegisteredModelVersion: "model", EnvironmentVersion: "environment", CodeVersion: "code"}


def _subject(version: Any) -> Subject:
    attribute = _PARENT[type(version)]
    parent = getattr(version, attribute)
    return Subject(parent.workspace_id, Target(attribute), parent.pk, str(version))


def next_version(versions: Iterable[str]) -> str:
    """One more than the highest version that is a whole number; "1" when there is none."""
    return str(max((int(version) for version in versions if version.isdigit()), default=0) + 1)


def _keep(files: Files | None, zip_file: IO[bytes] | None) -> FileTree:
    if zip_file is not None:
        return keep_zip(zip_file)
    return keep_files(files or [])


def _named(kind: type[A], workspace: Workspace, name: str) -> A:
    found = kind.objects.filter(workspace=workspace, name__iexact=name).first()
    if found is not None:
        return found
    made = kind(workspace=workspace, name=name)
    try:
        made.clean_fields(exclude=["workspace"])
    except ValidationError as error:
        raise BadRequest(error.message_dict["name"][0], field="name") from None
    made.save()
    return made


def _save_version(made: Any, *, what: str) -> None:
    try:
        made.clean_fields(exclude=["created_by", "files", "model", "code", "environment", "build"])
    except ValidationError as error:
        field, problems = next(iter(error.message_dict.items()))
        raise BadRequest(problems[0], field=field) from None
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError:
        raise Conflict(
            f"Version '{made.version}' of {what} exists already; versions never change.", field="version"
        ) from None
