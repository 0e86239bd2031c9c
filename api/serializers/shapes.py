"""What every resource is made of: bodies that refuse unknown fields, bags of text, words in any case, durations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from api import durations

TAGS_MAXIMUM = 50
# what the official client copies into a resource's own properties after reading it
_COPIED_BY_CLIENTS = {"createdBy", "createdAt", "lastModifiedAt", "lastModifiedBy", "AzureAsyncOperationUri"}


class Shape(serializers.Serializer[Any]):
    """A JSON object. A name it does not have is refused; read-only ones may be sent back and change nothing."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in data if name not in self.fields)
            if unknown:
                message = f"There is no such field here (there are: {', '.join(self.fields)})."
                raise serializers.ValidationError({name: [message] for name in unknown})
        return super().to_internal_value(data)


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string", "nullable": True}, "nullable": True})
class Bag(serializers.DictField):
    """Names with text; numbers become text, null is none at all."""

    def __init__(self, *, most: int = TAGS_MAXIMUM, **kwargs: Any) -> None:
        self.most = most
        kwargs.setdefault("required", False)
        kwargs.setdefault("allow_null", True)
        child = serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=4096, allow_null=True)
        super().__init__(child=child, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and len(data) > self.most:
            raise serializers.ValidationError(f"There are {len(data)} entries; at most {self.most} are kept.")
        found = super().to_internal_value(data)
        return {name: text or "" for name, text in found.items() if name not in _COPIED_BY_CLIENTS}


@extend_schema_field(OpenApiTypes.STR)
class Word(serializers.Field[Any, Any, Any, Any]):
    """One of Azure's words, in any case; becomes the studio's. Words that the studio cannot honour are NotSupported."""

    def __init__(self, words: Mapping[str, Any], *, unsupported: tuple[str, ...] = (), **kwargs: Any) -> None:
        self.words = {word.lower(): value for word, value in words.items()}
        self.names = list(words)
        self.unsupported = {word.lower() for word in unsupported}
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Any:
        word = data.lower() if isinstance(data, str) else ""
        if word in self.words:
            return self.words[word]
        use = f"use {' or '.join(self.names)}."
        if word in self.unsupported:
            raise serializers.ValidationError(f"This studio does not support '{data}'; {use}", code="NotSupported")
        raise serializers.ValidationError(f"It is {str(data)[:80]!r}; {use}")

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(OpenApiTypes.ANY)
class OnlyDefault(serializers.Field[Any, Any, Any, Any]):
    """A field of Azure's that cannot be honoured: its default is taken, anything else is NotSupported."""

    def __init__(self, *defaults: Any, why: str = "This studio does not support it", **kwargs: Any) -> None:
        self.defaults = [_folded(default) for default in (None, *defaults)]
        self.shown = ", ".join(repr(default) for default in defaults)
        self.why = why
        super().__init__(required=False, allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if _folded(data) in self.defaults:
            return data
        hint = f" or use {self.shown}" if self.shown else ""
        raise serializers.ValidationError(f"{self.why}; leave it out{hint}.", code="NotSupported")

    def to_representation(self, value: Any) -> Any:
        return value


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


@extend_schema_field({"type": "string", "example": "PT5S"})
class Duration(serializers.Field[Any, Any, Any, Any]):
    """ISO 8601; becomes whole milliseconds, or seconds where asked for."""

    def __init__(self, *, whole_seconds: bool = False, **kwargs: Any) -> None:
        self.whole_seconds = whole_seconds
        super().__init__(required=False, allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        try:
            milliseconds = durations.read_ms(data if isinstance(data, str) else "")
        except (ValueError, OverflowError):
            raise serializers.ValidationError(f"It is {str(data)[:80]!r}; use a duration such as PT5S.") from None
        if not self.whole_seconds:
            return milliseconds
        if milliseconds % 1000:
            raise serializers.ValidationError("Use whole seconds.")
        return milliseconds // 1000

    def to_representation(self, value: Any) -> Any:
        return value


class SystemData(serializers.Serializer[Any]):
    createdAt = serializers.DateTimeField()
    createdBy = serializers.CharField()
    createdByType = serializers.CharField()
    lastModifiedAt = serializers.DateTimeField()
    lastModifiedBy = serializers.CharField(required=False)
    lastModifiedByType = serializers.CharField(required=False)


class Resource(Shape):
    """What every resource's answer has around its properties."""

    id = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True)
    type = serializers.CharField(read_only=True)
    systemData = SystemData(read_only=True)


def text(**kwargs: Any) -> serializers.CharField:
    """Text that may be left out, null or empty."""
    return serializers.CharField(required=False, allow_blank=True, allow_null=True, max_length=4000, **kwargs)


def rfc3339(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def system_data(created_at: datetime, created_by: Any, changed_at: datetime | None = None) -> dict[str, Any]:
    """`lastModifiedAt` is always there: the official client needs it."""
    by = created_by.get_username() if created_by is not None else "studio"
    return {
        "createdAt": rfc3339(created_at),
        "createdBy": by,
        "createdByType": "User",
        "lastModifiedAt": rfc3339(changed_at or created_at),
        "lastModifiedBy": by,
        "lastModifiedByType": "User",
    }
