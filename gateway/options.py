"""What one gateway is started with: where it writes, where it listens, what it trusts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.errors import GatewayError
from gateway.routes import MAX_SOCKET_PATH_BYTES


@dataclass(frozen=True)
class GatewayOptions:
    """Nothing here changes while Envoy runs, except the content of the certificate files and `jwks`.

    `directory` belongs to the gateway alone. Without `certificate_file` and `private_key_file` there is no TLS listener.
    `studio_upstream` (`unix:/path` or `host:port`) is the web process behind `studio_tls_port`.
    `jwks` is the JSON text of the public keys that sign tokens; `issuer` and `audience` are what tokens must say.
    Host addresses are `<endpoint>.<region>.inference.<domain>`.
    """

    directory: Path
    http_port: int
    jwks: str
    bind: str = "127.0.0.1"
    https_port: int | None = None
    certificate_file: Path | None = None
    private_key_file: Path | None = None
    studio_tls_port: int | None = None
    studio_upstream: str = ""
    domain: str = "localhost"
    issuer: str = "endpoint-studio"
    audience: str = "endpoint-studio-inference"
    max_connections: int = 10_000
    max_heap_bytes: int = 2 * 1024**3
    max_request_bytes: int = 10 * 1024 * 1024

    def __post_init__(self) -> None:
        if len(bytes(self.admin_socket)) > MAX_SOCKET_PATH_BYTES:
            raise GatewayError(
                f"The gateway's admin socket {self.admin_socket} is longer than {MAX_SOCKET_PATH_BYTES} bytes.",
                hint="Use a shorter STUDIO_HOME.",
            )
        if (self.https_port or self.studio_tls_port) and not (self.certificate_file and self.private_key_file):
            raise GatewayError("A TLS port needs a certificate file and a private key file.")
        if self.studio_tls_port and not self.studio_upstream:
            raise GatewayError("The studio's TLS port needs the address of the web process.")

    @property
    def admin_socket(self) -> Path:
        return self.directory / "admin.sock"

    @property
    def xds_directory(self) -> Path:
        return self.directory / "xds"

    @property
    def bootstrap_file(self) -> Path:
        return self.directory / "bootstrap.json"

    @property
    def access_log(self) -> Path:
        return self.directory / "access.log"

    @property
    def envoy_log(self) -> Path:
        return self.directory / "envoy.log"

    @property
    def last_publish_file(self) -> Path:
        return self.directory / "last_publish.json"

    @property
    def has_tls(self) -> bool:
        return self.certificate_file is not None
