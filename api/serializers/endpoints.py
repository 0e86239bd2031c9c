"""Online endpoints: Azure's shape, and how a row looks in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from api.arm import PROVIDER
from api.serializers.shapes import Bag, OnlyDefault, Resource, Shape, Word, system_data, text
from endpoints.models import AuthMode, Endpoint
from endpoints.queries import scoring_uri

AUTH_MODES = {"Key": AuthMode.KEY, "AMLToken": AuthMode.AML_TOKEN}
_AUTH_MODE_NAMES = {value: name for name, value in AUTH_MODES.items()}
_NO_IDENTITY = "An endpoint has no identity of its own here"


class Percents(serializers.DictField):
    """Deployment name to whole percent; what they must sum to, the service knows."""

    def __init__(self, **kwargs: Any) -> None:
        child = serializers.IntegerField(min_value=0, max_value=100)
        super().__init__(child=child, required=False, allow_null=True, **kwargs)


class Identity(Shape):
    type = Word(
        {"SystemAssigned": "SystemAssigned", "None": "None"},
        unsupported=("UserAssigned", "SystemAssigned,UserAssigned"),
    )
    userAssignedIdentities = OnlyDefault(why=_NO_IDENTITY)
    principalId = OnlyDefault(why=_NO_IDENTITY)
    tenantId = OnlyDefault(why=_NO_IDENTITY)


class EndpointProperties(Shape):
    authMode = Word(AUTH_MODES, unsupported=("AADToken",))
    description = text()
    properties = Bag()
    traffic = Percents()
    mirrorTraffic = Percents()
    publicNetworkAccess = OnlyDefault("Enabled", why="Endpoints are reached where the gateway listens")
    compute = OnlyDefault(why="There is no attached compute here")
    keys = OnlyDefault(why="Keys are made by the studio; read them with listKeys")
    provisioningState = serializers.CharField(read_only=True)
    scoringUri = serializers.CharField(read_only=True)
    swaggerUri = serializers.CharField(read_only=True)


class EndpointBody(Resource):
    location = text()
    tags = Bag()
    kind = OnlyDefault("Managed", why="Every endpoint here is a managed one")
    identity = Identity(required=False, allow_null=True)
    sku = OnlyDefault()
    properties = EndpointProperties()


class KeysAnswer(serializers.Serializer[Any]):
    primaryKey = serializers.CharField()
    secondaryKey = serializers.CharField()


class RegenerateBody(Shape):
    keyType = Word({"Primary": "primary", "Secondary": "secondary"})
    keyValue = serializers.CharField(required=False, allow_null=True, allow_blank=True, trim_whitespace=False)


class TokenAnswer(serializers.Serializer[Any]):
    accessToken = serializers.CharField()
    expiryTimeUtc = serializers.IntegerField()
    refreshAfterTimeUtc = serializers.IntegerField()
    tokenType = serializers.CharField()


def endpoint_answer(
    endpoint: Endpoint,
    *,
    workspace_id: str,
    location: str,
    percents: Mapping[str, int],
    mirror: Mapping[str, int],
    number: int,
) -> dict[str, Any]:
    """`percents`, `mirror` and `number` are the traffic version's in force.

    Until the gateway has confirmed that version the endpoint is Updating: an allocation nobody follows yet has not Succeeded.
    """
    state: str = endpoint.state
    if state == Endpoint.State.SUCCEEDED and (endpoint.routed_version or 0) < number:
        state = Endpoint.State.UPDATING
    uri = scoring_uri(endpoint)
    return {
        "id": f"{workspace_id}/onlineEndpoints/{endpoint.name}",
        "name": endpoint.name,
        "type": f"{PROVIDER}/workspaces/onlineEndpoints",
        "location": location,
        "kind": "Managed",
        "tags": endpoint.tags,
        "identity": {"type": "SystemAssigned"},
        "systemData": system_data(endpoint.created_at, endpoint.created_by, endpoint.updated_at),
        "properties": {
            "authMode": _AUTH_MODE_NAMES[AuthMode(endpoint.auth_mode)],
            "description": endpoint.description,
            "properties": endpoint.properties,
            "traffic": {name: percent for name, percent in percents.items() if percent},
            "mirrorTraffic": dict(mirror),
            "publicNetworkAccess": "Enabled",
            "compute": None,
            "provisioningState": state,
            "scoringUri": uri,
            "swaggerUri": uri.removesuffix("/score") + "/swagger.json",
        },
    }
