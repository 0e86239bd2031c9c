"""What tests of this room's pages begin with."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils import timezone

from deployments.lifecycle import TABLE
from deployments.models import Deployment, InstanceType
from deployments.reconcile import plan
from tests.factories import make_code_version, make_deployment, make_endpoint, make_files, make_instance
from workspaces.lifecycle import move
from workspaces.models import Operation
from workspaces.services.record import open_operation

PART = {"HX-Request": "true"}
PROBE = {"initial_delay": 10, "period": 10, "timeout": 2, "success_threshold": 1, "failure_threshold": 30}
SCRIPT = "def init(): pass\ndef run(data): return data\n"


def address(name: str, deployment: Deployment) -> str:
    endpoint = deployment.endpoint
    return reverse(f"deployments:{name}", args=[endpoint.workspace.name, endpoint.name, deployment.name])


def blue(cast: Any, *, instances: int = 1, **overrides: Any) -> Deployment:
    """A deployment that serves, made of code that has score.py."""
    code = make_code_version(cast.workspace, files=make_files(score_py=SCRIPT))
    values = {"code_version": code, "scoring_script": "score.py", "liveness_probe": PROBE, "readiness_probe": PROBE}
    endpoint = make_endpoint(cast.workspace, "churn")
    return make_deployment(endpoint, "blue", instances=instances, **{**values, **overrides})


def creating(cast: Any) -> tuple[Deployment, Operation]:
    """A deployment whose first provisioning is waiting for readiness."""
    deployment = blue(cast, instances=0, state="Creating")
    Deployment.objects.filter(pk=deployment.pk).update(serving_revision=None)
    deployment.refresh_from_db()
    make_instance(deployment.revisions.get(), "Starting")
    operation = open_operation(
        workspace=cast.workspace,
        kind=Operation.Kind.CREATE_DEPLOYMENT,
        subject=deployment.activity_subject(),
        steps=plan.CREATE,
        by=cast.dana,
    )
    now = timezone.now()
    operation.steps.filter(position__lt=4).update(state="Succeeded", started_at=now, finished_at=now)
    operation.steps.filter(position=4).update(state="Running", started_at=now, message="0 of 1 ready")
    return deployment, operation


def failed(cast: Any) -> Deployment:
    """A deployment whose first provisioning failed over a missing package."""
    deployment, operation = creating(cast)
    operation.steps.filter(position=4).update(state="Failed", finished_at=timezone.now())
    move(
        deployment,
        "Failed",
        TABLE,
        closes=operation,
        code="ResourceNotReady",
        message="score.py, line 3 imports 'lightgbm', which the environment does not have.",
        cause="A package is missing.",
        hint="Register a new version of the environment.",
        log_lines=["ModuleNotFoundError: No module named 'lightgbm' <here>"],
    )
    instance = deployment.instances.get()
    deployment.instances.filter(pk=instance.pk).update(state="Failed", stopped_at=timezone.now(), exit_code=3)
    return deployment


def typed(**changes: Any) -> dict[str, Any]:
    """What the form of a new deployment, or of an update, is sent with."""
    probe = {f"{kind}_{part}": value for kind in ("readiness", "liveness") for part, value in PROBE.items()}
    values = {
        "scoring_script": "score.py",
        "instance_type": InstanceType.objects.get(name="Local_Test").pk,
        "request_timeout_ms": 5000,
        "max_concurrent_requests_per_instance": 1,
        "max_queue_wait_ms": 500,
        "environment_variables": "",
        "model_version": "",
        **probe,
    }
    return {**values, **changes}


def text(response: Any) -> str:
    return response.content.decode()
