"""Rows that the gateway reads, made as the rooms below would leave them."""

from __future__ import annotations

import hashlib
from typing import Any

from deployments.models import Deployment, Instance, InstanceType, Revision
from deployments.spec import Probe
from endpoints.models import Endpoint, TrafficVersion
from tests.gateway.world import key_of
from workspaces.models import Environment, EnvironmentBuild, EnvironmentVersion, Workspace


def make_endpoint(name: str, **fields: Any) -> Endpoint:
    workspace, _ = Workspace.objects.get_or_create(name="team")
    hashes = {
        f"{slot}_key_sha256": hashlib.sha256(key_of(name, slot).encode()).hexdigest()
        for slot in ("primary", "secondary")
    }
    endpoint = Endpoint.objects.create(
        **{"workspace": workspace, "name": name, "state": "Succeeded", **hashes, **fields}
    )
    TrafficVersion.objects.create(endpoint=endpoint, number=1)
    return endpoint


def make_deployment(endpoint: Endpoint, name: str, *, is_serving: bool = True, **revision: Any) -> Deployment:
    environment, _ = Environment.objects.get_or_create(workspace=endpoint.workspace, name="plain")
    build, _ = EnvironmentBuild.objects.get_or_create(content_sha256="0" * 64)
    version, _ = EnvironmentVersion.objects.get_or_create(environment=environment, version="1", build=build)
    deployment = Deployment.objects.create(endpoint=endpoint, name=name, state="Succeeded")
    size, _ = InstanceType.objects.get_or_create(name="Local_test", defaults={"vcpu": 1, "memory_bytes": 2**30})
    made = Revision.objects.create(
        **{
            "deployment": deployment,
            "number": 1,
            "environment_version": version,
            "instance_type": size,
            "liveness_probe": Probe().as_dict(),
            "readiness_probe": Probe(period=1).as_dict(),
            **revision,
        }
    )
    deployment.wanted_revision = made
    deployment.serving_revision = made if is_serving else None
    deployment.save()
    return deployment


def make_instance(deployment: Deployment, name: str, address: str, **fields: Any) -> Instance:
    return Instance.objects.create(
        **{
            "deployment": deployment,
            "revision": deployment.wanted_revision,
            "workspace": deployment.endpoint.workspace,
            "endpoint_name": deployment.endpoint.name,
            "deployment_name": deployment.name,
            "revision_number": 1,
            "name": name,
            "driver": "local",
            "address": address,
            "state": "Ready",
            "is_admitted": True,
            "instance_type_name": "Local_small",
            **fields,
        }
    )


def give_traffic(endpoint: Endpoint, percents: dict[str, int], mirror: dict[str, int] | None = None) -> TrafficVersion:
    number = TrafficVersion.objects.filter(endpoint=endpoint).count() + 1
    return TrafficVersion.objects.create(endpoint=endpoint, number=number, percents=percents, mirror=mirror or {})
