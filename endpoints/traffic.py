"""The rules of a traffic allocation, as pure functions.

Azure's rules: the percentages sum to 0 or 100; one update replaces the whole map and a name left out gets 0; at most one
deployment is mirrored to, with 1 to 50 percent, and it must not have live traffic at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from studio.lib.errors import BadRequest

MIRROR_PERCENT_MAXIMUM = 50


class TrafficInvalid(BadRequest):
    """This traffic allocation breaks a rule."""

    code = "BadArgument"


def check_percents(percents: Mapping[str, int], *, deployments: Mapping[str, str]) -> dict[str, int]:
    """The allocation with every deployment named, in the order of `deployments` (name to why it may not serve, or "").

    Raises TrafficInvalid for an unknown name, a share that is not a whole number from 0 to 100, a sum other than 0 or 100,
    or a share above 0 for a deployment that may not serve.
    """
    for name, percent in percents.items():
        if name not in deployments:
            known = ", ".join(deployments) or "none"
            raise TrafficInvalid(f"There is no deployment '{name}' here (there is: {known}).", field=name)
        if isinstance(percent, bool) or not isinstance(percent, int) or not 0 <= percent <= 100:
            raise TrafficInvalid(f"'{name}' has {percent!r} percent; use a whole number from 0 to 100.", field=name)
        if percent and deployments[name]:
            raise TrafficInvalid(deployments[name], field=name)
    total = sum(percents.values())
    if total not in (0, 100):
        raise TrafficInvalid(f"The shares sum to {total}; they must sum to 100 (or to 0, to stop all traffic).")
    return {name: percents.get(name, 0) for name in deployments}


def check_mirror(
    mirror: Mapping[str, int], *, percents: Mapping[str, int], deployments: Mapping[str, str]
) -> dict[str, int]:
    """The mirror map without zeros. Raises TrafficInvalid when it breaks one of the rules above."""
    wanted = {name: percent for name, percent in mirror.items() if percent != 0}
    if len(wanted) > 1:
        raise TrafficInvalid(f"Only one deployment can be mirrored to, not {len(wanted)}: {', '.join(wanted)}.")
    for name, percent in wanted.items():
        if name not in deployments:
            raise TrafficInvalid(f"There is no deployment '{name}' to mirror to.", field=name)
        if isinstance(percent, bool) or not isinstance(percent, int) or not 1 <= percent <= MIRROR_PERCENT_MAXIMUM:
            raise TrafficInvalid(
                f"'{name}' is to be mirrored {percent!r} percent; use 1 to {MIRROR_PERCENT_MAXIMUM}.", field=name
            )
        if percents.get(name, 0):
            raise TrafficInvalid(f"'{name}' has live traffic; a deployment is either mirrored to or live.", field=name)
        if deployments[name]:
            raise TrafficInvalid(deployments[name], field=name)
    return wanted


def without(percents: Mapping[str, int], names: Iterable[str]) -> dict[str, int]:
    """The allocation without these deployments, which must have no share: the rest keeps its shares."""
    gone = set(names)
    return {name: percent for name, percent in percents.items() if name not in gone}


def sentence(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """The change in words, such as "blue 90 % to 0 %, green 10 % to 100 %"; "no change" when there is none."""
    names = list(dict.fromkeys([*before, *after]))
    changes = [
        f"{name} {before.get(name, 0)} % to {after.get(name, 0)} %"
        for name in names
        if before.get(name, 0) != after.get(name, 0)
    ]
    return ", ".join(changes) or "no change"
