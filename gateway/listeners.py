"""The ports: scoring over http and https, and the studio itself over https. No endpoint ever changes them."""

from __future__ import annotations

from gateway.access_logs import access_logs
from gateway.filters import http_filters
from gateway.local_replies import local_replies
from gateway.options import GatewayOptions
from gateway.protos import Message, file_source, header, typed
from gateway.virtual_hosts import ENDPOINT_HEADER, NOBODY, ROUTE_CONFIGURATION

TLS_SECRET = "studio-tls"
STUDIO_CLUSTER = "studio_web"
LONGEST_REQUEST_ID = 100
LONGEST_CLIENT_REQUEST_ID = 40

# Nobody is internal: x-envoy-* headers (timeouts, retries) of callers on this very machine are dropped too.
_NOBODY_INTERNAL = {"unix_sockets": False, "cidr_ranges": [{"address_prefix": "192.0.2.255", "prefix_len": 32}]}


def listeners(options: GatewayOptions, *, routes: Message | None = None, tls: Message | None = None) -> list[Message]:
    """With `routes` and `tls` everything is inline (for validation); without, both are discovered from files."""
    found = [_listener(options, "http", options.http_port, _scoring(options, routes), None)]
    secured = _secured(options, tls)
    if options.https_port:
        found.append(_listener(options, "https", options.https_port, _scoring(options, routes), secured))
    if options.studio_tls_port:
        found.append(_listener(options, "studio_https", options.studio_tls_port, _studio(), secured))
    return found


def _listener(options: GatewayOptions, name: str, port: int, manager: Message, tls: Message | None) -> Message:
    network_filter = {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": typed(
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", **manager
        ),
    }
    chain: Message = {"filters": [network_filter]}
    if tls is not None:
        chain["transport_socket"] = tls
    return {
        "name": name,
        "address": {"socket_address": {"address": options.bind, "port_value": port}},
        "filter_chains": [chain],
        "per_connection_buffer_limit_bytes": 1024 * 1024,
        "tcp_backlog_size": 4096,
    }


def _secured(options: GatewayOptions, tls: Message | None) -> Message:
    context: Message = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
    }
    if tls is not None:
        context["tls_certificates"] = [tls]
    else:
        source = file_source(options.xds_directory / "sds_tls.json")
        context["tls_certificate_sds_secret_configs"] = [{"name": TLS_SECRET, "sds_config": source}]
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", common_tls_context=context
        ),
    }


def _edge() -> Message:
    """What every port of the gateway does with a connection from outside."""
    return {
        "codec_type": "AUTO",
        "use_remote_address": True,
        "internal_address_config": _NOBODY_INTERNAL,
        "generate_request_id": True,
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "server_name": "studio",
        "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "localhost"},
        "http2_protocol_options": {
            "max_concurrent_streams": 128,
            "initial_stream_window_size": 1024 * 1024,
            "initial_connection_window_size": 4 * 1024 * 1024,
        },
        "stream_idle_timeout": "300s",
        "request_headers_timeout": "10s",
        "drain_timeout": "5s",
        "local_reply_config": local_replies(),
    }


def _scoring(options: GatewayOptions, routes: Message | None) -> Message:
    source: Message
    if routes is not None:
        source = {"route_config": routes}
    else:
        rds = file_source(options.xds_directory / "rds.json")
        source = {"rds": {"route_config_name": ROUTE_CONFIGURATION, "config_source": rds}}
    return {
        "stat_prefix": "scoring",
        **source,
        **_edge(),
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        # A_B and A-B become the same variable in many servers; the one that cannot be told apart is left out.
        "common_http_protocol_options": {
            "idle_timeout": "300s",
            "headers_with_underscores_action": "DROP_HEADER",
            "max_headers_count": 100,
        },
        "early_header_mutation_extensions": [_early_mutation(options.domain)],
        "http_filters": http_filters(options, static=routes is not None),
        "access_log": access_logs(options),
    }


def _early_mutation(domain: str) -> Message:
    """Before routing: no x-studio-* of the caller survives, ids are cut to their length, the endpoint is found."""
    shorten = "OVERWRITE_IF_EXISTS"
    mutations = [
        {"remove_on_match": {"key_matcher": {"prefix": "x-studio-", "ignore_case": True}}},
        {"append": header("x-request-id", f"%REQ(X-REQUEST-ID):{LONGEST_REQUEST_ID}%", action=shorten)},
        {
            "append": header(
                "x-ms-client-request-id", f"%REQ(X-MS-CLIENT-REQUEST-ID):{LONGEST_CLIENT_REQUEST_ID}%", action=shorten
            )
        },
        # What is neither address leaves this in place: without the header no route at all would match.
        {"append": header(ENDPOINT_HEADER, NOBODY)},
        {"append": header(ENDPOINT_HEADER, f"%CEL({endpoint_expression(domain)})%")},
    ]
    return {
        "name": "studio.endpoint",
        "typed_config": typed(
            "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation", mutations=mutations
        ),
    }


def endpoint_expression(domain: str) -> str:
    """CEL that gives `<name>` for /endpoints/<name>/… and `<name>.<region>` for <name>.<region>.inference.<domain>.

    Only `re.extract` with a raw replacement works here; `re.capture`, `split` and `substring` do not.
    """
    suffix = "[.]inference[.]" + domain.replace(".", "[.]")
    host = f"'^(?i)([^.:]+[.][^.:]+){suffix}[.]?(:[0-9]+)?$'"
    path = "'^/endpoints/([^/]+)/.*$'"
    return (
        "request.url_path.startsWith('/endpoints/')"
        f" ? re.extract(request.url_path, {path}, r'\\1')"
        f" : re.extract(request.host, {host}, r'\\1')"
    )


def _studio() -> Message:
    """Everything goes to the web process as it came: any size, any header name, uploads and event streams of any length."""
    route = {
        "match": {"prefix": "/"},
        "route": {
            "cluster": STUDIO_CLUSTER,
            "timeout": "0s",
            "idle_timeout": "900s",
            # Only a web process that is just being restarted: nothing has been sent yet.
            "retry_policy": {
                "retry_on": "connect-failure,refused-stream",
                "num_retries": 5,
                "retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"},
            },
        },
    }
    return {
        "stat_prefix": "studio",
        **_edge(),
        "stream_idle_timeout": "900s",
        "common_http_protocol_options": {"idle_timeout": "300s", "headers_with_underscores_action": "ALLOW"},
        "route_config": {"name": "studio", "virtual_hosts": [{"name": "studio", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": typed("envoy.extensions.filters.http.router.v3.Router"),
            }
        ],
    }
