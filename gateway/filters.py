"""The chain every scoring request passes: ids, credentials, limits, the model's errors, the router."""

from __future__ import annotations

from pathlib import Path

from gateway.options import GatewayOptions
from gateway.protos import HTTP_FILTER, Message, file_source, header, typed

KEY_AUTH = "studio.key_auth"
MODEL_ERROR = "studio.model_error"
JWT = "envoy.filters.http.jwt_authn"
RBAC = "envoy.filters.http.rbac"
RATE_LIMIT = "envoy.filters.http.local_ratelimit"
FILTER_CHAIN = "envoy.filters.http.filter_chain"
TOKEN_CLOCK_SKEW_SECONDS = 5

_LUA = Path(__file__).with_name("lua")


def http_filters(options: GatewayOptions, *, static: bool = False) -> list[Message]:
    """The first filter sees an answer last: ids are on every answer, also on those made by the filters after it.

    `static`: everything inline, nothing discovered from files.
    """
    return [
        _answer_ids(),
        _lua(MODEL_ERROR, "model_error.lua"),
        _lua(KEY_AUTH, "sha256.lua", "key_auth.lua"),
        {"name": JWT, "typed_config": token_rules(options)} if static else _discovered_token_rules(options),
        {"name": RBAC, "typed_config": typed(f"{HTTP_FILTER}rbac.v3.RBAC")},
        {
            "name": RATE_LIMIT,
            "typed_config": typed(f"{HTTP_FILTER}local_ratelimit.v3.LocalRateLimit", stat_prefix="rate_limit"),
        },
        {
            "name": FILTER_CHAIN,
            "typed_config": typed(
                f"{HTTP_FILTER}filter_chain.v3.FilterChainConfig",
                default_filter_chain=body_limit_chain(options.max_request_bytes),
            ),
        },
        {"name": "envoy.filters.http.router", "typed_config": typed(f"{HTTP_FILTER}router.v3.Router")},
    ]


def body_limit_chain(max_request_bytes: int) -> Message:
    """Refuses larger bodies without buffering: by Content-Length at once, otherwise when the limit is passed."""
    limit = typed(f"{HTTP_FILTER}body_size_limit.v3.BodySizeLimit", max_request_bytes=max_request_bytes)
    return {"filters": [{"name": "envoy.filters.http.body_size_limit", "typed_config": limit}]}


def token_rules(options: GatewayOptions) -> Message:
    """How a token is checked. Which endpoint it opens is checked afterwards, per virtual host, against its claim."""
    return typed(
        f"{HTTP_FILTER}jwt_authn.v3.JwtAuthentication",
        providers={
            "studio": {
                "issuer": options.issuer,
                "audiences": [options.audience],
                "local_jwks": {"inline_string": options.jwks},
                "forward": False,
                "require_expiration": True,
                "clock_skew_seconds": TOKEN_CLOCK_SKEW_SECONDS,
                "payload_in_metadata": "jwt",
                "jwt_cache_config": {"jwt_cache_size": 1000},
            }
        },
        requirement_map={"aml_token": {"provider_name": "studio"}},
    )


def _discovered_token_rules(options: GatewayOptions) -> Message:
    # New signing keys need a new filter configuration: the filter does not watch a key set file.
    return {
        "name": JWT,
        "config_discovery": {
            "type_urls": [f"type.googleapis.com/{HTTP_FILTER}jwt_authn.v3.JwtAuthentication"],
            "config_source": file_source(options.xds_directory / "ecds_jwt.json"),
        },
    }


def _answer_ids() -> Message:
    mutations = [
        {"append": header("x-ms-request-id", "%REQ(X-REQUEST-ID)%")},
        {"append": header("x-ms-client-request-id", "%REQ(X-MS-CLIENT-REQUEST-ID)%")},
    ]
    return {
        "name": "envoy.filters.http.header_mutation",
        "typed_config": typed(
            f"{HTTP_FILTER}header_mutation.v3.HeaderMutation", mutations={"response_mutations": mutations}
        ),
    }


def _lua(name: str, *files: str) -> Message:
    source = "\n".join((_LUA / file).read_text() for file in files)
    config = typed(f"{HTTP_FILTER}lua.v3.Lua", default_source_code={"inline_string": source})
    return {"name": name, "typed_config": config}
