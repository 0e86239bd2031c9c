"""Rows for tests: plain functions that make one thing and what it cannot be without. Every argument may be overridden."""

from __future__ import annotations

import hashlib
import io
import itertools
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from deployments.models import Deployment, Instance, InstanceType, Revision
from endpoints.models import Endpoint, TrafficVersion
from workspaces.models import (
    Code,
    CodeVersion,
    Environment,
    EnvironmentBuild,
    EnvironmentVersion,
    FileTree,
    Member,
    RegisteredModel,
    RegisteredModelVersion,
    Role,
    Workspace,
)
from workspaces.staging import keep_files

PASSWORD = "correct horse battery"
PROBE = {"initial_delay": 0, "period": 1, "timeout": 2, "success_threshold": 1, "failure_threshold": 30}
REVISION_COLUMNS = {field.name for field in Revision._meta.fields} - {"created_at"}
_numbers = itertools.count(1)


def make_user(username: str = "", **overrides: Any) -> Any:
    """An account whose password is PASSWORD."""
    return get_user_model().objects.create_user(username or f"user{next(_numbers)}", password=PASSWORD, **overrides)


def signed_in(user: Any) -> Client:
    """A browser in which `user` has signed in."""
    client = Client()
    client.force_login(user)
    return client


def make_workspace(name: str = "", *, owner: Any = None, **overrides: Any) -> Workspace:
    workspace = Workspace.objects.create(name=name or f"workspace{next(_numbers)}", **overrides)
    if owner is not None:
        make_member(workspace, owner, Role.OWNER, can_read_keys=True)
    return workspace


def make_member(workspace: Workspace, user: Any, role: str = Role.READER, **overrides: Any) -> Member:
    return Member.objects.create(workspace=workspace, user=user, role=role, **overrides)


def make_files(**contents: str) -> FileTree:
    """Stored files; `file_txt="…"` is a file called file.txt."""
    given = contents or {"file_txt": "content"}
    return keep_files([(name.replace("_", "."), io.BytesIO(text.encode())) for name, text in given.items()])


def make_model_version(workspace: Workspace, name: str = "churn", version: str = "1", **overrides: Any) -> Any:
    model, _ = RegisteredModel.objects.get_or_create(workspace=workspace, name=name)
    return RegisteredModelVersion.objects.create(
        **{"model": model, "version": version, "files": overrides.pop("files", None) or make_files(), **overrides}
    )


def make_code_version(workspace: Workspace, name: str = "churn", version: str = "1", **overrides: Any) -> Any:
    code, _ = Code.objects.get_or_create(workspace=workspace, name=name)
    files = overrides.pop("files", None) or make_files()
    return CodeVersion.objects.create(**{"code": code, "version": version, "files": files, **overrides})


def make_build(state: str = "Succeeded", **overrides: Any) -> EnvironmentBuild:
    values: dict[str, Any] = {"content_sha256": f"{next(_numbers):024x}", "state": state, "python_wanted": "3.11"}
    if state == "Succeeded":
        values |= {"python_used": "3.11.9", "packages": [["numpy", "1.26.4"]], "size_bytes": 48_000_000, "attempt": 1}
    return EnvironmentBuild.objects.create(**{**values, **overrides})


def make_environment_version(
    workspace: Workspace, name: str = "churn", version: str = "1", *, is_curated: bool = False, **overrides: Any
) -> EnvironmentVersion:
    """With a build that has succeeded, unless `build` is given."""
    environment, _ = Environment.objects.get_or_create(
        workspace=workspace, name=name, defaults={"is_curated": is_curated}
    )
    values = {"pip_requirements": "numpy==1.26.4\n", "build": overrides.pop("build", None) or make_build()}
    return EnvironmentVersion.objects.create(environment=environment, version=version, **{**values, **overrides})


def make_endpoint(workspace: Workspace, name: str = "", *, percents: Any = None, **overrides: Any) -> Endpoint:
    """An endpoint in force, with two keys and its first traffic version."""
    name = name or f"endpoint{next(_numbers)}"
    keys = {f"{which}_key": f"{which}-key-of-{name}" for which in ("primary", "secondary")}
    hashes = {f"{which}_sha256": hashlib.sha256(key.encode()).hexdigest() for which, key in keys.items()}
    values = {"workspace": workspace, "name": name, "state": "Succeeded", "routed_version": 1, **keys, **hashes}
    endpoint = Endpoint.objects.create(**{**values, **overrides})
    TrafficVersion.objects.create(endpoint=endpoint, number=1, percents=percents or {})
    return endpoint


def make_instance_type(name: str = "Local_Test", **overrides: Any) -> InstanceType:
    values = {"vcpu": Decimal(1), "memory_bytes": 1024**3, "price_per_hour": Decimal("0.05")}
    return InstanceType.objects.get_or_create(name=name, defaults={**values, **overrides})[0]


def make_deployment(endpoint: Endpoint, name: str = "blue", *, instances: int = 1, **overrides: Any) -> Deployment:
    """A deployment that serves its first revision with ready instances. Keys of Revision's own columns go to the revision."""
    of_revision = {key: overrides.pop(key) for key in REVISION_COLUMNS & overrides.keys()}
    values = {"endpoint": endpoint, "name": name, "state": "Succeeded", "wanted_instance_count": max(instances, 1)}
    deployment = Deployment.objects.create(**{**values, **overrides})
    revision = make_revision(deployment, **of_revision)
    for _ in range(instances):
        make_instance(revision)
    Deployment.objects.filter(pk=deployment.pk).update(serving_revision=revision, wanted_revision=revision)
    deployment.refresh_from_db()
    return deployment


def make_revision(deployment: Deployment, **overrides: Any) -> Revision:
    workspace = deployment.endpoint.workspace
    number = deployment.revisions.count() + 1
    values = {"number": number, "liveness_probe": PROBE, "readiness_probe": PROBE, **overrides}
    values["instance_type"] = values.get("instance_type") or make_instance_type()
    if values.get("environment_version") is None:
        known = EnvironmentVersion.objects.filter(environment__workspace=workspace).first()
        values["environment_version"] = known or make_environment_version(workspace)
    return Revision.objects.create(deployment=deployment, **values)


def make_instance(revision: Revision, state: str = "Ready", **overrides: Any) -> Instance:
    deployment, now = revision.deployment, timezone.now()
    values = {
        "deployment": deployment,
        "revision": revision,
        "workspace": deployment.endpoint.workspace,
        "endpoint_name": deployment.endpoint.name,
        "deployment_name": deployment.name,
        "revision_number": revision.number,
        "name": f"{deployment.name}-{next(_numbers):06x}",
        "driver": "local",
        "state": state,
        "routed": "traffic" if state == "Ready" else "",
        "is_admitted": state == "Ready",
        "instance_type_name": revision.instance_type.name,
        "started_at": now,
        "ready_at": now if state == "Ready" else None,
    }
    return Instance.objects.create(**{**values, **overrides})
