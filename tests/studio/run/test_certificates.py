from __future__ import annotations

import datetime
import socket
import ssl
import threading
from pathlib import Path

import pytest

from studio.run.certificates import Certificates, server_names

NOW = datetime.datetime.now(datetime.UTC)
NAMES = server_names(hostname="studio.example", region="local", domain="example")


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    made = Certificates(tmp_path)
    assert made.ensure(NAMES, now=NOW)
    return made


def test_names_cover_the_studio_this_machine_and_every_endpoint() -> None:
    assert NAMES == ["studio.example", "localhost", "127.0.0.1", "::1", "*.local.inference.example"]
    assert server_names(hostname="localhost", region="r", domain="d").count("localhost") == 1


@pytest.mark.parametrize("name", ["studio.example", "localhost", "127.0.0.1", "churn.local.inference.example"])
def test_a_strict_client_that_trusts_the_authority_accepts_each_name(certificates: Certificates, name: str) -> None:
    _handshake(certificates, name)


def test_a_name_that_is_not_ours_is_refused_by_clients(certificates: Certificates) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _handshake(certificates, "elsewhere.example")


def test_twice_is_the_same_as_once(certificates: Certificates) -> None:
    before = certificates.server.read_bytes()
    assert not certificates.ensure(NAMES, now=NOW)
    assert certificates.server.read_bytes() == before


def test_the_authority_stays_when_the_names_change(certificates: Certificates) -> None:
    authority = certificates.authority.read_bytes()
    assert certificates.ensure(["new.example"], now=NOW)
    assert certificates.authority.read_bytes() == authority
    _handshake(certificates, "new.example")


def test_a_certificate_near_its_end_is_renewed(certificates: Certificates) -> None:
    before = certificates.server.read_bytes()
    assert not certificates.ensure(NAMES, now=NOW + datetime.timedelta(days=366))
    assert certificates.ensure(NAMES, now=NOW + datetime.timedelta(days=368))
    assert certificates.server.read_bytes() != before


def test_a_key_that_does_not_belong_to_the_certificate_is_replaced(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Certificates(tmp_path / "other")
    other.ensure(NAMES, now=NOW)
    certificates.server_key.write_bytes(other.server_key.read_bytes())
    assert certificates.ensure(NAMES, now=NOW)
    _handshake(certificates, "localhost")


def test_keys_are_readable_for_their_owner_only(certificates: Certificates) -> None:
    for key in (certificates.authority_key, certificates.server_key):
        assert key.stat().st_mode & 0o777 == 0o600


def _handshake(certificates: Certificates, name: str) -> None:
    """A TLS handshake over a socket pair, with the checks that newer Pythons make by default."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificates.server, certificates.server_key)
    calling = ssl.create_default_context(cafile=str(certificates.authority))
    calling.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            serving.wrap_socket(theirs, server_side=True).close()
        except (ssl.SSLError, ConnectionError):
            theirs.close()  # the caller has refused

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        calling.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join(10)
