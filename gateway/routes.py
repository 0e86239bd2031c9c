"""The route table: which address leads to which instances, under which rules. Plain values, no ORM, no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.errors import RouteTableInvalid

NAME = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9])+")
REGION = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")
SHA256_HEX = re.compile(r"[0-9a-f]{64}")
SOCKET_ADDRESS = re.compile(r"(?P<host>[^/\s]+):(?P<port>\d{1,5})")
# sun_path holds 108 bytes and ends in a zero byte
MAX_SOCKET_PATH_BYTES = 107
MAX_MIRROR_PERCENT = 50

AuthMode = Literal["key", "aml_token"]


@dataclass(frozen=True)
class InstanceTarget:
    """One instance. `address` is `unix:/absolute/path` or `host:port` (an IP address: nothing is resolved).

    A draining one gets no new request; what it is answering goes on.
    """

    name: str
    address: str
    draining: bool = False

    @property
    def socket_path(self) -> str | None:
        """The path of a unix address, None for host:port."""
        return self.address.removeprefix("unix:") if self.address.startswith("unix:") else None

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Of a host:port address; the host without the brackets of IPv6."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


@dataclass(frozen=True)
class ReadinessProbe:
    """How the gateway asks an instance whether it may get requests. Azure's defaults."""

    path: str = "/ready"
    period_seconds: float = 10
    timeout_seconds: float = 2
    success_threshold: int = 1
    failure_threshold: int = 30


@dataclass(frozen=True)
class DeploymentRoute:
    """One deployment. `max_concurrent_requests` is per instance; as many again may wait."""

    name: str
    instances: tuple[InstanceTarget, ...] = ()
    request_timeout_ms: int = 5000
    max_concurrent_requests: int = 1
    readiness: ReadinessProbe = ReadinessProbe()

    @property
    def serving(self) -> tuple[InstanceTarget, ...]:
        """The instances that may get new requests."""
        return tuple(instance for instance in self.instances if not instance.draining)


@dataclass(frozen=True)
class EndpointRoute:
    """One endpoint. `key_hashes` maps a slot (primary, secondary) to the SHA-256 of its key in lower-case hex.

    `traffic` sums to 0 or 100; `mirror` names at most one deployment, 1-50, that has no live traffic.
    `rate_limit_per_second` None: no limit.
    """

    name: str
    region: str = "local"
    auth_mode: AuthMode = "key"
    key_hashes: Mapping[str, str] = field(default_factory=dict)
    deployments: tuple[DeploymentRoute, ...] = ()
    traffic: Mapping[str, int] = field(default_factory=dict)
    mirror: Mapping[str, int] = field(default_factory=dict)
    max_request_bytes: int = 10 * 1024 * 1024
    rate_limit_per_second: int | None = None

    def deployment(self, name: str) -> DeploymentRoute:
        """Raises KeyError for a name the endpoint does not have."""
        for deployment in self.deployments:
            if deployment.name == name:
                return deployment
        raise KeyError(name)

    @property
    def shares(self) -> list[tuple[DeploymentRoute, int]]:
        """Deployments with live traffic and their percent, in the order of `deployments`."""
        return [(d, self.traffic[d.name]) for d in self.deployments if self.traffic.get(d.name, 0) > 0]


@dataclass(frozen=True)
class RouteTable:
    """Everything the gateway routes."""

    endpoints: tuple[EndpointRoute, ...] = ()

    def validate(self) -> None:
        """Raises RouteTableInvalid, which names the endpoint, the deployment and the rule."""
        _refuse_same_names("endpoint", (endpoint.name for endpoint in self.endpoints), "The route table")
        for endpoint in self.endpoints:
            _check_endpoint(endpoint)


def cluster_name(endpoint: str, deployment: str, *, mirror: bool = False) -> str:
    """The name of a deployment's cluster in Envoy. Names cannot contain two underscores, so it can be taken apart."""
    return f"{endpoint}__{deployment}" + ("__mirror" if mirror else "")


def _check_endpoint(endpoint: EndpointRoute) -> None:
    who = f"Endpoint '{endpoint.name}'"
    if not NAME.fullmatch(endpoint.name):
        raise RouteTableInvalid(f"{who} has a name the gateway cannot route; letters, digits and single dashes only.")
    if not REGION.fullmatch(endpoint.region):
        raise RouteTableInvalid(f"{who} has the region '{endpoint.region}', which cannot be part of a host name.")
    if endpoint.max_request_bytes < 1:
        raise RouteTableInvalid(f"{who} has a request size limit of {endpoint.max_request_bytes} bytes; at least 1.")
    if endpoint.rate_limit_per_second is not None and endpoint.rate_limit_per_second < 1:
        raise RouteTableInvalid(f"{who} has a rate limit of {endpoint.rate_limit_per_second} per second; at least 1.")
    _check_credentials(endpoint, who)
    _refuse_same_names("deployment", (deployment.name for deployment in endpoint.deployments), who)
    for deployment in endpoint.deployments:
        _check_deployment(deployment, f"Deployment '{endpoint.name}/{deployment.name}'")
    _check_traffic(endpoint, who)


def _check_credentials(endpoint: EndpointRoute, who: str) -> None:
    if endpoint.auth_mode not in ("key", "aml_token"):
        raise RouteTableInvalid(f"{who} has the unknown auth mode '{endpoint.auth_mode}'.")
    if endpoint.auth_mode == "key" and not endpoint.key_hashes:
        raise RouteTableInvalid(f"{who} uses keys but has none.")
    for slot, digest in endpoint.key_hashes.items():
        if not SHA256_HEX.fullmatch(digest):
            raise RouteTableInvalid(f"{who} has a {slot} key that is not a SHA-256 in lower-case hex.")


def _check_deployment(deployment: DeploymentRoute, who: str) -> None:
    if not NAME.fullmatch(deployment.name):
        raise RouteTableInvalid(f"{who} has a name the gateway cannot route; letters, digits and single dashes only.")
    probe = deployment.readiness
    for what, value in (
        ("request timeout", deployment.request_timeout_ms),
        ("concurrency", deployment.max_concurrent_requests),
        ("probe period", probe.period_seconds),
        ("probe timeout", probe.timeout_seconds),
        ("success threshold", probe.success_threshold),
        ("failure threshold", probe.failure_threshold),
    ):
        if value <= 0:
            raise RouteTableInvalid(f"{who} has a {what} of {value}; it must be above 0.")
    if not probe.path.startswith("/"):
        raise RouteTableInvalid(f"{who} has the readiness path '{probe.path}'; it must begin with '/'.")
    _refuse_same_names("instance", (instance.name for instance in deployment.instances), who)
    _refuse_same_names("address", (instance.address for instance in deployment.instances), who)
    for instance in deployment.instances:
        _check_address(instance, who)


def _check_address(instance: InstanceTarget, who: str) -> None:
    path = instance.socket_path
    if path is not None:
        if not path.startswith("/"):
            raise RouteTableInvalid(f"{who}: instance '{instance.name}' has a relative socket path '{path}'.")
        if len(path.encode()) > MAX_SOCKET_PATH_BYTES:
            raise RouteTableInvalid(
                f"{who}: the socket path of instance '{instance.name}' has {len(path.encode())} bytes, "
                f"more than the {MAX_SOCKET_PATH_BYTES} the system allows; use a shorter STUDIO_HOME."
            )
        return
    match = SOCKET_ADDRESS.fullmatch(instance.address)
    if not match or not 1 <= int(match["port"]) <= 65535:
        raise RouteTableInvalid(
            f"{who}: instance '{instance.name}' has the address '{instance.address}'; it is neither unix:/path nor host:port."
        )


def _check_traffic(endpoint: EndpointRoute, who: str) -> None:
    known = {deployment.name for deployment in endpoint.deployments}
    for name, percent in [*endpoint.traffic.items(), *endpoint.mirror.items()]:
        if name not in known:
            raise RouteTableInvalid(f"{who} gives traffic to '{name}', which is not one of its deployments.")
        if not 0 <= percent <= 100:
            raise RouteTableInvalid(f"{who} gives '{name}' {percent} %; a share lies between 0 and 100.")
    total = sum(endpoint.traffic.values())
    if total not in (0, 100):
        raise RouteTableInvalid(f"{who} gives away {total} % of its traffic; the shares must sum to 0 or 100.")
    if len(endpoint.mirror) > 1:
        raise RouteTableInvalid(f"{who} mirrors to {len(endpoint.mirror)} deployments; one is possible.")
    for name, percent in endpoint.mirror.items():
        if percent > MAX_MIRROR_PERCENT:
            raise RouteTableInvalid(f"{who} mirrors {percent} % to '{name}'; at most {MAX_MIRROR_PERCENT}.")
        if endpoint.traffic.get(name, 0):
            raise RouteTableInvalid(f"{who} mirrors to '{name}', which has live traffic.")


def _refuse_same_names(kind: str, names: Iterable[str], who: str) -> None:
    seen: set[str] = set()
    for name in names:
        # Envoy compares host names, and so endpoint names, without regard to case.
        if name.casefold() in seen:
            raise RouteTableInvalid(f"{who} has the {kind} '{name}' twice.")
        seen.add(name.casefold())
