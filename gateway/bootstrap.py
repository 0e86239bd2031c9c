"""What Envoy reads once, at start: where its files are, its admin socket, its counters, its own limits."""

from __future__ import annotations

from gateway.clusters import http_1
from gateway.listeners import STUDIO_CLUSTER
from gateway.options import GatewayOptions
from gateway.protos import Message, address, file_source, typed
from gateway.routes import InstanceTarget

_LATENCY_BUCKETS_US = [
    *(500, 1_000, 2_000, 3_000, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 50_000, 75_000, 100_000, 150_000),
    *(200_000, 300_000, 500_000, 750_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000),
    180_000_000,
]
# Only what is read: at a thousand endpoints the rest costs a quarter of the memory and most of every scrape.
_COUNTED_PREFIXES = (
    *("studio", "server.", "listener_manager.", "cluster_manager.", "overload.", "http.scoring.", "http.studio."),
    *("sds.", "listener.", "extension_config_discovery."),
)
_COUNTED_OF_CLUSTERS = (
    r"cluster\..*\.(membership_(healthy|total|degraded|excluded)|upstream_cx_(active|connect_fail|total)"
    r"|upstream_rq_(active|pending_active|pending_overflow|timeout|total|retry|[0-9]xx|[0-9]+)|upstream_rq_time)"
)


def bootstrap(options: GatewayOptions) -> Message:
    """Nothing in it depends on an endpoint, so it never has to change while Envoy runs."""
    return {
        "node": {"id": "gateway", "cluster": "endpoint-studio"},
        "admin": {"address": {"pipe": {"path": str(options.admin_socket), "mode": 0o600}}},
        "dynamic_resources": {
            "lds_config": file_source(options.xds_directory / "lds.json"),
            "cds_config": file_source(options.xds_directory / "cds.json"),
        },
        **common(options),
    }


def static_bootstrap(options: GatewayOptions, *, clusters: list[Message], listeners: list[Message]) -> Message:
    """The same gateway in one file, for `envoy --mode validate`, which does not look into discovered files."""
    rendered = common(options)
    resources = rendered.setdefault("static_resources", {})
    resources["clusters"] = [*resources.get("clusters", []), *clusters]
    resources["listeners"] = listeners
    return {"node": {"id": "validate", "cluster": "endpoint-studio"}, **rendered}


def common(options: GatewayOptions) -> Message:
    found: Message = {
        "stats_config": _stats(),
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "overload_manager": _overload_manager(options),
        "layered_runtime": {"layers": [{"name": "admin", "admin_layer": {}}]},
    }
    if options.studio_tls_port:
        found["static_resources"] = {"clusters": [_studio_cluster(options)]}
    return found


def _stats() -> Message:
    patterns = [{"prefix": prefix} for prefix in _COUNTED_PREFIXES]
    return {
        "use_all_default_tags": True,
        "stats_matcher": {"inclusion_list": {"patterns": [*patterns, {"safe_regex": {"regex": _COUNTED_OF_CLUSTERS}}]}},
        "histogram_bucket_settings": [{"match": {"prefix": "studio.latency"}, "buckets": _LATENCY_BUCKETS_US}],
    }


def _overload_manager(options: GatewayOptions) -> Message:
    heap = "envoy.resource_monitors.fixed_heap"
    connections = "envoy.resource_monitors.global_downstream_max_connections"
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": connections,
                "typed_config": typed(
                    "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=options.max_connections,
                ),
            },
            {
                "name": heap,
                "typed_config": typed(
                    "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
                    max_heap_size_bytes=options.max_heap_bytes,
                ),
            },
        ],
        "actions": [
            _action("envoy.overload_actions.shrink_heap", heap, 0.9),
            _action("envoy.overload_actions.stop_accepting_requests", heap, 0.97),
        ],
    }


def _action(name: str, monitor: str, ratio: float) -> Message:
    return {"name": name, "triggers": [{"name": monitor, "threshold": {"value": ratio}}]}


def _studio_cluster(options: GatewayOptions) -> Message:
    upstream = {"endpoint": {"address": address(InstanceTarget("studio-web", options.studio_upstream))}}
    return {
        "name": STUDIO_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "2s",
        "typed_extension_protocol_options": http_1(),
        "load_assignment": {"cluster_name": STUDIO_CLUSTER, "endpoints": [{"lb_endpoints": [upstream]}]},
    }
