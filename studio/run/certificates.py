"""A private certificate authority of the installation, and the certificate of its four ports."""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = datetime.timedelta(days=3650)
SERVER_LIFETIME = datetime.timedelta(days=397)
RENEW_BEFORE = datetime.timedelta(days=30)
# Machines whose clocks run behind accept a fresh certificate too.
_CLOCK_SKEW = datetime.timedelta(hours=1)


class Certificates:
    """Files in `folder`: ca.crt, ca.key, server.crt, server.key; the keys readable by their owner only."""

    def __init__(self, folder: Path) -> None:
        self.authority = folder / "ca.crt"
        self.authority_key = folder / "ca.key"
        self.server = folder / "server.crt"
        self.server_key = folder / "server.key"

    def ensure(self, names: Sequence[str], *, now: datetime.datetime) -> bool:
        """Make what is missing; keep the authority; renew the server's certificate 30 days before its end or when `names` differ.

        `names` are DNS names (also `*.…`) and IP addresses. True when something was written.
        """
        changed = False
        if not (self.authority.exists() and self.authority_key.exists()):
            self._make_authority(now)
            changed = True
        if changed or not self._is_server_good(names, now):
            self._make_server(names, now)
            changed = True
        return changed

    def _make_authority(self, now: datetime.datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Endpoint Studio {now:%Y-%m-%d %H:%M:%S}")])
        builder = _builder(name, name, key.public_key(), now, AUTHORITY_LIFETIME)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
        _write(self.authority_key, _pem(key), 0o600)
        _write(self.authority, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644)

    def _make_server(self, names: Sequence[str], now: datetime.datetime) -> None:
        authority = x509.load_pem_x509_certificate(self.authority.read_bytes())
        authority_key = serialization.load_pem_private_key(self.authority_key.read_bytes(), password=None)
        assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        builder = _builder(subject, authority.subject, key.public_key(), now, SERVER_LIFETIME)
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage(signs_certificates=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.SubjectAlternativeName([_general_name(name) for name in names]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False),
        ]
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, critical=is_critical)
        certificate = builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        _write(self.server_key, _pem(key), 0o600)
        _write(self.server, certificate, 0o644)

    def _is_server_good(self, names: Sequence[str], now: datetime.datetime) -> bool:
        try:
            found = x509.load_pem_x509_certificate(self.server.read_bytes())
            key = serialization.load_pem_private_key(self.server_key.read_bytes(), password=None)
        except (FileNotFoundError, ValueError):
            return False
        stated = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return (
            found.not_valid_after_utc - now > RENEW_BEFORE
            and set(stated) == {_general_name(name) for name in names}
            # Killed between writing the one and the other, they do not belong together.
            and found.public_key() == key.public_key()
        )


def server_names(*, hostname: str, region: str, domain: str) -> list[str]:
    """What the certificate must be good for; host addresses of endpoints are covered by a wildcard."""
    names = [hostname, "localhost", "127.0.0.1", "::1", f"*.{region}.inference.{domain}"]
    return list(dict.fromkeys(names))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    lifetime: datetime.timedelta,
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=public_key)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - _CLOCK_SKEW).not_valid_after(now + lifetime)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(file: Path, content: bytes, mode: int) -> None:
    """Replace the file whole; never readable for more than `mode` says."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        out.write(content)
    os.replace(draft, file)
