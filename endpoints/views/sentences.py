"""The state of an endpoint in plain words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from endpoints.models import Endpoint, TrafficVersion
from endpoints.queries import Behind


@dataclass(frozen=True)
class StateSentence:
    """`problems` is what a person should look at; `tone` is good, busy, bad, warn or rest."""

    text: str
    tone: str
    problems: tuple[str, ...] = ()


def state_sentence(
    endpoint: Endpoint, traffic: TrafficVersion, behind: Sequence[Behind], *, is_confirmed: bool
) -> StateSentence:
    """What callers of the endpoint get at the moment."""
    if endpoint.state == Endpoint.State.DELETING:
        left = f"; {_count(len(behind), 'deployment')} still to be drained and removed" if behind else ""
        return StateSentence(f"Being deleted{left}.", "busy")
    if endpoint.state == Endpoint.State.CREATING:
        return StateSentence("Being created: the gateway is opening the address.", "busy")
    if endpoint.state == Endpoint.State.FAILED:
        return StateSentence(endpoint.message or "It could not be opened.", "bad")
    shares = {name: percent for name, percent in traffic.percents.items() if percent}
    if not shares:
        return StateSentence(_no_traffic(behind), "rest")
    problems = tuple(_problems(shares, behind))
    text = _answers(shares)
    for name, percent in traffic.mirror.items():
        text += f" {percent} % of them are also copied to {name}."
    if not is_confirmed:
        text += " The gateway has not confirmed this yet."
    if any(not deployment.ready for deployment in behind if deployment.name in shares):
        return StateSentence(text, "bad", problems)
    return StateSentence(text, "busy" if not is_confirmed else "warn" if problems else "good", problems)


def _answers(shares: dict[str, int]) -> str:
    if len(shares) == 1:
        return f"{next(iter(shares))} answers all requests."
    (first, percent), *others = shares.items()
    rest = "".join(f", {name} {share} %" for name, share in others)
    return f"{first} answers {percent} % of the requests{rest}."


def _no_traffic(behind: Sequence[Behind]) -> str:
    if not behind:
        return "The address is open, and nothing is behind it yet: requests get 404 until a deployment has traffic."
    ready = [deployment.name for deployment in behind if deployment.is_serving and deployment.ready]
    if ready:
        verb = "is" if len(ready) == 1 else "are"
        return f"No deployment has traffic, so requests get 404; {' and '.join(ready)} {verb} ready for it."
    return "No deployment has traffic, so requests get 404, and none is ready for it yet."


def _problems(shares: dict[str, int], behind: Sequence[Behind]) -> list[str]:
    problems = []
    for deployment in behind:
        share = shares.get(deployment.name)
        if share and not deployment.ready:
            which = "all requests" if share == 100 else f"its {share} % of the requests"
            problems.append(f"{deployment.name} has no ready instance: {which} get 503.")
        elif deployment.is_serving and deployment.ready < deployment.wanted:
            problems.append(f"{deployment.name} runs {deployment.ready} of {_count(deployment.wanted, 'instance')}.")
        if deployment.state == "Failed":
            problems.append(f"The last change of {deployment.name} failed.")
    return problems


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
