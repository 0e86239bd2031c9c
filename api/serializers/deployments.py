"""Online deployments: Azure's shape, how a row looks in it, and what it asks a revision to be."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from api import durations
from api.arm import PROVIDER, read_version_id
from api.serializers.shapes import Bag, Duration, OnlyDefault, Resource, Shape, Word, system_data, text
from deployments.models import Deployment, InstanceType, Revision
from deployments.services.revisions import RevisionSpec
from deployments.spec import INSTANCE_COUNT_MAXIMUM, Probe
from studio.lib.errors import BadRequest, NotFound
from workspaces import queries
from workspaces.models import Workspace


class CodeConfiguration(Shape):
    codeId = serializers.CharField(max_length=2000)
    scoringScript = serializers.CharField(max_length=255)


class ScaleSettings(Shape):
    scaleType = Word({"Default": "Default"}, unsupported=("TargetUtilization",))


class RequestSettings(Shape):
    requestTimeout = Duration()
    maxQueueWait = Duration()
    maxConcurrentRequestsPerInstance = serializers.IntegerField(required=False, allow_null=True, min_value=1)


class ProbeSettings(Shape):
    initialDelay = Duration(whole_seconds=True)
    period = Duration(whole_seconds=True)
    timeout = Duration(whole_seconds=True)
    successThreshold = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    failureThreshold = serializers.IntegerField(required=False, allow_null=True, min_value=1)


class Sku(Shape):
    name = OnlyDefault("Default", "Standard")
    tier = OnlyDefault("Standard", "Free", "Basic")
    size = OnlyDefault()
    family = OnlyDefault()
    capacity = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=INSTANCE_COUNT_MAXIMUM)


class DeploymentProperties(Shape):
    endpointComputeType = Word({"Managed": "Managed"}, unsupported=("Kubernetes", "AzureMLCompute"), required=False)
    instanceType = serializers.CharField(max_length=60)
    description = text()
    properties = Bag()
    model = serializers.CharField(required=False, allow_null=True, max_length=2000)
    modelMountPath = OnlyDefault(why="Models lie where AZUREML_MODEL_DIR says")
    environmentId = serializers.CharField(required=False, allow_null=True, max_length=2000)
    codeConfiguration = CodeConfiguration(required=False, allow_null=True)
    environmentVariables = Bag(most=500)
    # Either way requests, metrics and logs are kept: there is nothing to switch.
    appInsightsEnabled = serializers.BooleanField(required=False, allow_null=True)
    egressPublicNetworkAccess = OnlyDefault("Enabled", why="Instances use the network of their machine")
    privateNetworkConnection = OnlyDefault(False)
    scaleSettings = ScaleSettings(required=False, allow_null=True)
    requestSettings = RequestSettings(required=False, allow_null=True)
    livenessProbe = ProbeSettings(required=False, allow_null=True)
    readinessProbe = ProbeSettings(required=False, allow_null=True)
    dataCollector = OnlyDefault(why="This studio does not collect data of requests")
    provisioningState = serializers.CharField(read_only=True)


class DeploymentBody(Resource):
    location = text()
    tags = Bag()
    kind = OnlyDefault("Managed")
    identity = OnlyDefault(why="A deployment has no identity of its own here")
    sku = Sku(required=False, allow_null=True)
    properties = DeploymentProperties()


class LogsBody(Shape):
    containerType = Word(
        {"InferenceServer": "inference-server", "StorageInitializer": "storage-initializer"},
        unsupported=("ModelDataCollector",),
        required=False,
        allow_null=True,
    )
    tail = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=100_000)


class LogsAnswer(serializers.Serializer[Any]):
    content = serializers.CharField(allow_blank=True)


def wanted_revision(given: dict[str, Any], *, workspace: Workspace, before: RevisionSpec | None) -> RevisionSpec:
    """What validated properties ask for; what they leave out gets Azure's default.

    Only the queue wait keeps its former value: the official client loses those below a second. Raises BadRequest.
    """
    code = given.get("codeConfiguration") or {}
    request = given.get("requestSettings") or {}
    queue_wait = request.get("maxQueueWait")
    if queue_wait is None:
        queue_wait = before.max_queue_wait_ms if before else 500
    return RevisionSpec(
        environment_version=_environment(workspace, given.get("environmentId")),
        instance_type=_instance_type(given["instanceType"]),
        model_version=_version(workspace, "models", given.get("model"), "model"),
        code_version=_version(workspace, "codes", code.get("codeId"), "codeConfiguration.codeId"),
        scoring_script=code.get("scoringScript", ""),
        environment_variables=given.get("environmentVariables") or {},
        request_timeout_ms=_or(request.get("requestTimeout"), 5000),
        max_concurrent_requests_per_instance=_or(request.get("maxConcurrentRequestsPerInstance"), 1),
        max_queue_wait_ms=queue_wait,
        liveness_probe=_probe(given.get("livenessProbe")),
        readiness_probe=_probe(given.get("readinessProbe")),
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


_PROBE_NAMES = {
    "initialDelay": "initial_delay",
    "period": "period",
    "timeout": "timeout",
    "successThreshold": "success_threshold",
    "failureThreshold": "failure_threshold",
}


def _probe(given: dict[str, Any] | None) -> dict[str, int]:
    return {_PROBE_NAMES[name]: value for name, value in (given or {}).items() if value is not None}


_GETTERS = {
    "models": queries.get_model_version,
    "codes": queries.get_code_version,
    "environments": queries.get_environment_version,
}


def _version(workspace: Workspace, kind: str, text: str | None, field: str) -> Any:
    if not text:
        return None
    ref = read_version_id(text, kind)
    if ref.workspace and ref.workspace.lower() != workspace.name.lower():
        raise BadRequest(f"'{text}' belongs to another workspace.", field=f"properties.{field}")
    try:
        return _GETTERS[kind](workspace, ref.name, ref.version)
    except NotFound as error:
        raise BadRequest(error.message, field=f"properties.{field}") from None


def _environment(workspace: Workspace, text: str | None) -> Any:
    if not text:
        raise BadRequest(
            "properties.environmentId: The deployment needs an environment.",
            field="properties.environmentId",
            hint="Register one from a conda file, or use a curated one.",
        )
    return _version(workspace, "environments", text, "environmentId")


def _instance_type(name: str) -> InstanceType:
    found = InstanceType.objects.filter(name__iexact=name).first()
    if found is None:
        offered = ", ".join(InstanceType.objects.filter(is_offered=True).values_list("name", flat=True)[:8])
        raise BadRequest(
            f"There is no instance type '{name}'.", field="properties.instanceType", hint=f"Among others: {offered}."
        )
    return found


def deployment_answer(
    deployment: Deployment, revision: Revision, *, workspace_id: str, location: str, with_values: bool
) -> dict[str, Any]:
    """`with_values` False leaves out the values of environment variables, for who may not change them."""
    variables = revision.environment_variables if with_values else dict.fromkeys(revision.environment_variables)
    code = revision.code_version
    properties: dict[str, Any] = {
        "endpointComputeType": "Managed",
        "instanceType": revision.instance_type.name,
        "description": deployment.description,
        "properties": deployment.properties,
        "model": _model_id(revision, workspace_id),
        "modelMountPath": None,
        "environmentId": f"{workspace_id}/environments/{revision.environment_version.environment.name}"
        f"/versions/{revision.environment_version.version}",
        "codeConfiguration": code
        and {
            "codeId": f"{workspace_id}/codes/{code.code.name}/versions/{code.version}",
            "scoringScript": revision.scoring_script,
        },
        "environmentVariables": variables,
        "appInsightsEnabled": True,
        "egressPublicNetworkAccess": "Enabled",
        "scaleSettings": {"scaleType": "Default"},
        "requestSettings": {
            "requestTimeout": durations.write_ms(revision.request_timeout_ms),
            "maxQueueWait": durations.write_ms(revision.max_queue_wait_ms),
            "maxConcurrentRequestsPerInstance": revision.max_concurrent_requests_per_instance,
        },
        "livenessProbe": _probe_answer(Probe(**revision.liveness_probe)),
        "readinessProbe": _probe_answer(Probe(**revision.readiness_probe)),
        "provisioningState": deployment.state,
    }
    return {
        "id": f"{workspace_id}/onlineEndpoints/{deployment.endpoint.name}/deployments/{deployment.name}",
        "name": deployment.name,
        "type": f"{PROVIDER}/workspaces/onlineEndpoints/deployments",
        "location": location,
        "kind": "Managed",
        "tags": deployment.tags,
        "sku": {"name": "Default", "capacity": deployment.wanted_instance_count},
        "systemData": system_data(deployment.created_at, deployment.created_by, deployment.updated_at),
        "properties": properties,
    }


def _model_id(revision: Revision, workspace_id: str) -> str | None:
    model = revision.model_version
    return None if model is None else f"{workspace_id}/models/{model.model.name}/versions/{model.version}"


def _probe_answer(probe: Probe) -> dict[str, Any]:
    return {
        "initialDelay": durations.write_ms(probe.initial_delay * 1000),
        "period": durations.write_ms(probe.period * 1000),
        "timeout": durations.write_ms(probe.timeout * 1000),
        "successThreshold": probe.success_threshold,
        "failureThreshold": probe.failure_threshold,
    }
