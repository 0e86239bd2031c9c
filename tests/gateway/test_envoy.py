"""The configuration, compared with golden files. `UPDATE_GOLDEN=1 pytest tests/gateway/test_envoy.py` writes them anew."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.envoy import Certificate, render, render_static
from gateway.errors import GatewayError
from gateway.options import GatewayOptions
from gateway.protos import Message
from gateway.routes import DeploymentRoute, EndpointRoute, InstanceTarget, ReadinessProbe, RouteTable

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
OPTIONS = GatewayOptions(
    directory=Path("/home/studio/gateway"),
    http_port=8080,
    https_port=8443,
    studio_tls_port=8001,
    studio_upstream="unix:/home/studio/run/web.sock",
    certificate_file=Path("/home/studio/tls/chain.pem"),
    private_key_file=Path("/home/studio/tls/key.pem"),
    jwks='{"keys": []}',
    domain="models.example.com",
)
CERTIFICATE = Certificate("CHAIN", "KEY")


def _deployment(name: str, *instances: InstanceTarget) -> DeploymentRoute:
    return DeploymentRoute(
        name, instances, request_timeout_ms=2500, max_concurrent_requests=4, readiness=ReadinessProbe(period_seconds=5)
    )


TABLE = RouteTable(
    (
        EndpointRoute(
            "churn",
            region="westeurope",
            key_hashes={"primary": "a" * 64, "secondary": "b" * 64},
            deployments=(
                _deployment(
                    "blue",
                    InstanceTarget("blue-0", "unix:/home/studio/i/blue-0.sock"),
                    InstanceTarget("blue-1", "unix:/home/studio/i/blue-1.sock", draining=True),
                ),
                _deployment("green", InstanceTarget("green-0", "10.0.0.7:5001")),
                _deployment("shadow", InstanceTarget("shadow-0", "[fd00::7]:5001")),
            ),
            traffic={"blue": 90, "green": 10},
            mirror={"shadow": 25},
            max_request_bytes=2_000_000,
            rate_limit_per_second=500,
        ),
        EndpointRoute("forecast", auth_mode="aml_token", deployments=(_deployment("blue"),), traffic={"blue": 100}),
        EndpointRoute("fresh", key_hashes={"primary": "c" * 64}),
    )
)


def _compare(name: str, message: Message) -> None:
    text = json.dumps(message, indent=1, sort_keys=True) + "\n"
    file = GOLDEN / f"envoy_{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert json.loads(file.read_text()) == message, f"{file} differs; see the docstring of this module"


@pytest.mark.parametrize("part", ["bootstrap", "listeners", "routes", "clusters", "token_rules", "secrets"])
def test_the_rendering_is_the_golden_one(part: str) -> None:
    _compare(part, getattr(render(TABLE, OPTIONS, CERTIFICATE), part))


def test_the_same_table_gives_the_same_versions_and_another_one_others() -> None:
    first, second = render(TABLE, OPTIONS), render(TABLE, OPTIONS)
    assert first == second
    flipped = replace(TABLE.endpoints[0], traffic={"blue": 10, "green": 90})
    changed = render(RouteTable((flipped, *TABLE.endpoints[1:])), OPTIONS)
    assert changed.routes["version_info"] != first.routes["version_info"]
    assert changed.clusters == first.clusters
    assert changed.listeners == first.listeners


def test_no_endpoint_ever_changes_a_listener() -> None:
    assert render(TABLE, OPTIONS).listeners == render(RouteTable(), OPTIONS).listeners


def test_the_static_rendering_holds_everything_and_discovers_nothing() -> None:
    static = render_static(TABLE, OPTIONS, CERTIFICATE)
    text = json.dumps(static)
    assert "path_config_source" not in text
    assert len(static["static_resources"]["clusters"]) == len(render(TABLE, OPTIONS).clusters["resources"]) + 1
    assert "churn/blue/split" in text


def test_a_tls_port_without_a_certificate_is_refused() -> None:
    with pytest.raises(GatewayError, match="certificate"):
        replace(OPTIONS, certificate_file=None)


def test_a_home_too_long_for_a_socket_is_refused_with_a_way_out() -> None:
    with pytest.raises(GatewayError, match="longer than 107 bytes") as caught:
        replace(OPTIONS, directory=Path("/" + "x" * 120))
    assert "STUDIO_HOME" in caught.value.hint
