"""Questions about this room. Fetching a thing is the permission check."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Count, Prefetch, QuerySet

from studio.lib.errors import NotFound
from workspaces.models import (
    Activity,
    CodeVersion,
    Environment,
    EnvironmentVersion,
    Operation,
    RegisteredModel,
    RegisteredModelVersion,
    Target,
    Workspace,
)
from workspaces.permissions import Need, check


def workspaces_for(user: Any) -> QuerySet[Workspace]:
    """Every workspace the user is a member of; all of them for an administrator."""
    return Workspace.objects.all() if user.is_superuser else Workspace.objects.filter(members__user=user)


def get_workspace_for(user: Any, name: str, *, need: Need = Need.READ) -> Workspace:
    """Raises NotFound (unknown, or not a member) or Forbidden (member without the right)."""
    workspace = Workspace.objects.filter(name__iexact=name).first()
    if workspace is None:
        raise NotFound(f"There is no workspace '{name}' that you can see.")
    check(user, workspace, need)
    return workspace


def accounts() -> QuerySet[Any]:
    """Every account of the installation by name, with the names of its workspaces prefetched as memberships."""
    rows = get_user_model().objects.prefetch_related("memberships__workspace")
    return rows.order_by("-is_active", "username")


def activities_of_accounts(*, most: int = 30) -> QuerySet[Activity]:
    """What happened to accounts, newest first."""
    return Activity.objects.filter(target_kind=Target.ACCOUNT).select_related("by")[:most]


def models_in(workspace: Workspace) -> QuerySet[RegisteredModel]:
    """Models with their versions, newest first, and how many there are."""
    versions = RegisteredModelVersion.objects.select_related("files", "created_by").defer("files__manifest")
    return (
        RegisteredModel.objects.filter(workspace=workspace)
        .annotate(version_count=Count("versions"))
        .prefetch_related(Prefetch("versions", queryset=versions))
        .order_by("name")
    )


def get_model(workspace: Workspace, name: str) -> RegisteredModel:
    model = RegisteredModel.objects.filter(workspace=workspace, name__iexact=name).first()
    if model is None:
        raise NotFound(f"There is no model '{name}' in '{workspace.name}'.")
    return model


def get_model_version(workspace: Workspace, name: str, version: str) -> RegisteredModelVersion:
    """`version` may be "latest". Raises NotFound."""
    versions = RegisteredModelVersion.objects.filter(model__workspace=workspace, model__name__iexact=name)
    return _pick(versions.select_related("model", "files"), f"model '{name}'", version)


def environments_in(workspace: Workspace) -> QuerySet[Environment]:
    """Environments with their versions and builds, newest version first."""
    versions = EnvironmentVersion.objects.select_related("build", "created_by")
    return (
        Environment.objects.filter(workspace=workspace)
        .annotate(version_count=Count("versions"))
        .prefetch_related(Prefetch("versions", queryset=versions))
        .order_by("is_curated", "name")
    )


def get_environment(workspace: Workspace, name: str) -> Environment:
    environment = Environment.objects.filter(workspace=workspace, name__iexact=name).first()
    if environment is None:
        raise NotFound(f"There is no environment '{name}' in '{workspace.name}'.")
    return environment


def get_environment_version(workspace: Workspace, name: str, version: str) -> EnvironmentVersion:
    """`version` may be "latest". Raises NotFound."""
    versions = EnvironmentVersion.objects.filter(environment__workspace=workspace, environment__name__iexact=name)
    return _pick(versions.select_related("environment", "build"), f"environment '{name}'", version)


def get_code_version(workspace: Workspace, name: str, version: str) -> CodeVersion:
    """`version` may be "latest". Raises NotFound."""
    versions = CodeVersion.objects.filter(code__workspace=workspace, code__name__iexact=name)
    return _pick(versions.select_related("code", "files"), f"code '{name}'", version)


def _pick(versions: Any, what: str, version: str) -> Any:
    found = versions.first() if version == "latest" else versions.filter(version__iexact=version).first()
    if found is None:
        raise NotFound(f"There is no version '{version}' of {what}.")
    return found


def running_operation(kind: str, target_id: int) -> Operation | None:
    """The operation now in progress on a target, with its steps, or None."""
    return (
        Operation.objects.filter(target_kind=kind, target_id=target_id, state=Operation.State.IN_PROGRESS)
        .prefetch_related("steps")
        .first()
    )


def latest_operation(kind: str, target_id: int) -> Operation | None:
    """The newest operation on a target, with its steps, or None."""
    return (
        Operation.objects.filter(target_kind=kind, target_id=target_id)
        .select_related("by")
        .prefetch_related("steps")
        .order_by("-created_at")
        .first()
    )


def activities_of(kind: str, target_id: int, *, most: int = 50) -> QuerySet[Activity]:
    """Newest first."""
    return Activity.objects.filter(target_kind=kind, target_id=target_id).select_related("by")[:most]


def activities_in(workspace: Workspace, *, most: int = 50) -> QuerySet[Activity]:
    """Newest first."""
    return Activity.objects.filter(workspace=workspace).select_related("by")[:most]


def codes_with_property(workspace: Workspace, name: str, value: str) -> QuerySet[CodeVersion]:
    """Versions of any code of which this is said, newest first."""
    versions = CodeVersion.objects.filter(code__workspace=workspace, **{f"properties__{name}": value})
    return versions.select_related("code", "created_by")


def get_operation_for(user: Any, operation_id: UUID) -> Operation:
    """Raises NotFound for one that is unknown or of a workspace the user is no member of."""
    found = Operation.objects.select_related("workspace").filter(pk=operation_id).first()
    if found is None or not workspaces_for(user).filter(pk=found.workspace_id).exists():
        raise NotFound(f"There is no operation '{operation_id}'.")
    return found
