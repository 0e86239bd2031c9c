"""One look at everything that counts: Envoy, and every instance that runs. Reads, and writes nothing down."""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from django.utils import timezone

from deployments.compute.contract import DriverError, Usage
from deployments.drivers import get_driver
from deployments.models import Instance
from gateway import sockets
from gateway.configured import gateway_options
from gateway.errors import GatewayUnreachable
from monitoring import parse

READINGS_AT_ONCE = 8
INSTANCE_TIMEOUT_SECONDS = 2.0
_STATS = f"/stats?format=json&histogram_buckets=detailed&filter={quote(parse.ENVOY_FILTER)}"
_PEER = struct.Struct("3i")


@dataclass(frozen=True)
class GatewayReading:
    """Envoy's counters at one moment. `identity` is never that of another process; `started_at` is when it began to count."""

    at: datetime
    identity: str
    started_at: datetime
    counters: parse.Counters


@dataclass(frozen=True)
class InstanceReading:
    """One instance at one moment. `usage` is None when nothing of it runs, `soft_errors` when it did not answer."""

    at: datetime
    name: str
    endpoint_name: str
    deployment_name: str
    state: str
    started_at: datetime | None
    usage: Usage | None
    soft_errors: int | None


def read_gateway() -> GatewayReading:
    """Raises GatewayUnreachable, also when Envoy was restarted just while it was asked."""
    path = gateway_options().admin_socket
    try:
        before = _process_behind(path)
        status, body = sockets.request(path, "GET", _STATS)
        identity, age_seconds = _process_behind(path)
    except (OSError, http.client.HTTPException) as error:
        raise GatewayUnreachable(f"Envoy does not answer on {path}: {error}") from error
    if status != 200 or before[0] != identity:
        raise GatewayUnreachable(f"Envoy answered {status}, or was restarted meanwhile.")
    at = timezone.now()
    return GatewayReading(at, identity, at - timedelta(seconds=age_seconds), parse.envoy_counters(json.loads(body)))


def _process_behind(path: Path) -> tuple[str, float]:
    """Which process listens on a unix socket, and for how many seconds it has run; clocks that are set change neither."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(INSTANCE_TIMEOUT_SECONDS)
        asking.connect(str(path))
        pid, _, _ = _PEER.unpack(asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    # What follows the name, which may hold anything, begins with the state, field 3; field 22 is the start in ticks.
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    up_seconds = float(Path("/proc/uptime").read_text().split()[0])
    return f"{pid}:{ticks}", up_seconds - ticks / os.sysconf("SC_CLK_TCK")


def read_instances() -> list[InstanceReading]:
    """Every instance that has not ended. One that cannot be asked is in the list without figures."""
    rows = list(Instance.objects.exclude(state__in=Instance.ENDED_STATES))
    if not rows:
        return []
    with ThreadPoolExecutor(min(READINGS_AT_ONCE, len(rows))) as pool:
        return list(pool.map(_read_instance, rows))


def _read_instance(row: Instance) -> InstanceReading:
    try:
        usage = get_driver(row.driver).usage(row.name)
    except DriverError:
        usage = None
    return InstanceReading(
        at=timezone.now(),
        name=row.name,
        endpoint_name=row.endpoint_name,
        deployment_name=row.deployment_name,
        state=row.state,
        started_at=row.started_at,
        usage=usage,
        soft_errors=_soft_errors(row.address) if usage else None,
    )


def _soft_errors(address: str) -> int | None:
    try:
        status, body = _metrics(address)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    found = parse.plain_metrics(body.decode(errors="replace")) if status == 200 else {}
    count = found.get("inference_soft_errors_total")
    return None if count is None else int(count)


def _metrics(address: str) -> tuple[int, bytes]:
    if address.startswith("unix:"):
        path = Path(address.removeprefix("unix:"))
        return sockets.request(path, "GET", "/metrics", timeout_seconds=INSTANCE_TIMEOUT_SECONDS)
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=INSTANCE_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
