"""JSON as people like to read it: plain lists and short objects on one line. Pure."""

from __future__ import annotations

import json
from typing import Any

LINE_CHARACTERS = 80
INDENT = "  "


def pretty_json(value: Any, indent: str = "") -> str:
    """The value as JSON text. Whatever fits is kept on one line, so that a row of numbers stays a row."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, list | dict) or (len(indent) + len(line) <= LINE_CHARACTERS and not _is_deep(value)):
        return line
    inner = indent + INDENT
    if isinstance(value, list):
        parts, start, end = [pretty_json(item, inner) for item in value], "[", "]"
    else:
        names = [f"{json.dumps(name, ensure_ascii=False)}: " for name in value]
        parts = [name + pretty_json(item, inner) for name, item in zip(names, value.values(), strict=True)]
        start, end = "{", "}"
    return f"{start}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{end}"


def _is_deep(value: Any) -> bool:
    items = value if isinstance(value, list) else value.values()
    return any(isinstance(item, list | dict) and item for item in items)
