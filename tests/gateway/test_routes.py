"""The rules of a route table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import RouteTableInvalid
from gateway.routes import DeploymentRoute, EndpointRoute, InstanceTarget, ReadinessProbe, RouteTable, cluster_name

HASHES = {"primary": "a" * 64, "secondary": "b" * 64}
BLUE = DeploymentRoute("blue", (InstanceTarget("blue-0", "unix:/run/blue-0.sock"),))
GREEN = DeploymentRoute("green", (InstanceTarget("green-0", "10.0.0.7:5001"), InstanceTarget("green-1", "[::1]:5001")))
GOOD = EndpointRoute("churn", key_hashes=HASHES, deployments=(BLUE, GREEN), traffic={"blue": 90, "green": 10})


def test_a_good_table_passes() -> None:
    other = replace(
        GOOD, name="fraud", auth_mode="aml_token", key_hashes={}, traffic={"blue": 100}, mirror={"green": 50}
    )
    RouteTable((GOOD, other)).validate()
    RouteTable().validate()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "-churn"}, "letters, digits and single dashes"),
        ({"name": "a--b"}, "letters, digits and single dashes"),
        ({"name": "a__b"}, "letters, digits and single dashes"),
        ({"name": "a.b"}, "letters, digits and single dashes"),
        ({"region": "West Europe"}, "cannot be part of a host name"),
        ({"key_hashes": {}}, "uses keys but has none"),
        ({"key_hashes": {"primary": "secret"}}, "primary key that is not a SHA-256"),
        ({"auth_mode": "anonymous"}, "unknown auth mode 'anonymous'"),
        ({"traffic": {"blue": 90}}, "90 %"),
        ({"traffic": {"blue": 60, "green": 60}}, "120 %"),
        ({"traffic": {"blue": 110, "green": -10}}, "between 0 and 100"),
        ({"traffic": {"purple": 100}}, "'purple', which is not one"),
        ({"mirror": {"green": 10}}, "'green', which has live traffic"),
        ({"traffic": {"blue": 100}, "mirror": {"green": 51}}, "at most 50"),
        ({"traffic": {}, "mirror": {"green": 5, "blue": 5}}, "one is possible"),
        ({"mirror": {"purple": 5}}, "'purple', which is not one"),
        ({"max_request_bytes": 0}, "at least 1"),
        ({"rate_limit_per_second": 0}, "at least 1"),
        ({"deployments": (BLUE, replace(BLUE, name="Blue"))}, "'Blue' twice"),
        ({"deployments": (replace(BLUE, name="b_"),)}, "churn/b_"),
        ({"deployments": (replace(BLUE, request_timeout_ms=0),)}, "request timeout of 0"),
        ({"deployments": (replace(BLUE, max_concurrent_requests=0),)}, "concurrency of 0"),
        ({"deployments": (replace(BLUE, readiness=ReadinessProbe(path="ready")),)}, "must begin with '/'"),
        ({"deployments": (replace(BLUE, readiness=ReadinessProbe(period_seconds=0)),)}, "probe period of 0"),
    ],
)
def test_a_broken_rule_is_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(RouteTableInvalid, match=r"churn|a--b|a__b|a\.b") as caught:
        RouteTable((replace(GOOD, **changes),)).validate()
    assert says in caught.value.message


@pytest.mark.parametrize(
    "address",
    ["", "unix:", "unix:run/x.sock", "unix:/" + "x" * 107, "localhost", "host:", "host:0", "host:70000", "http://a:1"],
)
def test_an_address_that_cannot_be_reached_is_refused(address: str) -> None:
    bad = replace(GOOD, deployments=(replace(BLUE, instances=(InstanceTarget("blue-0", address),)), GREEN))
    with pytest.raises(RouteTableInvalid, match="instance 'blue-0'"):
        RouteTable((bad,)).validate()


def test_two_instances_cannot_share_an_address() -> None:
    twins = tuple(InstanceTarget(f"blue-{number}", "unix:/run/blue.sock") for number in range(2))
    with pytest.raises(RouteTableInvalid, match=r"has the address .* twice"):
        RouteTable((replace(GOOD, deployments=(replace(BLUE, instances=twins), GREEN)),)).validate()


def test_endpoints_that_differ_only_in_case_are_refused() -> None:
    with pytest.raises(RouteTableInvalid, match="'Churn' twice"):
        RouteTable((GOOD, replace(GOOD, name="Churn"))).validate()


def test_draining_instances_do_not_serve() -> None:
    draining = InstanceTarget("blue-1", "unix:/run/blue-1.sock", draining=True)
    assert replace(BLUE, instances=(*BLUE.instances, draining)).serving == BLUE.instances


def test_cluster_names_can_be_told_apart() -> None:
    assert cluster_name("a-b", "c") == "a-b__c"
    assert cluster_name("a", "b-c") == "a__b-c"
    assert cluster_name("a", "b", mirror=True) == "a__b__mirror"
