"""The state of a deployment in plain words. Pure."""

from __future__ import annotations

from deployments.models import Deployment
from endpoints.views.sentences import StateSentence


def state_sentence(deployment: Deployment, *, ready: int, share: int, mirrored: int) -> StateSentence:
    """`ready`: instances of the serving revision that are ready; `share` and `mirrored` in percent of the requests."""
    wanted = deployment.wanted_instance_count
    state, serves = deployment.state, deployment.serving_revision
    if state == Deployment.State.DELETING:
        return StateSentence("Being deleted: its instances finish their requests, then they are stopped.", "busy")
    if state == Deployment.State.CREATING:
        return StateSentence("Being created. It gets traffic once it is ready and has a share.", "busy")
    running = f"{ready} of {wanted} {'instance' if wanted == 1 else 'instances'} ready"
    if serves is None:
        how = "failed" if state == Deployment.State.FAILED else "was cancelled"
        return StateSentence(f"Its first provisioning {how}; nothing runs.", "bad" if how == "failed" else "rest")
    serving = f"Revision {serves.number} serves: {running}, {_traffic(share, mirrored)}."
    if state == Deployment.State.UPDATING and deployment.wanted_revision:
        return StateSentence(
            f"{serving} Revision {deployment.wanted_revision.number} is being prepared beside it.", "busy"
        )
    if state == Deployment.State.SCALING:
        return StateSentence(f"{serving} The number of instances is being changed.", "busy")
    if state == Deployment.State.FAILED:
        return StateSentence(f"The last change failed; nothing was lost. {serving}", "bad")
    if state == Deployment.State.CANCELED:
        return StateSentence(f"The last change was cancelled. {serving}", "warn")
    if not ready:
        return StateSentence(serving, "bad" if share else "warn")
    return StateSentence(serving, "good" if ready >= wanted else "warn")


def _traffic(share: int, mirrored: int) -> str:
    if mirrored:
        return f"gets a copy of {mirrored} % of the requests"
    return f"{share} % of the requests" if share else "no traffic"
