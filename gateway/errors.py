"""What can go wrong between rows and a routing Envoy."""

from __future__ import annotations

from studio.lib.errors import StudioError


class GatewayError(StudioError):
    """The gateway could not be changed."""


class RouteTableInvalid(GatewayError):
    """The route table breaks a rule, so nothing of it was published."""

    code = "BadArgument"
    hint = "Correct the endpoint or deployment that the message names; the last accepted routes stay in force."


class GatewayUnreachable(GatewayError):
    """Envoy does not answer on its admin socket."""

    code = "GatewayUnreachable"
    http_status = 503
    hint = "See whether the envoy program runs and read its log; it starts again from its files."
