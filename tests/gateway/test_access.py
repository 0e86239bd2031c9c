"""Who may call, and what an instance gets to see of it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import jwt
import pytest

from endpoints import tokens
from gateway.options import GatewayOptions
from gateway.publish import Publisher
from tests.gateway.world import SIGNING_KEY, World, key_of, replace, until

pytestmark = pytest.mark.envoy


@pytest.fixture
def two(gateway: World) -> World:
    """Two endpoints with keys, `churn` and `fraud`, and one with tokens, `tokens`."""
    blue = gateway.deployment("blue", gateway.instance("blue-0"))
    by_key = [gateway.endpoint(name, blue, traffic={"blue": 100}) for name in ("churn", "fraud")]
    by_token = gateway.endpoint("tokens", blue, traffic={"blue": 100}, auth_mode="aml_token", key_hashes={})
    gateway.publish(*by_key, by_token)
    return gateway


@pytest.mark.parametrize("slot", ["primary", "secondary"])
def test_both_keys_of_an_endpoint_open_it(two: World, slot: str) -> None:
    assert two.call("churn", key=key_of("churn", slot)).status_code == 200


@pytest.mark.parametrize(
    "credential",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {key_of('churn')}",
        key_of("churn"),
        f"Bearer {key_of('fraud')}",
        f"Bearer {key_of('churn')}x",
        "Bearer " + "x" * 20_000,
    ],
)
def test_anything_but_its_own_key_is_refused(two: World, credential: str | None) -> None:
    headers = {} if credential is None else {"authorization": credential}
    answer = two.call("churn", key=None, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "Unauthorized"
    assert answer.json()["error"]["requestId"] == answer.headers["x-request-id"]


def test_a_regenerated_key_opens_at_once_and_the_old_one_no_longer(two: World) -> None:
    blue = two.deployment("blue", two.upstreams[0])
    fresh = {"primary": "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"}
    two.publish(two.endpoint("churn", blue, traffic={"blue": 100}, key_hashes=fresh))
    assert two.call("churn", key="password").status_code == 200
    assert two.call("churn").status_code == 401


def test_keys_of_every_length_are_hashed_right(gateway: World) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"))
    keys = ["k" * length for length in (1, 54, 55, 56, 63, 64, 65, 118, 119, 120, 128, 512)]
    digests = {f"slot{number}": hashlib.sha256(key.encode()).hexdigest() for number, key in enumerate(keys)}
    gateway.publish(gateway.endpoint("churn", blue, traffic={"blue": 100}, key_hashes=digests))
    assert [gateway.call("churn", key=key).status_code for key in keys] == [200] * len(keys)
    assert gateway.call("churn", key="k" * 57).status_code == 401


def test_a_preflight_needs_the_key_too(two: World) -> None:
    headers = {"origin": "https://a.test", "access-control-request-method": "POST"}
    assert two.call("churn", key=None, method="OPTIONS", headers=headers).status_code == 401


def test_no_file_of_the_gateway_holds_a_key(two: World) -> None:
    two.call("churn")
    two.call("churn", key=key_of("fraud"))
    until(lambda: two.options.access_log.stat().st_size, "the access log is written")
    for file in two.options.directory.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            for endpoint in ("churn", "fraud"):
                for slot in ("primary", "secondary"):
                    assert key_of(endpoint, slot).encode() not in content, file
            assert file.stat().st_mode & 0o077 == 0 or file.name.endswith(".log"), file


def _token(**changes: object) -> str:
    now = int(time.time())
    options = GatewayOptions(directory=Path("/tmp"), http_port=1, jwks="")
    claims: dict[str, object] = {
        "iss": options.issuer, "aud": options.audience, "iat": now, "exp": now + 600, "endpoint": "tokens", **changes
    }  # fmt: skip
    claims = {name: value for name, value in claims.items() if value is not None}
    key = claims.pop("key", SIGNING_KEY)
    assert isinstance(key, bytes)
    headers = {"kid": tokens.key_id(tokens._load(SIGNING_KEY))}
    return jwt.encode(claims, key.decode(), algorithm="ES256", headers=headers)


def test_a_token_opens_its_endpoint(two: World) -> None:
    issuer = tokens.TokenIssuer(SIGNING_KEY, two.options.issuer, two.options.audience)
    token = issuer.make("tokens", now=time.time(), lifetime_seconds=60)
    assert issuer.verify(token) == "tokens"
    answer = two.call("tokens", key=token)
    assert answer.status_code == 200
    assert "authorization" not in answer.json()["headers"]


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": "fraud"},
        {"endpoint": None},
        {"exp": 1},
        {"exp": None},
        {"iss": "somebody"},
        {"aud": "something"},
        {"key": tokens.new_signing_key()},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_any_other_token_is_refused(two: World, changes: dict[str, object]) -> None:
    answer = two.call("tokens", key=_token(**changes))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "Unauthorized")


def test_keys_do_not_open_token_endpoints_nor_tokens_key_endpoints(two: World) -> None:
    assert two.call("tokens", key=key_of("churn")).status_code == 401
    assert two.call("tokens", key=None).status_code == 401
    assert two.call("churn", key=_token(endpoint="churn")).status_code == 401


def test_a_new_signing_key_is_in_force_without_a_restart(two: World) -> None:
    fresh = tokens.new_signing_key()
    options = replace(two.options, jwks=tokens.key_set(fresh, SIGNING_KEY))
    issuer = tokens.TokenIssuer(fresh, options.issuer, options.audience)
    token = issuer.make("tokens", now=time.time(), lifetime_seconds=60)
    assert two.call("tokens", key=token).status_code == 401

    blue = two.deployment("blue", two.upstreams[0])
    endpoint = two.endpoint("tokens", blue, traffic={"blue": 100}, auth_mode="aml_token", key_hashes={})
    two.publisher = Publisher(options)
    two.publish(endpoint)

    assert two.call("tokens", key=token).status_code == 200
    assert two.call("tokens", key=_token()).status_code == 200


def test_credentials_cookies_and_studio_headers_never_reach_an_instance(two: World) -> None:
    sent = {
        "cookie": "session=secret", "x-studio-endpoint": "fraud", "x-studio-key": "primary", "X-Studio-Anything": "1",
        "x_studio_other": "1", "x-envoy-upstream-rq-timeout-ms": "1", "proxy-authorization": "Basic x", "x-mine": "kept",
    }  # fmt: skip
    answer = two.call("churn", headers=sent)
    seen = answer.json()["headers"]
    assert answer.status_code == 200
    assert seen["x-mine"] == "kept"
    unwanted = (
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-studio",
        "x_studio",
        "x-envoy-upstream-rq-timeout-ms",
    )
    assert [name for name in seen if name.startswith(unwanted)] == []


def test_ids_go_in_and_come_out(two: World) -> None:
    answer = two.call("churn", headers={"x-request-id": "mine-1", "x-ms-client-request-id": "client-1"})
    seen = answer.json()["headers"]
    assert (seen["x-request-id"], seen["x-ms-request-id"], seen["x-ms-client-request-id"]) == (
        "mine-1",
        "mine-1",
        "client-1",
    )
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["x-ms-request-id"] == "mine-1"
    assert answer.headers["x-ms-client-request-id"] == "client-1"


def test_a_request_without_an_id_gets_one_and_long_ids_are_cut(two: World) -> None:
    answer = two.call("churn")
    assert len(answer.headers["x-request-id"]) == 36
    assert answer.headers["x-request-id"] == answer.json()["headers"]["x-request-id"]
    assert "x-ms-client-request-id" not in answer.headers
    assert "x-ms-client-request-id" not in answer.json()["headers"]

    long = two.call("churn", headers={"x-request-id": "r" * 500, "x-ms-client-request-id": "c" * 500})
    assert long.headers["x-request-id"] == "r" * 100
    assert long.headers["x-ms-client-request-id"] == "c" * 40


def test_ids_are_on_refusals_too(two: World) -> None:
    answer = two.call("churn", key="wrong", headers={"x-request-id": "mine-2", "x-ms-client-request-id": "client-2"})
    assert answer.headers["x-request-id"] == answer.headers["x-ms-request-id"] == "mine-2"
    assert answer.headers["x-ms-client-request-id"] == "client-2"
    assert answer.json()["error"]["requestId"] == "mine-2"
