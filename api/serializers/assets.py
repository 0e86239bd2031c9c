"""Models, environments and code: containers and versions, in Azure's shape."""

from __future__ import annotations

from typing import Any

import yaml
from rest_framework import serializers

from api.arm import DATASTORE, PROVIDER, data_uri
from api.serializers.shapes import Bag, OnlyDefault, Resource, Shape, Word, system_data, text
from workspaces.models import CodeVersion, EnvironmentVersion, RegisteredModelVersion, Workspace
from workspaces.models.assets import ModelType
from workspaces.services.assets import next_version

REGISTERED = "registered"


class VersionProperties(Shape):
    description = text()
    tags = Bag()
    properties = Bag()
    isAnonymous = serializers.BooleanField(required=False, allow_null=True)
    isArchived = serializers.BooleanField(required=False, allow_null=True)
    autoDeleteSetting = OnlyDefault(why="Versions are kept until somebody deletes them")
    provisioningState = serializers.CharField(read_only=True)


class ModelProperties(VersionProperties):
    modelUri = serializers.CharField(max_length=2000, required=False, allow_null=True)
    modelType = Word({name: name for name in ModelType.values}, required=False, allow_null=True)
    flavors = serializers.DictField(required=False, allow_null=True)
    jobName = OnlyDefault(why="There are no jobs here")
    stage = OnlyDefault(why="Use a tag for the stage of a model")
    intellectualProperty = OnlyDefault()
    defaultDeploymentSettings = OnlyDefault()
    datasets = OnlyDefault([])


class ModelVersionBody(Resource):
    properties = ModelProperties()


class EnvironmentProperties(VersionProperties):
    condaFile = serializers.CharField(required=False, allow_null=True, allow_blank=True, trim_whitespace=False)
    image = serializers.CharField(required=False, allow_null=True, max_length=500)
    osType = Word({"Linux": "Linux"}, unsupported=("Windows",), required=False, allow_null=True)
    autoRebuild = OnlyDefault("Disabled")
    build = OnlyDefault(why="This studio builds environments from conda files, not from Dockerfiles")
    inferenceConfig = OnlyDefault(why="Instances run the studio's own inference server")
    stage = OnlyDefault()
    environmentType = serializers.CharField(read_only=True)


class EnvironmentVersionBody(Resource):
    properties = EnvironmentProperties()


class CodeProperties(VersionProperties):
    codeUri = serializers.CharField(max_length=2000, required=False, allow_null=True)


class CodeVersionBody(Resource):
    properties = CodeProperties()


class ContainerProperties(Shape):
    description = text()
    tags = Bag()
    properties = Bag()
    isArchived = serializers.BooleanField(required=False, allow_null=True)
    latestVersion = serializers.CharField(read_only=True)
    nextVersion = serializers.CharField(read_only=True)
    provisioningState = serializers.CharField(read_only=True)


class ContainerBody(Resource):
    properties = ContainerProperties()


class PendingUploadBody(Shape):
    pendingUploadId = serializers.CharField(required=False, allow_null=True)
    pendingUploadType = Word({"TemporaryBlobReference": "TemporaryBlobReference", "None": "None"}, required=False)


def container_answer(container: Any, *, kind: str, workspace_id: str) -> dict[str, Any]:
    """`versions` newest first; archived is what has no version that is not."""
    versions = list(container.versions.all())
    current = [version for version in versions if version.archived_at is None]
    return {
        "id": f"{workspace_id}/{kind}/{container.name}",
        "name": container.name,
        "type": f"{PROVIDER}/workspaces/{kind}",
        "systemData": system_data(container.created_at, None),
        "properties": {
            "description": container.description,
            "tags": container.tags,
            "properties": {},
            "isArchived": not current,
            "latestVersion": (current or versions)[0].version if versions else None,
            "nextVersion": next_version(version.version for version in versions),
            "provisioningState": "Succeeded",
        },
    }


def _version_answer(version: Any, *, kind: str, name: str, workspace_id: str, own: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{workspace_id}/{kind}/{name}/versions/{version.version}",
        "name": version.version,
        "type": f"{PROVIDER}/workspaces/{kind}/versions",
        "systemData": system_data(version.created_at, version.created_by),
        "properties": {
            "description": version.description,
            "tags": version.tags,
            "properties": version.properties,
            "isAnonymous": version.is_anonymous,
            "isArchived": version.archived_at is not None,
            "provisioningState": "Succeeded",
            **own,
        },
    }


def model_answer(version: RegisteredModelVersion, workspace: Workspace, workspace_id: str) -> dict[str, Any]:
    path = registered_path("models", version.model.name, version.version, version.files.manifest)
    own = {
        "modelUri": data_uri(workspace.subscription_id, workspace.resource_group, workspace.name, path),
        "modelType": version.type,
        "flavors": version.flavours,
    }
    return _version_answer(version, kind="models", name=version.model.name, workspace_id=workspace_id, own=own)


def code_answer(version: CodeVersion, workspace: Workspace, workspace_id: str, blob_root: str) -> dict[str, Any]:
    own = {"codeUri": f"{blob_root}/{REGISTERED}/codes/{version.code.name}/{version.version}"}
    return _version_answer(version, kind="codes", name=version.code.name, workspace_id=workspace_id, own=own)


def environment_answer(version: EnvironmentVersion, workspace: Workspace, workspace_id: str) -> dict[str, Any]:
    environment = version.environment
    own: dict[str, Any] = {
        "condaFile": version.conda_file or _as_conda(version),
        "image": version.image or None,
        "osType": "Linux",
        "environmentType": "Curated" if environment.is_curated else "UserCreated",
    }
    return _version_answer(version, kind="environments", name=environment.name, workspace_id=workspace_id, own=own)


def _as_conda(version: EnvironmentVersion) -> str | None:
    """A pip list in the only form that Azure's answer has room for."""
    lines = [line.strip() for line in version.pip_requirements.splitlines()]
    packages = [line for line in lines if line and not line.startswith("#")]
    if not packages:
        return None
    return yaml.safe_dump({"name": version.environment.name, "dependencies": ["python", "pip", {"pip": packages}]})


def registered_path(kind: str, name: str, version: str, manifest: list[list[Any]]) -> str:
    """Where the files of a version can be read in the datastore: its only file or folder, or all of them."""
    tops = {path.split("/", 1)[0] for path, *_ in manifest}
    base = f"{REGISTERED}/{kind}/{name}/{version}"
    return f"{base}/{tops.pop()}" if len(tops) == 1 else base


def datastore_answer(workspace_id: str, account: str, container: str) -> dict[str, Any]:
    """`accountName` holds the address of the blob service and ends in `#`.

    The official client makes a host name of it by appending a suffix, which the `#` turns into a fragment.
    """
    return {
        "id": f"{workspace_id}/datastores/{DATASTORE}",
        "name": DATASTORE,
        "type": f"{PROVIDER}/workspaces/datastores",
        "properties": {
            "datastoreType": "AzureBlob",
            "accountName": f"{account}/#",
            "containerName": container,
            "endpoint": account,
            "protocol": "https",
            "isDefault": True,
            "credentials": {"credentialsType": "Sas"},
            "tags": {},
            "properties": {},
        },
    }
