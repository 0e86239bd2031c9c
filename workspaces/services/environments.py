"""Register environments and have them built."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from studio.lib.errors import BadRequest, Conflict
from workspaces.builds.conda import parse_conda
from workspaces.builds.curated import CURATED
from workspaces.builds.pip_list import parse_pip_list
from workspaces.builds.spec import EnvironmentSpec, content_hash
from workspaces.lifecycle import BUILD_TABLE, move
from workspaces.models import Environment, EnvironmentBuild, EnvironmentVersion, Target, Workspace
from workspaces.models.record import Subject
from workspaces.services.assets import next_version
from workspaces.services.record import record

_S = EnvironmentBuild.State


def definition(*, conda_file: str, pip_requirements: str) -> EnvironmentSpec:
    """The definition read and checked. Raises EnvironmentInvalid naming the line, BadRequest when both are given."""
    if conda_file.strip() and pip_requirements.strip():
        raise BadRequest("Give either a conda file or a pip list, not both.", field="conda_file")
    if conda_file.strip():
        return parse_conda(conda_file)
    return parse_pip_list(pip_requirements)


def environment_variables(version: EnvironmentVersion) -> dict[str, str]:
    """What the conda file's `variables:` sets for every instance."""
    spec = definition(conda_file=version.conda_file, pip_requirements=version.pip_requirements)
    return dict(spec.variables)


def create_environment_version(
    *,
    workspace: Workspace,
    name: str,
    by: Any,
    conda_file: str = "",
    pip_requirements: str = "",
    image: str = "",
    version: str = "",
    description: str = "",
    tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
    is_anonymous: bool = False,
    is_curated: bool = False,
    build_now: bool = True,
) -> EnvironmentVersion:
    """A new version of an environment; its build is queued unless one with the same content exists already.

    `image` is kept as data: local compute builds a virtual environment and uses no image. `version` "" takes the next
    whole number. Raises EnvironmentInvalid (with the line), BadRequest, Conflict (the version exists).
    """
    spec = definition(conda_file=conda_file, pip_requirements=pip_requirements)
    with transaction.atomic():
        environment = _environment(workspace, name, is_curated=is_curated)
        versions = environment.versions.values_list("version", flat=True)
        build, _ = EnvironmentBuild.objects.get_or_create(
            content_sha256=content_hash(spec, spec.python_wanted or "any"),
            defaults={"python_wanted": spec.python_wanted or ""},
        )
        made = EnvironmentVersion(
            environment=environment,
            version=version or next_version(versions),
            image=image.strip(),
            conda_file=conda_file,
            pip_requirements=pip_requirements,
            description=description,
            tags=dict(tags or {}),
            properties=dict(properties or {}),
            is_anonymous=is_anonymous,
            build=build,
            created_by=by,
        )
        _save(made)
        if by is not None:
            subject = Subject(workspace.pk, Target.ENVIRONMENT, environment.pk, str(made))
            record(subject=subject, verb="environment registered", by=by, after={"build": build.content_sha256})
        if build_now:
            ensure_build_wanted(build=build)
    return made


def _environment(workspace: Workspace, name: str, *, is_curated: bool) -> Environment:
    found = Environment.objects.filter(workspace=workspace, name__iexact=name).first()
    if found is not None:
        if found.is_curated and not is_curated:
            raise BadRequest(f"'{name}' comes with the studio; choose another name.", field="name")
        return found
    made = Environment(workspace=workspace, name=name, is_curated=is_curated)
    try:
        made.clean_fields(exclude=["workspace"])
    except ValidationError as error:
        raise BadRequest(error.message_dict["name"][0], field="name") from None
    made.save()
    return made


def _save(made: EnvironmentVersion) -> None:
    try:
        made.clean_fields(exclude=["environment", "build", "created_by"])
    except ValidationError as error:
        field, problems = next(iter(error.message_dict.items()))
        raise BadRequest(problems[0], field=field) from None
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError:
        name = made.environment.name
        raise Conflict(
            f"Version '{made.version}' of environment '{name}' exists already; versions never change.", field="version"
        ) from None


def ensure_build_wanted(*, build: EnvironmentBuild) -> None:
    """Queue the build unless it has succeeded or is under way. One that failed or was cancelled is tried again."""
    from workspaces.tasks import build_environment

    if build.state in (_S.FAILED, _S.CANCELED):
        move(build, _S.QUEUED, BUILD_TABLE, verb="environment build queued again")
    if build.state == _S.QUEUED:
        transaction.on_commit(partial(build_environment.delay, build.pk))


def rebuild(*, build: EnvironmentBuild, by: Any) -> None:
    """Build again after a failure, or check that what was built is still there. Does nothing while it is under way."""
    from workspaces.tasks import build_environment

    if build.state in (_S.QUEUED, _S.RUNNING):
        return
    with transaction.atomic():
        if move(build, _S.QUEUED, BUILD_TABLE, by=by, verb="environment build queued again"):
            transaction.on_commit(partial(build_environment.delay, build.pk))


def add_curated_environments(*, workspace: Workspace) -> None:
    """The environments that come with the studio. They are built when first used. Twice is the same as once."""
    for curated in CURATED:
        exists = EnvironmentVersion.objects.filter(
            environment__workspace=workspace, environment__name=curated.name, version=curated.version
        ).exists()
        if not exists:
            create_environment_version(
                workspace=workspace,
                name=curated.name,
                by=None,
                conda_file=curated.definition if curated.kind == "conda" else "",
                pip_requirements=curated.definition if curated.kind == "pip" else "",
                image=curated.image,
                version=curated.version,
                description=curated.description,
                is_curated=True,
                build_now=False,
            )
