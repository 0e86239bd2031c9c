"""One cluster per deployment: its instances, whether they are ready, and how many requests they may hold."""

from __future__ import annotations

from typing import Any

from gateway.protos import Message, address, seconds, studio_metadata, typed
from gateway.routes import DeploymentRoute, EndpointRoute, InstanceTarget, RouteTable, cluster_name

# A dead instance is found again this soon, whatever its probe period.
UNREADY_PROBE_SECONDS = 1.0
# Connections are closed by the gateway before an instance's own keep-alive ends, so no request meets a closing one.
IDLE_CONNECTION_SECONDS = 4.0


def clusters(table: RouteTable) -> list[Message]:
    """The clusters of every deployment, and a second one for the target of a mirror."""
    found = []
    for endpoint in table.endpoints:
        for deployment in endpoint.deployments:
            found.append(cluster(endpoint, deployment))
            if endpoint.mirror.get(deployment.name):
                found.append(cluster(endpoint, deployment, mirror=True))
    return found


def cluster(endpoint: EndpointRoute, deployment: DeploymentRoute, *, mirror: bool = False) -> Message:
    """A mirror has a cluster of its own, so that copies never use up what live requests may use."""
    name = cluster_name(endpoint.name, deployment.name, mirror=mirror)
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_balancing_policy": _least_busy(),
        # No panic routing: an instance that is not ready gets nothing. No merging: readiness counts at once.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        "ignore_health_on_host_removal": True,
        "circuit_breakers": _limits(deployment),
        "metadata": studio_metadata(
            endpoint=endpoint.name, deployment=deployment.name, kind="mirror" if mirror else "live"
        ),
        "typed_extension_protocol_options": http_1(),
        "load_assignment": {"cluster_name": name, "endpoints": _endpoints(deployment.instances)},
        "health_checks": [_health_check(deployment)],
        "outlier_detection": _outlier_detection(),
    }


def _least_busy() -> Message:
    """Looking at every instance costs little at 50, and never queues behind a busy one while another is idle."""
    policy = typed(
        "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest", selection_method="FULL_SCAN"
    )
    name = "envoy.load_balancing_policies.least_request"
    return {"policies": [{"typed_extension_config": {"name": name, "typed_config": policy}}]}


def http_1(**options: Any) -> Message:
    """Plain HTTP/1.1 to the upstream."""
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        name: typed(
            name,
            common_http_protocol_options={"idle_timeout": seconds(IDLE_CONNECTION_SECONDS), **options},
            explicit_http_config={"http_protocol_options": {}},
        )
    }


def _limits(deployment: DeploymentRoute) -> Message:
    """As many requests running as instances may run, as many again waiting, the next one is refused.

    A connection carries one request at a time, so connections per instance are requests per instance.
    """
    running = deployment.max_concurrent_requests * max(1, len(deployment.serving))
    return {
        "thresholds": [
            {
                "priority": "DEFAULT",
                "max_connections": 1_000_000,
                "max_requests": 2 * running,
                "max_pending_requests": running,
                # The default of 3 turns the loss of one instance under load into thousands of refusals.
                "max_retries": 1024,
            }
        ],
        "per_host_thresholds": [{"priority": "DEFAULT", "max_connections": deployment.max_concurrent_requests}],
    }


def _endpoints(instances: tuple[InstanceTarget, ...]) -> list[Message]:
    return [{"lb_endpoints": [_endpoint(instance) for instance in instances]}] if instances else []


def _endpoint(instance: InstanceTarget) -> Message:
    entry: Message = {
        "endpoint": {"address": address(instance), "hostname": instance.name},
        "metadata": studio_metadata(instance=instance.name),
    }
    if instance.draining:
        entry["health_status"] = "DRAINING"
    return entry


def _health_check(deployment: DeploymentRoute) -> Message:
    probe = deployment.readiness
    unready_seconds = min(probe.period_seconds, UNREADY_PROBE_SECONDS)
    return {
        "timeout": seconds(probe.timeout_seconds),
        "interval": seconds(probe.period_seconds),
        "unhealthy_interval": seconds(unready_seconds),
        # Without these two, instances that get no requests are probed once a minute.
        "no_traffic_interval": seconds(unready_seconds),
        "no_traffic_healthy_interval": seconds(probe.period_seconds),
        "interval_jitter_percent": 10,
        "unhealthy_threshold": probe.failure_threshold,
        "healthy_threshold": probe.success_threshold,
        "http_health_check": {
            "path": probe.path,
            "host": "health",
            "expected_statuses": [{"start": 200, "end": 400}],
            # Without this one bad status is unready at once, whatever the threshold.
            "retriable_statuses": [{"start": 400, "end": 600}],
        },
    }


def _outlier_detection() -> Message:
    """Only what the gateway itself meets (refused, reset) takes an instance out for a moment; a model's errors never do."""
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 1,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_local_origin_success_rate": 0,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "base_ejection_time": "2s",
        "max_ejection_time": "5s",
        "interval": "0.5s",
        "max_ejection_percent": 50,
        "always_eject_one_host": False,
    }
