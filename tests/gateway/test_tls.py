"""The encrypted ports: scoring, and the studio."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from tests.gateway.certificates import write_certificate
from tests.gateway.world import World, free_port, key_of, until, world

pytestmark = pytest.mark.envoy


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[World]:
    write_certificate(tmp_path / "chain.pem", tmp_path / "key.pem", "first")
    fields = {
        "https_port": free_port(),
        "studio_tls_port": free_port(),
        "certificate_file": tmp_path / "chain.pem",
        "private_key_file": tmp_path / "key.pem",
    }
    with world(**fields, studio_upstream=f"unix:{tmp_path}/web.sock") as made:
        web = made.instance("web")
        Path(tmp_path, "web.sock").symlink_to(web.socket)
        made.start()
        yield made


def _client(secured: World, port: int | None, *, http2: bool) -> httpx.Client:
    trust = ssl.create_default_context(cafile=str(secured.options.certificate_file))
    url = f"https://localhost:{port}"
    return httpx.Client(base_url=url, verify=trust, http1=not http2, http2=http2, trust_env=False, timeout=20)


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
def test_scoring_over_tls(secured: World, http2: bool) -> None:
    blue = secured.deployment("blue", secured.instance("blue-0"))
    secured.publish(secured.endpoint("churn", blue, traffic={"blue": 100}))
    with _client(secured, secured.options.https_port, http2=http2) as client:
        headers = {"authorization": f"Bearer {key_of('churn')}"}
        answer = client.post("/endpoints/churn/score", headers=headers, content=b"x" * 500_000)
        assert (answer.status_code, answer.http_version) == (200, "HTTP/2" if http2 else "HTTP/1.1")
        assert answer.json()["bytes"] == 500_000
        assert answer.json()["headers"]["x-forwarded-proto"] == "https"
        assert client.post("/endpoints/churn/score").status_code == 401


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
def test_the_studio_behind_tls_gets_everything_as_it_came(secured: World, http2: bool) -> None:
    with _client(secured, secured.options.studio_tls_port, http2=http2) as client:
        headers = {
            "x_ms_meta_name": "kept", "x-ms-meta-model_name": "kept too", "authorization": "Bearer studio",
            "cookie": "session=1", "x-forwarded-proto": "http",
        }  # fmt: skip
        answer = client.put("/a//b%2Fc/?x=1", headers=headers, content=b"x" * 20_000_000)
        seen = answer.json()
        assert answer.status_code == 200
        assert (seen["method"], seen["path"], seen["bytes"]) == ("PUT", "/a//b%2Fc/", 20_000_000)
        assert (seen["headers"]["x_ms_meta_name"], seen["headers"]["x-ms-meta-model_name"]) == ("kept", "kept too")
        assert (seen["headers"]["authorization"], seen["headers"]["cookie"]) == ("Bearer studio", "session=1")
        assert seen["headers"]["x-forwarded-proto"] == "https"


def test_old_tls_is_refused(secured: World) -> None:
    trust = ssl.create_default_context(cafile=str(secured.options.certificate_file))
    trust.set_ciphers("DEFAULT:@SECLEVEL=0")
    trust.minimum_version = ssl.TLSVersion.TLSv1_2
    trust.maximum_version = ssl.TLSVersion.TLSv1_2
    _handshake(secured, trust)
    trust.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLS"):
        trust.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        _handshake(secured, trust)


def _handshake(secured: World, trust: ssl.SSLContext) -> x509.Certificate:
    import socket

    with socket.create_connection(("127.0.0.1", secured.options.https_port or 0)) as plain:
        with trust.wrap_socket(plain, server_hostname="localhost") as encrypted:
            der = encrypted.getpeercert(binary_form=True)
            assert der is not None
            return x509.load_der_x509_certificate(der)


def test_a_new_certificate_is_in_force_after_a_publish(secured: World) -> None:
    chain, key = secured.options.certificate_file, secured.options.private_key_file
    assert chain is not None
    assert key is not None
    trust = ssl._create_unverified_context()
    assert "first" in _handshake(secured, trust).subject.rfc4514_string()
    write_certificate(chain, key, "second")
    secured.publish()
    until(lambda: "second" in _handshake(secured, trust).subject.rfc4514_string(), "the new certificate is shown")
