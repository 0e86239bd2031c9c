"""What of the rows becomes a route."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from endpoints.models import Endpoint
from gateway.queries import route_table, wanted_routes
from gateway.routes import InstanceTarget
from tests.gateway.rows import give_traffic, make_deployment, make_endpoint, make_instance

pytestmark = pytest.mark.django_db


def test_an_endpoint_with_its_deployments_instances_and_newest_traffic() -> None:
    endpoint = make_endpoint("churn", rate_limit_per_second=7)
    blue = make_deployment(endpoint, "blue", request_timeout_ms=1234, max_concurrent_requests_per_instance=3)
    make_deployment(endpoint, "green")
    make_instance(blue, "blue-0", "unix:/run/blue-0.sock")
    give_traffic(endpoint, {"green": 100})
    give_traffic(endpoint, {"blue": 100, "green": 0}, {"green": 20})

    (route,) = route_table().endpoints

    assert (route.name, route.auth_mode, route.rate_limit_per_second) == ("churn", "key", 7)
    assert set(route.key_hashes) == {"primary", "secondary"}
    assert (route.traffic, route.mirror) == ({"blue": 100}, {"green": 20})
    assert [deployment.name for deployment in route.deployments] == ["blue", "green"]
    assert route.deployments[0].instances == (InstanceTarget("blue-0", "unix:/run/blue-0.sock"),)
    assert route.deployments[0].request_timeout_ms == 1234
    assert route.deployments[0].max_concurrent_requests == 3
    assert route.deployments[0].readiness.period_seconds == 1
    assert wanted_routes().versions == {endpoint.pk: 3}


@pytest.mark.parametrize(
    ("fields", "routed"),
    [
        ({"state": "Ready"}, [False]),
        ({"state": "Unready"}, [False]),
        ({"state": "Starting", "is_admitted": False}, []),
        ({"state": "Ready", "is_admitted": False}, []),
        ({"state": "Draining", "routed": "traffic"}, [True]),
        ({"state": "Draining", "routed": "draining"}, [True]),
        ({"state": "Draining", "routed": ""}, []),
        ({"state": "Stopped"}, []),
        ({"state": "Failed"}, []),
        ({"state": "Ready", "address": ""}, []),
    ],
)
def test_which_instances_are_routed_and_which_of_them_drain(fields: dict[str, Any], routed: list[bool]) -> None:
    blue = make_deployment(make_endpoint("churn"), "blue")
    make_instance(blue, **{"name": "blue-0", "address": "unix:/run/blue-0.sock", **fields})
    (route,) = route_table().endpoints
    assert [instance.draining for instance in route.deployments[0].instances] == routed


def test_a_deleting_endpoint_is_not_routed_and_named_as_gone() -> None:
    endpoint = make_endpoint("churn", state="Deleting")
    make_endpoint("fraud")
    wanted = wanted_routes()
    assert [route.name for route in wanted.table.endpoints] == ["fraud"]
    assert wanted.gone == (endpoint.pk,)


def test_a_deleting_deployment_stays_only_as_long_as_it_has_something_to_answer() -> None:
    endpoint = make_endpoint("churn")
    blue = make_deployment(endpoint, "blue")
    instance = make_instance(blue, "blue-0", "unix:/run/blue-0.sock", state="Draining", routed="traffic")
    blue.state = "Deleting"
    blue.save()
    assert [deployment.name for deployment in route_table().endpoints[0].deployments] == ["blue"]
    instance.routed = ""
    instance.save()
    assert route_table().endpoints[0].deployments == ()


def test_a_token_endpoint_has_no_keys_in_the_table() -> None:
    make_endpoint("churn", auth_mode="aml_token")
    (route,) = route_table().endpoints
    assert (route.auth_mode, route.key_hashes) == ("aml_token", {})


def test_a_share_of_a_deployment_that_is_gone_is_left_out() -> None:
    endpoint = make_endpoint("churn")
    make_deployment(endpoint, "blue")
    give_traffic(endpoint, {"blue": 100, "purple": 0})
    assert route_table().endpoints[0].traffic == {"blue": 100}


def test_an_endpoint_that_breaks_a_rule_does_not_hold_up_the_others(caplog: pytest.LogCaptureFixture) -> None:
    endpoint = make_endpoint("churn")
    make_deployment(endpoint, "blue")
    give_traffic(endpoint, {"blue": 90})
    make_endpoint("fraud")
    with caplog.at_level(logging.ERROR):
        assert [route.name for route in route_table().endpoints] == ["fraud"]
    assert "'churn' gives away 90 %" in caplog.text


def test_as_many_queries_for_many_endpoints_as_for_one() -> None:
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            route_table()
        return len(captured)

    make_instance(make_deployment(make_endpoint("first"), "blue"), "first-0", "unix:/run/first-0.sock")
    with_one = count()
    for number in range(5):
        endpoint = make_endpoint(f"more{number}")
        for name in ("blue", "green"):
            make_instance(make_deployment(endpoint, name), f"{name}-{number}", f"unix:/run/{name}-{number}.sock")
    assert Endpoint.objects.count() == 6
    assert count() == with_one == 3
