"""What a revision is made of, checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deployments import spec
from deployments.models import Deployment, InstanceType, Revision
from workspaces.models import CodeVersion, EnvironmentVersion, RegisteredModelVersion, Workspace


@dataclass(frozen=True)
class RevisionSpec:
    """What a user asks for. Probes are mappings with Azure's names; names left out get Azure's defaults."""

    environment_version: EnvironmentVersion
    instance_type: InstanceType
    model_version: RegisteredModelVersion | None = None
    code_version: CodeVersion | None = None
    scoring_script: str = ""
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    request_timeout_ms: int = 5000
    max_concurrent_requests_per_instance: int = 1
    max_queue_wait_ms: int = 500
    liveness_probe: Mapping[str, int] = field(default_factory=dict)
    readiness_probe: Mapping[str, int] = field(default_factory=dict)


def checked(wanted: RevisionSpec, *, workspace: Workspace) -> RevisionSpec:
    """The same with names normalised and defaults filled in. Raises SpecInvalid at the first rule broken."""
    owners = {
        "model": wanted.model_version.model.workspace_id if wanted.model_version else workspace.pk,
        "code": wanted.code_version.code.workspace_id if wanted.code_version else workspace.pk,
        "environment": wanted.environment_version.environment.workspace_id,
    }
    for what, owner in owners.items():
        if owner != workspace.pk:
            raise spec.SpecInvalid(f"The {what} belongs to another workspace.", field=what)
    if not wanted.instance_type.is_offered:
        raise spec.SpecInvalid(f"Instance type '{wanted.instance_type}' is not offered.", field="instance_type")
    if wanted.code_version is None:
        spec.served_model(_paths(wanted.model_version))
    spec.check_request_settings(
        request_timeout_ms=wanted.request_timeout_ms,
        max_concurrent=wanted.max_concurrent_requests_per_instance,
        max_queue_wait_ms=wanted.max_queue_wait_ms,
    )
    paths = _paths(wanted.code_version) if wanted.code_version else None
    return replace(
        wanted,
        scoring_script=spec.check_scoring_script(wanted.scoring_script, paths=paths),
        environment_variables=spec.check_environment_variables(wanted.environment_variables),
        liveness_probe=spec.Probe.from_mapping(wanted.liveness_probe, field="liveness_probe").as_dict(),
        readiness_probe=spec.Probe.from_mapping(wanted.readiness_probe, field="readiness_probe").as_dict(),
    )


def _paths(version: CodeVersion | RegisteredModelVersion | None) -> list[str]:
    return [path for path, *_ in version.files.manifest] if version else []


def defaults_of(wanted: RevisionSpec) -> RevisionSpec:
    """The same environment and instance type with everything else as it is when nobody says otherwise."""
    probe = spec.Probe().as_dict()
    return RevisionSpec(wanted.environment_version, wanted.instance_type, liveness_probe=probe, readiness_probe=probe)


def spec_of(revision: Revision) -> RevisionSpec:
    """What an existing revision was asked to be; the start of a patch."""
    return RevisionSpec(**{name: getattr(revision, name) for name in RevisionSpec.__dataclass_fields__})


def write_revision(*, deployment: Deployment, wanted: RevisionSpec, by: Any) -> Revision:
    """The deployment's next revision. `wanted` has been checked."""
    newest = Revision.objects.filter(deployment=deployment).order_by("-number").first()
    values = {name: getattr(wanted, name) for name in RevisionSpec.__dataclass_fields__}
    number = newest.number + 1 if newest else 1
    return Revision.objects.create(deployment=deployment, number=number, by=by, **values)


def difference(before: RevisionSpec, after: RevisionSpec) -> tuple[dict[str, Any], dict[str, Any]]:
    """Changed fields before and after, fit for the activity. Values of environment variables are never shown."""
    old: dict[str, Any] = {}
    new: dict[str, Any] = {}
    for name in RevisionSpec.__dataclass_fields__:
        was, is_now = getattr(before, name), getattr(after, name)
        if was == is_now:
            continue
        if name == "environment_variables":
            was, is_now = sorted(was), sorted(is_now)
        plain = (int, str, dict, list)
        old[name] = was if isinstance(was, plain) else str(was)
        new[name] = is_now if isinstance(is_now, plain) else str(is_now)
    return old, new
