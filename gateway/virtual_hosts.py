"""One virtual host per endpoint: who may call it, which deployment answers, what is mirrored."""

from __future__ import annotations

from gateway.filters import (
    FILTER_CHAIN,
    JWT,
    KEY_AUTH,
    RATE_LIMIT,
    RBAC,
    body_limit_chain,
)
from gateway.protos import HTTP_FILTER, Message, header, seconds, studio_metadata, typed
from gateway.routes import DeploymentRoute, EndpointRoute, RouteTable, cluster_name

ROUTE_CONFIGURATION = "scoring"
ENDPOINT_HEADER = "x-studio-endpoint"
DEPLOYMENT_HEADER = "azureml-model-deployment"
# What an instance answers with when it refused a request before any user code saw it: safe to try elsewhere.
NOT_RUN_HEADER = "x-studio-not-run"
# Underscores are in no endpoint's name.
NOBODY = "_nobody"

_RETRY_POLICY: Message = {
    "retry_on": "connect-failure,refused-stream,reset-before-request,retriable-headers",
    "num_retries": 3,
    "retriable_headers": [{"name": NOT_RUN_HEADER, "string_match": {"exact": "1"}}],
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": typed("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
        }
    ],
    # The one that refuses has nothing to do and so is the favourite of the least-loaded choice: ask until another comes up.
    "host_selection_retry_max_attempts": 30,
    "retry_back_off": {"base_interval": "0.010s", "max_interval": "0.1s"},
}


def route_configuration(table: RouteTable) -> Message:
    """Every route. The virtual host is found by the header that the listener computes from path or host name."""
    return {
        "name": ROUTE_CONFIGURATION,
        "vhost_header": ENDPOINT_HEADER,
        "max_direct_response_body_size_bytes": 4096,
        # The listener has removed every other x-studio-* header of the client already.
        "request_headers_to_remove": ["authorization", "proxy-authorization", "cookie", ENDPOINT_HEADER],
        "request_headers_to_add": [header("x-ms-request-id", "%REQ(X-REQUEST-ID)%")],
        "virtual_hosts": [*(virtual_host(endpoint) for endpoint in table.endpoints), _nobody()],
    }


def virtual_host(endpoint: EndpointRoute) -> Message:
    """Found as `<name>` (path address) and `<name>.<region>` (host address)."""
    return {
        "name": endpoint.name,
        "domains": [endpoint.name, f"{endpoint.name}.{endpoint.region}"],
        "routes": [*(_pinned(endpoint, d) for d in endpoint.deployments), _unknown_pin(endpoint), *_split(endpoint)],
        "typed_per_filter_config": _rules(endpoint),
        "retry_policy": _RETRY_POLICY,
    }


def _nobody() -> Message:
    return {
        "name": NOBODY,
        "domains": ["*"],
        "routes": [
            {
                "name": NOBODY,
                "match": {"prefix": "/"},
                "metadata": studio_metadata(endpoint="-"),
                "direct_response": _not_found("There is no endpoint at this address."),
                "typed_per_filter_config": {KEY_AUTH: _disabled()},
            }
        ],
    }


def _pinned(endpoint: EndpointRoute, deployment: DeploymentRoute) -> Message:
    """The caller names the deployment: its share does not matter, and nothing is mirrored."""
    match = {"prefix": "/", "headers": [{"name": DEPLOYMENT_HEADER, "string_match": {"exact": deployment.name}}]}
    return _route(endpoint, deployment, "pinned", match)


def _unknown_pin(endpoint: EndpointRoute) -> Message:
    return {
        "name": f"{endpoint.name}/unknown",
        "match": {"prefix": "/", "headers": [{"name": DEPLOYMENT_HEADER, "present_match": True}]},
        "metadata": studio_metadata(endpoint=endpoint.name),
        "direct_response": _not_found(
            f"Endpoint '{endpoint.name}' has no deployment of the name given in {DEPLOYMENT_HEADER}."
        ),
    }


def _split(endpoint: EndpointRoute) -> list[Message]:
    """One route per share. They compare the same random number, so their fractions are cumulative and the last takes the rest.

    Not weighted clusters: those know one timeout for all, and each deployment has its own.
    """
    shares = endpoint.shares
    if not shares:
        return [
            {
                "name": f"{endpoint.name}/no-traffic",
                "match": {"prefix": "/"},
                "metadata": studio_metadata(endpoint=endpoint.name),
                "direct_response": _not_found(f"Endpoint '{endpoint.name}' has no deployment with traffic."),
            }
        ]
    routes = []
    up_to_percent = 0
    for deployment, percent in shares:
        up_to_percent += percent
        match: Message = {"prefix": "/"}
        if up_to_percent < 100:
            match["runtime_fraction"] = {"default_value": {"numerator": up_to_percent, "denominator": "HUNDRED"}}
        route = _route(endpoint, deployment, "split", match)
        if mirrors := _mirrors(endpoint):
            route["route"]["request_mirror_policies"] = mirrors
        routes.append(route)
    return routes


def _route(endpoint: EndpointRoute, deployment: DeploymentRoute, kind: str, match: Message) -> Message:
    return {
        "name": f"{endpoint.name}/{deployment.name}/{kind}",
        "match": match,
        "metadata": studio_metadata(endpoint=endpoint.name, deployment=deployment.name),
        "route": {
            "cluster": cluster_name(endpoint.name, deployment.name),
            "regex_rewrite": {"pattern": {"regex": "^(/endpoints/[^/]+)?(/.*)$"}, "substitution": r"\2"},
            "timeout": seconds(deployment.request_timeout_ms / 1000),
        },
        "response_headers_to_add": [header(DEPLOYMENT_HEADER, deployment.name)],
    }


def _mirrors(endpoint: EndpointRoute) -> list[Message]:
    """In millionths: the split looks at the same random number modulo 100, and the two must not depend on each other."""
    return [
        {
            "cluster": cluster_name(endpoint.name, name, mirror=True),
            "runtime_fraction": {"default_value": {"numerator": percent * 10_000, "denominator": "MILLION"}},
            "disable_shadow_host_suffix_append": True,
        }
        for name, percent in endpoint.mirror.items()
        if percent
    ]


def _rules(endpoint: EndpointRoute) -> Message:
    rules: Message = {FILTER_CHAIN: typed(f"{HTTP_FILTER}filter_chain.v3.FilterChainConfigPerRoute")}
    rules[FILTER_CHAIN]["filter_chain"] = body_limit_chain(endpoint.max_request_bytes)
    if endpoint.auth_mode == "key":
        slots = {digest: slot for slot, digest in sorted(endpoint.key_hashes.items(), reverse=True)}
        rules[KEY_AUTH] = typed(f"{HTTP_FILTER}lua.v3.LuaPerRoute", filter_context={"keys": slots})
    else:
        rules[KEY_AUTH] = _disabled()
        rules[JWT] = typed(f"{HTTP_FILTER}jwt_authn.v3.PerRouteConfig", requirement_name="aml_token")
        rules[RBAC] = _only_tokens_of(endpoint)
    if endpoint.rate_limit_per_second is not None:
        rules[RATE_LIMIT] = _rate_limit(endpoint.rate_limit_per_second)
    return rules


def _disabled() -> Message:
    return typed("envoy.config.route.v3.FilterConfig", disabled=True, config={})


def _only_tokens_of(endpoint: EndpointRoute) -> Message:
    matcher = {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "jwt"}, {"key": "endpoint"}],
        "value": {"string_match": {"exact": endpoint.name}},
    }
    policy = {
        "permissions": [{"any": True}],
        "principals": [{"sourced_metadata": {"metadata_matcher": matcher}}],
    }
    rbac = {"rules": {"action": "ALLOW", "policies": {"endpoint": policy}}}
    return typed(f"{HTTP_FILTER}rbac.v3.RBACPerRoute", rbac=rbac)


def _rate_limit(per_second: int) -> Message:
    always = {"default_value": {"numerator": 100}}
    return typed(
        f"{HTTP_FILTER}local_ratelimit.v3.LocalRateLimit",
        stat_prefix="endpoint",
        token_bucket={"max_tokens": per_second, "tokens_per_fill": per_second, "fill_interval": "1s"},
        filter_enabled=always,
        filter_enforced=always,
        enable_retry_after_header=True,
    )


def _not_found(message: str) -> Message:
    return {"status": 404, "body": {"inline_string": message}}
