"""A small world for tests of this room: a workspace, files, an environment that counts as built, and a fake driver."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model

from deployments.models import Deployment, Instance, InstanceType
from deployments.probes import Answer
from deployments.reconcile import machine
from deployments.services.deployments import create_deployment
from deployments.services.revisions import RevisionSpec
from deployments.services.routing import note_published
from endpoints.models import Endpoint
from endpoints.services import create_endpoint
from endpoints.services import note_published as note_endpoints_published
from tests.contract.fakes import FakeDriver
from workspaces.models import EnvironmentBuild, EnvironmentVersion, Operation
from workspaces.services.assets import register_code, register_model
from workspaces.services.environments import create_environment_version
from workspaces.services.people import create_workspace
from workspaces.staging import Staged

SCRIPT = b"def init():\n    pass\n\n\ndef run(data):\n    return data\n"


@dataclass
class World:
    """`unready` is how many of an operation's instances answer their probes that they are not ready yet."""

    driver: FakeDriver
    user: Any
    spec: RevisionSpec
    endpoint: Endpoint
    unready: int = 0
    gateway_works: bool = True

    def deploy(self, name: str = "blue", **overrides: Any) -> Deployment:
        """A deployment asked for, not yet reconciled."""
        count = overrides.pop("instance_count", 1)
        create_deployment(endpoint=self.endpoint, name=name, wanted=self.spec, by=self.user, instance_count=count)
        return Deployment.objects.get(endpoint=self.endpoint, name=name)

    def ready(self, name: str = "blue", **overrides: Any) -> Deployment:
        """A deployment that has Succeeded."""
        deployment = self.deploy(name, **overrides)
        self.settle(deployment)
        deployment.refresh_from_db()
        assert deployment.state == Deployment.State.SUCCEEDED, deployment.message
        return deployment

    def settle(self, deployment: Deployment, most: int = 30) -> None:
        """Reconcile until nothing is left to do."""
        for _ in range(most):
            again = machine.reconcile(deployment.pk)
            if self.gateway_works:
                self.publish()
            if again is None:
                return

    def publish(self) -> None:
        """What the gateway would confirm: admitted instances get traffic, drained ones nothing."""
        names = Instance.objects.filter(is_admitted=True, state__in=("Ready", "Unready")).values_list("name", flat=True)
        note_published(traffic=set(names), draining=())
        gone = Endpoint.objects.filter(state="Deleting").values_list("pk", flat=True)
        versions = {e.pk: e.traffic_versions.count() for e in Endpoint.objects.exclude(state="Deleting")}
        note_endpoints_published(versions=versions, gone=list(gone))

    def operation(self, deployment: Deployment) -> Operation:
        return Operation.objects.filter(target_kind="deployment", target_id=deployment.pk)[0]

    def states(self, deployment: Deployment) -> list[str]:
        return sorted(deployment.instances.values_list("state", flat=True))

    def answer(self, addresses: dict[str, Any]) -> dict[str, Answer]:
        late = sorted(addresses)[: self.unready]
        return {name: Answer(True, name not in late) for name in addresses}


def make_environment(workspace: Any, user: Any, *, state: str = "Succeeded", name: str = "env") -> EnvironmentVersion:
    """An environment whose build has ended, without having been built."""
    version = create_environment_version(
        workspace=workspace, name=name, by=user, pip_requirements=f"# {name}\n", build_now=False
    )
    EnvironmentBuild.objects.filter(pk=version.build_id).update(
        **{"state": state, "python_path": sys.executable, "python_used": "3.11.7", "message": "no such package"}
    )
    version.build.refresh_from_db()
    return version


def make_world(driver: FakeDriver) -> World:
    user = get_user_model().objects.create(username="alice")
    workspace = create_workspace(name="team", by=user)
    code = register_code(workspace=workspace, name="code", by=user, files=[("score.py", io.BytesIO(SCRIPT))])
    model = register_model(workspace=workspace, name="model", by=user, files=[("model.bin", io.BytesIO(b"m"))])
    spec = RevisionSpec(
        model_version=model,
        code_version=code,
        scoring_script="score.py",
        environment_version=make_environment(workspace, user),
        instance_type=InstanceType.objects.get(name="Local_1x1"),
    )
    endpoint = create_endpoint(workspace=workspace, name="churn", by=user)
    return World(driver=driver, user=user, spec=spec, endpoint=endpoint)


def staged(**_: Any) -> Staged:
    return Staged(Path("/m"), Path("/c"), Path("/r"), "1 file")
