"""The sample endpoint, deployed through the same services as anybody's model."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings

from deployments.models import Deployment, InstanceType
from deployments.services.deployments import create_deployment, update_deployment
from deployments.services.revisions import RevisionSpec
from endpoints.models import Endpoint
from endpoints.queries import current_traffic
from endpoints.services import create_endpoint, set_traffic
from studio.lib.errors import StudioError
from workspaces.models import (
    CodeVersion,
    EnvironmentBuild,
    EnvironmentVersion,
    RegisteredModelVersion,
    Workspace,
)
from workspaces.services.assets import register_code, register_model
from workspaces.services.environments import create_environment_version, ensure_build_wanted

ENDPOINT = "churn"
DEPLOYMENTS = {"blue": "logistic regression", "green": "gradient boosting"}
TRAFFIC = {"blue": 90, "green": 10}
INSTANCE_TYPE = "Local_1x1"
REQUEST = {"data": [[12, 29.85, 358.20, 1, 0], [45, 89.10, 4011.50, 2, 1]]}
FOLDER = settings.REPOSITORY / "ops" / "sample"
BUILD_SECONDS = 1800
DEPLOY_SECONDS = 600
POLL_SECONDS = 0.1
Say = Callable[[str], None]


class SampleFailed(StudioError):
    """The sample could not be deployed."""


def deploy_sample(*, workspace: Workspace, by: Any, say: Say) -> Endpoint:
    """Build the environment, train two models, deploy both, split 90/10. Goes on where an earlier call was interrupted.

    Each step is said in a line. Raises SampleFailed with the reason when a step fails.
    """
    environment = _environment(workspace, by)
    code = _code(workspace, by)
    endpoint = Endpoint.objects.filter(workspace=workspace, name=ENDPOINT).first()
    if endpoint is None:
        endpoint = create_endpoint(
            workspace=workspace, name=ENDPOINT, by=by, description="Will this customer leave? Two models, one address."
        )
    say("building the environment (scikit-learn)")
    _wait(lambda: _built(environment), "the environment is built", BUILD_SECONDS)
    say("training two models")
    models = _models(workspace, environment, by)
    for name, model in models.items():
        _ask_for(endpoint, name, model, code, environment, by)
    say("starting blue and green")
    for name in DEPLOYMENTS:
        _wait(partial(_succeeded, endpoint, name), f"{name} is ready", DEPLOY_SECONDS)
    if not any(current_traffic(endpoint).percents.values()):
        version = set_traffic(endpoint=endpoint, percents=TRAFFIC, by=by, reason="the sample's first split")
        _wait(lambda: _in_force(endpoint, version.number), "the gateway has the split", DEPLOY_SECONDS)
    say("90 % of the requests go to blue, 10 % to green")
    return endpoint


def _environment(workspace: Workspace, by: Any) -> EnvironmentVersion:
    found = EnvironmentVersion.objects.filter(environment__workspace=workspace, environment__name="churn").first()
    if found is not None:
        ensure_build_wanted(build=found.build)
        return found
    conda_file = (FOLDER / "conda.yaml").read_text()
    return create_environment_version(
        workspace=workspace, name="churn", by=by, conda_file=conda_file, description="scikit-learn, for the sample"
    )


def _code(workspace: Workspace, by: Any) -> CodeVersion:
    script = FOLDER / "onlinescoring" / "score.py"
    with script.open("rb") as stream:
        return register_code(workspace=workspace, name="churn", by=by, files=[("score.py", stream)])


def _built(environment: EnvironmentVersion) -> bool:
    build = EnvironmentBuild.objects.get(pk=environment.build_id)
    if build.state == EnvironmentBuild.State.FAILED:
        raise SampleFailed(f"The environment could not be built: {build.message}", hint=build.hint)
    return build.state == EnvironmentBuild.State.SUCCEEDED


def _models(workspace: Workspace, environment: EnvironmentVersion, by: Any) -> dict[str, RegisteredModelVersion]:
    names = {name: f"churn-{name}" for name in DEPLOYMENTS}
    found = {
        name: RegisteredModelVersion.objects.filter(model__workspace=workspace, model__name=registered).first()
        for name, registered in names.items()
    }
    models = {name: version for name, version in found.items() if version is not None}
    if len(models) == len(names):
        return models
    python = EnvironmentBuild.objects.get(pk=environment.build_id).python_path
    with tempfile.TemporaryDirectory(dir=settings.STUDIO_HOME / "tmp") as folder:
        command = [python, str(FOLDER / "train.py"), "--out", folder]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEPLOY_SECONDS)
        if ran.returncode:
            raise SampleFailed(f"Training ended with exit code {ran.returncode}: {ran.stderr[-500:]}")
        for name, registered in names.items():
            if name not in models:
                models[name] = _register(
                    workspace, registered, Path(folder) / name / "model.joblib", DEPLOYMENTS[name], by
                )
    return models


def _register(workspace: Workspace, name: str, file: Path, description: str, by: Any) -> RegisteredModelVersion:
    with file.open("rb") as stream:
        files = [("model.joblib", stream)]
        tags = {"sample_request": json.dumps(REQUEST)}
        return register_model(workspace=workspace, name=name, by=by, files=files, description=description, tags=tags)


def _ask_for(
    endpoint: Endpoint,
    name: str,
    model: RegisteredModelVersion,
    code: CodeVersion,
    environment: EnvironmentVersion,
    by: Any,
) -> None:
    existing = Deployment.objects.filter(endpoint=endpoint, name=name).first()
    if existing is None:
        wanted = RevisionSpec(
            model_version=model,
            code_version=code,
            scoring_script="score.py",
            environment_version=environment,
            instance_type=InstanceType.objects.get(name=INSTANCE_TYPE),
            max_concurrent_requests_per_instance=8,
            request_timeout_ms=30_000,
        )
        create_deployment(endpoint=endpoint, name=name, wanted=wanted, by=by, description=DEPLOYMENTS[name])
    elif existing.state in (Deployment.State.FAILED, Deployment.State.CANCELED):
        update_deployment(deployment=existing, by=by, always=True)


def _succeeded(endpoint: Endpoint, name: str) -> bool:
    deployment = Deployment.objects.get(endpoint=endpoint, name=name)
    if deployment.state in (Deployment.State.FAILED, Deployment.State.CANCELED):
        raise SampleFailed(f"{deployment} is {deployment.state}: {deployment.message}")
    return deployment.state == Deployment.State.SUCCEEDED


def _in_force(endpoint: Endpoint, number: int) -> bool:
    routed = Endpoint.objects.values_list("routed_version", flat=True).get(pk=endpoint.pk)
    return routed is not None and routed >= number


def _wait(done: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise SampleFailed(f"It took more than {seconds:.0f} s until {what}.")
        time.sleep(POLL_SECONDS)
