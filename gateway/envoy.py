"""Route table in, Envoy's configuration out. Pure: same table and options, same bytes."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.bootstrap import bootstrap, static_bootstrap
from gateway.clusters import clusters
from gateway.filters import JWT, token_rules
from gateway.listeners import TLS_SECRET, listeners
from gateway.options import GatewayOptions
from gateway.protos import Message, discovery
from gateway.routes import RouteTable
from gateway.virtual_hosts import route_configuration

_API = "envoy.config."


@dataclass(frozen=True)
class Certificate:
    """A certificate chain and its private key, as PEM text."""

    chain: str
    private_key: str

    def message(self) -> Message:
        return {
            "certificate_chain": {"inline_string": self.chain},
            "private_key": {"inline_string": self.private_key},
        }


@dataclass(frozen=True)
class Configuration:
    """Every file Envoy reads. `secrets` is None without TLS."""

    bootstrap: Message
    listeners: Message
    routes: Message
    clusters: Message
    token_rules: Message
    secrets: Message | None


def render(table: RouteTable, options: GatewayOptions, certificate: Certificate | None = None) -> Configuration:
    """Raises RouteTableInvalid."""
    table.validate()
    return Configuration(
        bootstrap=bootstrap(options),
        listeners=discovery(f"{_API}listener.v3.Listener", listeners(options)),
        routes=discovery(f"{_API}route.v3.RouteConfiguration", [route_configuration(table)]),
        clusters=discovery(f"{_API}cluster.v3.Cluster", clusters(table)),
        token_rules=discovery(
            f"{_API}core.v3.TypedExtensionConfig", [{"name": JWT, "typed_config": token_rules(options)}]
        ),
        secrets=_secrets(certificate) if certificate else None,
    )


def render_static(table: RouteTable, options: GatewayOptions, certificate: Certificate | None = None) -> Message:
    """The same in one bootstrap, so that `envoy --mode validate` sees all of it. Raises RouteTableInvalid."""
    table.validate()
    inline = listeners(options, routes=route_configuration(table), tls=certificate.message() if certificate else None)
    return static_bootstrap(options, clusters=clusters(table), listeners=inline)


def _secrets(certificate: Certificate) -> Message:
    # Key and certificate in one file: two files moved one after the other do not match for a moment.
    secret = {"name": TLS_SECRET, "tls_certificate": certificate.message()}
    return discovery("envoy.extensions.transport_sockets.tls.v3.Secret", [secret])
