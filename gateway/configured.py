"""The gateway of this installation, from its settings."""

from __future__ import annotations

from django.conf import settings

from gateway import tokens
from gateway.admin import Admin
from gateway.options import GatewayOptions
from gateway.publish import Publisher
from studio.lib.secrets import ensure_secret

ISSUER = "endpoint-studio"
AUDIENCE = "endpoint-studio-inference"


def token_issuer() -> tokens.TokenIssuer:
    """Its key is made on first use and kept below STUDIO_HOME/secrets."""
    key = ensure_secret(settings.STUDIO_HOME / "secrets" / "tokens.key", tokens.new_signing_key)
    return tokens.TokenIssuer(key, ISSUER, AUDIENCE)


def gateway_options() -> GatewayOptions:
    """Raises GatewayError when STUDIO_HOME is too long for a socket."""
    home = settings.STUDIO_HOME
    return GatewayOptions(
        directory=home / "gateway",
        bind=settings.STUDIO_BIND,
        http_port=settings.GATEWAY_PORT,
        https_port=settings.GATEWAY_TLS_PORT,
        studio_tls_port=settings.STUDIO_TLS_PORT,
        studio_upstream=f"unix:{home / 'run' / 'web.sock'}",
        certificate_file=home / "tls" / "server.crt",
        private_key_file=home / "tls" / "server.key",
        domain=settings.STUDIO_DOMAIN,
        jwks=token_issuer().jwks(),
        issuer=ISSUER,
        audience=AUDIENCE,
        max_request_bytes=settings.STUDIO_MAX_REQUEST_BYTES,
    )


def publisher() -> Publisher:
    return Publisher(gateway_options())


def admin() -> Admin:
    return Admin(gateway_options().admin_socket)
