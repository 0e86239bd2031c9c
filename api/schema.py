"""What the OpenAPI document says of every operation alike: errors, api-version, etags, names worth reading."""

from __future__ import annotations

from functools import cache
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "target": {"type": "string", "nullable": True},
                "details": {"type": "array", "items": {"type": "object"}},
            },
        }
    },
}
_VERSION = {
    "name": "api-version",
    "in": "query",
    "schema": {"type": "string", "pattern": r"^20(2[2-9]|[3-9]\d)-\d\d-\d\d(-preview)?$", "example": "2024-10-01"},
}
_ETAG = {"name": "If-Match", "in": "header", "schema": {"type": "string"}, "description": "the etag of what was read"}
_PAGE = [
    {"name": "$top", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}},
    {"name": "$skip", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 10**8}},
    {"name": "count", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}},
    {"name": "tags", "in": "query", "schema": {"type": "string"}, "description": "name,name=value"},
]
_VERBS = {"get": "Get", "put": "Put", "patch": "Patch", "post": "", "delete": "Delete"}


@cache
def listing(shape: type[serializers.Serializer[Any]]) -> Any:
    """A page of resources."""
    fields = {"value": shape(many=True), "nextLink": serializers.CharField(required=False)}
    return inline_serializer(f"{shape.__name__}Page", fields)


def say_the_same_everywhere(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """For SPECTACULAR_SETTINGS["POSTPROCESSING_HOOKS"]."""
    result["components"].setdefault("schemas", {})["ArmError"] = _ERROR
    refusal = {
        "description": "It was refused: which, why, and what to do next.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ArmError"}}},
    }
    for path, operations in result["paths"].items():
        words = [word for word in path.split("/")[1:] if not word.startswith(("{", "Microsoft."))][3:]
        words = (words[1:] if words[:1] == ["workspaces"] else words) or ["workspaces"]
        for method, operation in operations.items():
            is_list = method == "get" and path.rsplit("/", 1)[-1][0] != "{"
            operation["operationId"] = _name(method, words, is_list=is_list)
            operation["tags"] = [words[0]]
            operation["responses"]["default"] = refusal
            parameters = operation.setdefault("parameters", [])
            parameters.append(_VERSION)
            if method in ("put", "patch", "delete"):
                parameters.append(_ETAG)
            if is_list:
                parameters.extend(_PAGE)
            if method == "put" and "200" in operation["responses"]:
                operation["responses"]["201"] = operation["responses"]["200"]
    _make_unique(result["paths"])
    return result


def _name(method: str, words: list[str], *, is_list: bool) -> str:
    verb = "List" if is_list else _VERBS[method]
    return verb + "".join(word[0].upper() + word[1:] for word in words)


def _make_unique(paths: dict[str, Any]) -> None:
    """A name that is taken gets a number."""
    taken: dict[str, int] = {}
    for operations in paths.values():
        for operation in operations.values():
            name = operation["operationId"]
            taken[name] = taken.get(name, 0) + 1
            if taken[name] > 1:
                operation["operationId"] = f"{name}{taken[name]}"
