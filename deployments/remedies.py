"""What can be done about a failed operation with one click, where the cause is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlencode

from django.urls import reverse

from deployments.failures import OUT_OF_MEMORY, TOO_SLOW, missing_module
from deployments.models import Deployment, InstanceType, Revision
from deployments.queries import offers
from deployments.services.revisions import RevisionSpec
from deployments.spec import Probe
from studio.lib.formats import bytes_text, duration_text
from workspaces.models import Operation, Target
from workspaces.queries import latest_operation

PROBE_SECONDS_MAXIMUM = 86_400

# packages that are not called as the modules they bring
_PACKAGES = {
    "sklearn": "scikit-learn",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "bs4": "beautifulsoup4",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "google.protobuf": "protobuf",
    "azure.storage.blob": "azure-storage-blob",
    "azure.identity": "azure-identity",
    "inference_schema": "inference-schema",
}


@dataclass(frozen=True)
class Remedy:
    """A button. `change` makes the next revision from what was wanted; with `url` it is a form that is filled in already."""

    name: str
    label: str
    change: Callable[[RevisionSpec], RevisionSpec] | None = None
    url: str = ""


def remedies_of(deployment: Deployment, operation: Operation | None) -> list[Remedy]:
    """What the newest operation's failure calls for; [] when it did not fail or its cause is not one of those known."""
    revision = deployment.wanted_revision
    if operation is None or operation.state != Operation.State.FAILED or revision is None:
        return []
    if operation.cause == TOO_SLOW:
        return list(_more_time(revision))
    if operation.cause == OUT_OF_MEMORY:
        return list(_more_memory(deployment, revision))
    module = missing_module(operation.log_lines)
    return [_add_package(deployment, revision, module)] if module else []


def find_remedy(deployment: Deployment, name: str) -> Remedy | None:
    """One that is offered now and has a change."""
    if deployment.state != Deployment.State.FAILED:
        return None
    offered = remedies_of(deployment, latest_operation(Target.DEPLOYMENT, deployment.pk))
    return next((remedy for remedy in offered if remedy.name == name and remedy.change), None)


def _more_time(revision: Revision) -> Iterator[Remedy]:
    """Twice the time, in either of the two ways: probing all the while, or leaving it alone at first."""
    probe = Probe(**revision.readiness_probe)
    seconds = probe.deadline_seconds
    threshold = probe.failure_threshold + -(-seconds // probe.period)
    delay = probe.initial_delay + seconds
    if threshold <= PROBE_SECONDS_MAXIMUM:
        total = duration_text(replace(probe, failure_threshold=threshold).deadline_seconds)
        yield Remedy(
            "failure-threshold",
            f"Raise the failure threshold to {threshold}: {total} in all",
            partial(_with_probe, failure_threshold=threshold),
        )
    if delay <= PROBE_SECONDS_MAXIMUM:
        total = duration_text(replace(probe, initial_delay=delay).deadline_seconds)
        yield Remedy(
            "initial-delay",
            f"Raise the initial delay to {delay} s: {total} in all",
            partial(_with_probe, initial_delay=delay),
        )


def _with_probe(wanted: RevisionSpec, **values: int) -> RevisionSpec:
    return replace(wanted, readiness_probe={**wanted.readiness_probe, **values})


def _more_memory(deployment: Deployment, revision: Revision) -> Iterator[Remedy]:
    """The next larger instance type of which the quota has room for as many instances as are wanted."""
    present = revision.instance_type
    larger = InstanceType.objects.filter(is_offered=True, memory_bytes__gt=present.memory_bytes)
    found, _ = offers(list(larger.order_by("memory_bytes", "vcpu", "name")), leaving_out=deployment)
    fitting = [offer.instance_type for offer in found if offer.fits >= deployment.wanted_instance_count]
    # of the studio's own sizes first, when that is what it has
    own = [kind for kind in fitting if kind.name.startswith("Local_") == present.name.startswith("Local_")]
    for kind in (own or fitting)[:1]:
        label = f"Use {kind.name}: {bytes_text(kind.memory_bytes)} instead of {bytes_text(present.memory_bytes)}"
        yield Remedy("instance-type", label, partial(replace, instance_type=kind))


def _add_package(deployment: Deployment, revision: Revision, module: str) -> Remedy:
    """The form of a new environment version with the package in it, which leads to the update of the deployment."""
    endpoint, version = deployment.endpoint, revision.environment_version
    package = _PACKAGES.get(module) or _PACKAGES.get(module.partition(".")[0]) or module.partition(".")[0]
    onward = reverse("deployments:update", args=[endpoint.workspace.name, endpoint.name, deployment.name])
    query = {"from": f"{version.environment.name}:{version.version}", "add": package, "next": onward}
    form = reverse("workspaces:create-environment", args=[endpoint.workspace.name])
    return Remedy("package", f"Add {package} to the environment", url=f"{form}?{urlencode(query)}")
