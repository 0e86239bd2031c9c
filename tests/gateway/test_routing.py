"""Which deployment answers which request."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.world import World

pytestmark = pytest.mark.envoy


def test_ten_thousand_requests_split_as_wanted(gateway: World) -> None:
    blue, green = gateway.instance("blue-0"), gateway.instance("green-0")
    deployments = (gateway.deployment("blue", blue), gateway.deployment("green", green))
    gateway.publish(gateway.endpoint("churn", *deployments, traffic={"blue": 90, "green": 10}))

    load = gateway.load("churn")
    asyncio.run(load.send(10_000))

    answered = load.by_deployment()
    assert load.failed == 0
    assert answered["blue"] + answered["green"] == 10_000
    assert answered["green"] / 100 == pytest.approx(10, abs=1.0)
    assert green.counts()["requests"] == answered["green"]
