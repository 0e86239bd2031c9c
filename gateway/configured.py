"""The gateway of this installation, from its settings."""

from __future__ import annotations

from django.conf import settings

from endpoints.services import token_issuer
from endpoints.tokens import AUDIENCE, ISSUER
from gateway.admin import Admin
from gateway.options import GatewayOptions
from gateway.publish import Publisher


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
