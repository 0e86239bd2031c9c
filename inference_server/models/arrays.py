"""What a model is given: rows of numbers, columns, or tensors; each can be joined with others of its kind and told apart again."""

from __future__ import annotations

import importlib
from typing import Any, Hashable, Sequence

from inference_server.inputs import Refused
from inference_server.models.payload import Given, describe
from inference_server.models.signature import Column, Signature, Tensor

np: Any = importlib.import_module("numpy")

_KINDS_TAKEN = {"f": "fiu", "i": "iu", "u": "iu", "b": "b", "U": "U", "O": "OUfiub", "S": "US"}
_FRAME_TYPES = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
_ANY_NUMBER = Column("", "number")


class Input:
    """`key` is equal for inputs that one call of the model may take together; `count` is the number of rows."""

    __slots__ = ("count", "key", "value")

    def __init__(self, value: Any, count: int, key: Hashable) -> None:
        self.value, self.count, self.key = value, count, key


class Rows(Input):
    """A two-dimensional array, or a list of texts and the like that a model takes as they are."""

    def joined(self, others: Sequence[Input]) -> Any:
        parts = [self.value, *(one.value for one in others)]
        return np.concatenate(parts) if isinstance(self.value, np.ndarray) else [row for part in parts for row in part]


class Columns(Input):
    """Lists of values by column name."""

    def joined(self, others: Sequence[Input]) -> Any:
        parts = [self.value, *(one.value for one in others)]
        return {name: [value for part in parts for value in part[name]] for name in self.value}


class Tensors(Input):
    """Arrays by name, the first dimension being the rows."""

    def joined(self, others: Sequence[Input]) -> Any:
        parts = [self.value, *(one.value for one in others)]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.value}


def join(inputs: Sequence[Any]) -> Any:
    """The value of several inputs with one key, one after the other."""
    return inputs[0].value if len(inputs) == 1 else inputs[0].joined(inputs[1:])


def natural(values: Any, what: str) -> Any:
    """The array numpy makes of nested lists. Raises Refused when they are ragged."""
    try:
        array = np.array(values)
    except (ValueError, OverflowError) as error:
        raise Refused(400, f"{what} is no regular array: its lists have different lengths.") from error
    return array


def numbers(rows: list[Any], names: Sequence[str] | None, width: int | None) -> Rows:
    """Rows of numbers (null is NaN), all of one width. Raises Refused naming row and column."""
    try:
        array = np.array(rows)
    except (ValueError, OverflowError):
        array = None
    if array is None or array.ndim != 2 or array.dtype.kind not in "fiu":
        array = _number_by_number(rows, names, width)
    if width is not None and array.shape[1] != width:
        raise Refused(400, _width_text(array.shape[1], names, width))
    return Rows(array.astype(np.float64, copy=False), len(array), ("rows", array.shape[1]))


def _number_by_number(rows: list[Any], names: Sequence[str] | None, width: int | None) -> Any:
    expected = width
    for at, row in enumerate(rows):
        if not isinstance(row, list):
            raise Refused(400, f"Row {at} is {describe(row)}; each row should be a list of numbers.")
        expected = len(row) if expected is None else expected
        if len(row) != expected:
            raise Refused(400, f"Row {at}: {_width_text(len(row), names, expected)}")
        for column, value in enumerate(row):
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
                name = repr(names[column]) if names else column
                raise Refused(400, f"Column {name} (number), row {at}: {describe(value)}; the model takes a number.")
    return np.array(rows, dtype=np.float64)


def _width_text(width: int, names: Sequence[str] | None, expected: int) -> str:
    listed = f": {', '.join(names[:20])}{', …' if len(names) > 20 else ''}" if names else ""
    return f"{width} values were given; the model takes {expected}{listed}."


def frame(columns: dict[str, list[Any]], signature: Signature | None) -> Any:
    """A pandas DataFrame with the signature's types."""
    pandas: Any = importlib.import_module("pandas")
    types = {column.name: column.type for column in signature.columns} if signature else {}
    series = {}
    for name, values in columns.items():
        kind = types.get(name, "any")
        if kind == "datetime":
            series[name] = pandas.to_datetime(pandas.Series(values), format="ISO8601")
        else:
            series[name] = pandas.Series(values, dtype=_FRAME_TYPES.get(kind, "object" if kind == "string" else None))
    return pandas.DataFrame(series)


def tensors(given: Given, wanted: Sequence[Tensor]) -> Tensors:
    """The request's tensors, checked against dtype and shape. Raises Refused."""
    found = {}
    for one in wanted:
        values = _values_of(one, given, len(wanted) == 1)
        if values is None:
            raise Refused(400, f"Tensor {one.name!r} ({one.dtype}, shape {list(one.shape)}) is missing.")
        found[one.name] = _tensor(one, values)
    counts = {len(array) for array in found.values() if array.ndim}
    if len(counts) != 1:
        sizes = ", ".join(f"{name}: {list(array.shape)}" for name, array in found.items())
        raise Refused(400, f"The tensors have different numbers of rows ({sizes}).")
    key = ("tensors", tuple((name, array.dtype.str, array.shape[1:]) for name, array in found.items()))
    return Tensors(found, counts.pop(), key)


def _values_of(wanted: Tensor, given: Given, is_only: bool) -> Any:
    if given.named is not None:
        return given.named.get(wanted.name)
    if is_only:
        return given.rows
    names = given.columns
    if names and wanted.name in names:
        at = names.index(wanted.name)
        return [row[at] for row in given.rows or []]
    return None


def _tensor(wanted: Tensor, values: Any) -> Any:
    what = f"Tensor {wanted.name!r} ({wanted.dtype}, shape {list(wanted.shape)})" if wanted.name else "The tensor"
    array = natural(values, what)
    dtype = np.dtype(wanted.dtype)
    shape = wanted.shape
    if array.ndim == len(shape) - 1 and shape and shape[-1] == 1:
        array = array.reshape(*array.shape, 1)
    if array.dtype.kind not in _KINDS_TAKEN.get(dtype.kind, "O"):
        raise Refused(400, f"{what} has {_kind_text(array)}; the model takes {wanted.dtype}.")
    if array.ndim != len(shape) or any(want not in (-1, has) for want, has in zip(shape, array.shape)):
        raise Refused(400, f"{what} has shape {list(array.shape)}; the model takes {list(shape)}.")
    return array.astype(dtype, copy=False)


def _kind_text(array: Any) -> str:
    texts = {"U": "text", "b": "booleans", "f": "fractions", "O": "values of different kinds or null"}
    return texts.get(array.dtype.kind, str(array.dtype))


def plain(value: Any) -> Any:
    """Arrays, frames and numpy's scalars as what JSON knows; NaN and infinity as None."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return [plain_record(record) for record in value.to_dict(orient="records")]
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            return np.where(np.isfinite(value), value.astype(object), None).tolist()
        return value.tolist() if value.dtype.kind in "fiub" else [plain(one) for one in value.tolist()]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if value - value == 0.0 else None
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if value is None or isinstance(value, (str, int)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def plain_record(record: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): plain(value) for name, value in record.items()}


def part(outputs: Any, start: int, end: int) -> Any:
    """The rows from `start` to `end` of what a model returned, made plain."""
    if isinstance(outputs, dict):
        return {name: part(value, start, end) for name, value in outputs.items()}
    return outputs[start:end]


def row_counts(outputs: Any) -> set[int]:
    if isinstance(outputs, dict):
        return {count for value in outputs.values() for count in row_counts(value)}
    return {len(outputs)} if hasattr(outputs, "__len__") else {-1}
