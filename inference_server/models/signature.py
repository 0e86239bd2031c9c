"""A model's signature, from MLflow or from what the model knows of itself, and the check of a request against it."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Any, Iterable, NamedTuple

from inference_server.inputs import Refused
from inference_server.models.payload import Given, describe

INTEGER_BITS = {"integer": 32, "long": 64}
TAKES = {
    "boolean": "true or false",
    "integer": "a whole number",
    "long": "a whole number",
    "float": "a number",
    "double": "a number",
    "number": "a number",
    "string": "text",
    "binary": "base64 text",
    "datetime": "a time as ISO 8601 text",
}
_JSON_TYPES = {"boolean": "boolean", "integer": "integer", "long": "integer", "string": "string"}
_NUMBERS = frozenset((int, float))
_SAMPLES: dict[str, Any] = {"boolean": True, "integer": 0, "long": 0, "string": "text", "binary": "dGV4dA=="}


class Column(NamedTuple):
    """`type` is one of MLflow's names, "number" (untyped but numeric) or "any" (passed as it is)."""

    name: str
    type: str
    is_required: bool = True


class Tensor(NamedTuple):
    """`shape` has -1 where any length is taken; `dtype` is numpy's name."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Signature:
    """Columns or tensors; neither when the model does not say what it takes."""

    def __init__(
        self, columns: Iterable[Column] = (), tensors: Iterable[Tensor] = (), params: Iterable[dict[str, Any]] = ()
    ) -> None:
        self.columns, self.tensors, self.params = list(columns), list(tensors), list(params)

    def table(self, given: Given) -> dict[str, list[Any]]:
        """The request's values by column, in the model's order and checked. Raises Refused naming column, row and type."""
        found = self._by_name(given)
        lengths = {len(values) for values in found.values()}
        if len(lengths) > 1:
            sizes = ", ".join(f"{name}: {len(values)}" for name, values in found.items())
            raise Refused(400, f"The columns have different numbers of values ({sizes}).")
        checked = {}
        for column in self.columns:
            values = found.get(column.name)
            if values is not None:
                checked[column.name] = check_column(column, values)
            elif column.is_required:
                raise Refused(400, f"Column {column.name!r} ({column.type}) is missing. {self.summary}")
        return checked

    def _by_name(self, given: Given) -> dict[str, Any]:
        if given.named is not None:
            return {name: value if isinstance(value, list) else [value] for name, value in given.named.items()}
        rows = given.rows or []
        names = given.columns or [column.name for column in self.columns]
        if given.columns is None:
            for at, row in enumerate(rows):
                if not isinstance(row, list):
                    raise Refused(
                        400, f"Row {at} is {describe(row)}; each row should be a list of values. {self.summary}"
                    )
                if len(row) != len(names):
                    raise Refused(400, f"Row {at} has {len(row)} values. {self.summary}")
        return dict(zip(names, (list(values) for values in zip(*rows))))

    @property
    def summary(self) -> str:
        """What the model takes, in a sentence."""
        if self.tensors:
            parts = [f"{one.name or 'a tensor'} ({one.dtype}, shape {list(one.shape)})" for one in self.tensors]
            return f"The model takes {', '.join(parts)}."
        names = [f"{one.name} ({one.type})" for one in self.columns[:20]]
        more = ", …" if len(self.columns) > 20 else ""
        return f"The model takes {len(self.columns)} columns: {', '.join(names)}{more}."

    def check_params(self, params: dict[str, Any]) -> dict[str, Any]:
        """Raises Refused for a parameter that the signature does not have or of another type."""
        known = {one["name"]: one for one in self.params}
        for name, value in params.items():
            if name not in known:
                has = ", ".join(known) or "none"
                raise Refused(400, f"The model has no parameter {name!r} (it has {has}).")
            kind = str(known[name].get("type", "any"))
            if known[name].get("shape") is None and not _fits(kind, value):
                raise Refused(400, f"Parameter {name!r} ({kind}) is {describe(value)}; it takes {TAKES[kind]}.")
        return params

    # for the API document

    def sample_row(self) -> list[Any]:
        return [
            _SAMPLES.get(one.type, "2026-01-31T00:00:00" if one.type == "datetime" else 0.0) for one in self.columns
        ]

    def schema(self) -> dict[str, Any]:
        """JSON schema of one row with named values."""
        properties = {}
        for column in self.columns:
            kind = _JSON_TYPES.get(column.type, "string" if column.type in ("binary", "datetime") else "number")
            properties[column.name] = {} if column.type == "any" else {"type": kind}
        required = [column.name for column in self.columns if column.is_required]
        return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def check_column(column: Column, values: list[Any]) -> list[Any]:
    """The values as the type wants them. Raises Refused for the first that does not fit."""
    kind = column.type
    if kind not in TAKES or (kind in ("double", "float", "number") and _NUMBERS.issuperset(map(type, values))):
        return values
    for at, value in enumerate(values):
        is_missing = value is None and kind not in ("boolean", "integer", "long")
        if not is_missing and not _fits(kind, value):
            raise Refused(
                400, f"Column {column.name!r} ({kind}), row {at}: {describe(value)}; the model takes {TAKES[kind]}."
            )
    if kind in INTEGER_BITS:
        return [int(value) for value in values]
    if kind == "binary":
        return [None if value is None else base64.b64decode(value) for value in values]
    return values


def _fits(kind: str, value: Any) -> bool:
    if kind in ("double", "float", "number"):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind in INTEGER_BITS:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return (
            whole
            and not isinstance(value, bool)
            and -(2 ** (INTEGER_BITS[kind] - 1)) <= value < 2 ** (INTEGER_BITS[kind] - 1)
        )
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str)
    if kind == "binary":
        return isinstance(value, str) and _is_base64(value)
    if kind == "datetime":
        return isinstance(value, str) and _is_time(value)
    return True


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    except ValueError:
        return False
    return True


def from_mlmodel(described: dict[str, Any]) -> Signature | None:
    """The signature in an MLmodel document; None when it has none. Types that have no columns here are passed as they are."""
    signature = described.get("signature") or {}
    inputs = json.loads(signature.get("inputs") or "[]")
    params = json.loads(signature.get("params") or "[]")
    if not inputs and not params:
        return None
    if inputs and inputs[0].get("type") == "tensor":
        tensors = [(one.get("name") or "", one["tensor-spec"]) for one in inputs]
        return Signature(
            tensors=[Tensor(name, one["dtype"], tuple(one["shape"])) for name, one in tensors], params=params
        )
    columns = []
    for at, one in enumerate(inputs):
        kind = one["type"] if one.get("type") in TAKES else "any"
        is_required = bool(one.get("required", not one.get("optional", False)))
        columns.append(Column(str(one.get("name", at)), kind, is_required))
    return Signature(columns=columns, params=params)
