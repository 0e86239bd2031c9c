"""Asking a running Envoy, over its admin socket: what it has accepted, who is ready, what it counted."""

from __future__ import annotations

import http.client
import json
import re
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import sockets
from gateway.errors import GatewayUnreachable

TIMEOUT_SECONDS = 5.0
# Two counters that cannot be read in one moment: under load one difference can be too small, hardly several.
_READINGS = 5
_REQUESTS = re.compile(
    r"studio\.requests\.endpoint\.(?P<endpoint>.+)\.deployment\.(?P<deployment>.+)\.status\.(?P<status>\d+)"
)
_HEALTH_PATTERN = r"^cluster\..*__.*\.(membership_(healthy|total)|upstream_rq_(active|pending_active))$"


@dataclass(frozen=True)
class InstanceHealth:
    """One instance as the gateway sees it. `active` is requests being answered on its present cluster."""

    cluster: str
    name: str
    address: str
    ready: bool
    draining: bool
    active: int


@dataclass(frozen=True)
class DeploymentHealth:
    """One cluster. `active` counts requests being answered, also by former instances; `waiting` those in the queue."""

    healthy: int
    total: int
    active: int
    waiting: int


class Admin:
    """Every call opens and closes one connection, and raises GatewayUnreachable within 5 seconds."""

    def __init__(self, admin_socket: Path, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._socket = admin_socket
        self._timeout_seconds = timeout_seconds

    def is_ready(self) -> bool:
        """True when Envoy has started and serves; False also when it cannot be asked."""
        try:
            return self._request("GET", "/ready")[0] == 200
        except GatewayUnreachable:
            return False

    def stats(self, pattern: str, *, kind: str = "All") -> dict[str, str]:
        """Values by name where the name matches the regular expression.

        `kind` is All, Counters, Gauges or TextReadouts; fewer to look through is faster.
        """
        query = urllib.parse.urlencode({"filter": pattern, "type": kind})
        lines = self._get(f"/stats?{query}").decode().splitlines()
        return {name: value.strip().strip('"') for name, _, value in (line.partition(": ") for line in lines)}

    def instances(self) -> list[InstanceHealth]:
        """Every instance of every deployment; mirrors' clusters too."""
        found = []
        for cluster in json.loads(self._get("/clusters?format=json")).get("cluster_statuses", []):
            for host in cluster.get("host_statuses", []):
                found.append(_instance(cluster["name"], host))
        return found

    def deployment_health(self) -> dict[str, DeploymentHealth]:
        """By cluster name (see routes.cluster_name)."""
        found: dict[str, dict[str, int]] = {}
        for name, value in self.stats(_HEALTH_PATTERN, kind="Gauges").items():
            cluster, _, what = name.removeprefix("cluster.").rpartition(".")
            found.setdefault(cluster, {})[what] = int(value)
        return {
            cluster: DeploymentHealth(
                healthy=values.get("membership_healthy", 0),
                total=values.get("membership_total", 0),
                active=values.get("upstream_rq_active", 0),
                waiting=values.get("upstream_rq_pending_active", 0),
            )
            for cluster, values in found.items()
        }

    def former_requests(self, cluster: str) -> int:
        """Requests that began before the last change of this cluster and still go on.

        A changed cluster is a new one to Envoy: what its instances were answering ends on the old one, which only the
        cluster's own counters still include. 0: an instance that was drained by the last change has finished.
        """
        return max(self._former_requests(cluster) for _ in range(_READINGS))

    def _former_requests(self, cluster: str) -> int:
        on_present = sum(instance.active for instance in self.instances() if instance.cluster == cluster)
        health = self.deployment_health().get(cluster)
        return health.active - on_present if health else 0

    def request_counts(self) -> dict[tuple[str, str, int], int]:
        """Requests answered since Envoy started, by endpoint, deployment and status. No deployment took it: "-"."""
        found = {}
        for name, value in self.stats(r"^studio\.requests\.", kind="Counters").items():
            if match := _REQUESTS.fullmatch(name):
                found[match["endpoint"], match["deployment"], int(match["status"])] = int(value)
        return found

    def drain(self) -> None:
        """Listeners begin to close gracefully: what is being answered is finished, connections are asked to end."""
        self._post("/drain_listeners?graceful")

    def reopen_logs(self) -> None:
        """After the access log was renamed."""
        self._post("/reopen_logs")

    def get_json(self, path: str) -> Any:
        return json.loads(self._get(path))

    def _get(self, path: str) -> bytes:
        return self._checked("GET", path)

    def _post(self, path: str) -> bytes:
        return self._checked("POST", path)

    def _checked(self, method: str, path: str) -> bytes:
        status, body = self._request(method, path)
        if status != 200:
            raise GatewayUnreachable(
                f"Envoy answered {status} to {method} {path}: {body[:200].decode(errors='replace')}"
            )
        return body

    def _request(self, method: str, path: str) -> tuple[int, bytes]:
        try:
            return sockets.request(self._socket, method, path, timeout_seconds=self._timeout_seconds)
        except (OSError, http.client.HTTPException) as error:
            raise GatewayUnreachable(f"Envoy does not answer on {self._socket}: {error}") from error


def _instance(cluster: str, host: dict[str, Any]) -> InstanceHealth:
    health = host.get("health_status", {})
    where = host["address"]
    socket_address = where.get("socket_address")
    address = (
        f"{socket_address['address']}:{socket_address['port_value']}"
        if socket_address
        else f"unix:{where['pipe']['path']}"
    )
    failing = (
        "failed_active_health_check",
        "failed_outlier_check",
        "failed_active_degraded_check",
        "pending_active_hc",
    )
    draining = health.get("eds_health_status") == "DRAINING"
    counts = {stat["name"]: int(stat.get("value", 0)) for stat in host.get("stats", [])}
    return InstanceHealth(
        cluster=cluster,
        name=host.get("hostname", ""),
        address=address,
        ready=not draining and not any(health.get(flag) for flag in failing),
        draining=draining,
        active=counts.get("rq_active", 0),
    )
