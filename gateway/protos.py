"""Small words of Envoy's configuration language, shared by the rendering modules."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from gateway.routes import InstanceTarget

Message = dict[str, Any]

TYPE = "type.googleapis.com/"
HTTP_FILTER = "envoy.extensions.filters.http."


def typed(type_name: str, **fields: Any) -> Message:
    """A google.protobuf.Any."""
    return {"@type": TYPE + type_name, **fields}


def seconds(value: float) -> str:
    """A google.protobuf.Duration."""
    return f"{value:.9g}s"


def header(key: str, value: str, *, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> Message:
    return {"header": {"key": key, "value": value}, "append_action": action}


def address(target: InstanceTarget) -> Message:
    if target.socket_path is not None:
        return {"pipe": {"path": target.socket_path}}
    host, port = target.host_and_port
    return {"socket_address": {"address": host, "port_value": port}}


def studio_metadata(**labels: str) -> Message:
    """Labels that the access log and the counters read."""
    return {"filter_metadata": {"studio": labels}}


def file_source(path: object) -> Message:
    """A configuration source that is read again whenever a file is moved onto `path`."""
    return {"resource_api_version": "V3", "initial_fetch_timeout": "5s", "path_config_source": {"path": str(path)}}


def discovery(type_name: str, resources: list[Message]) -> Message:
    """A discovery response. The version is a hash of the content, so equal content has an equal version."""
    text = json.dumps(resources, sort_keys=True, separators=(",", ":"))
    return {
        "version_info": hashlib.sha256(text.encode()).hexdigest()[:12],
        "resources": [{"@type": TYPE + type_name, **resource} for resource in resources],
    }
