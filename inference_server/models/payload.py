"""The forms in which a request may carry its rows, made one. Knows no model and no numpy."""

from __future__ import annotations

import json
from typing import Any

from inference_server.inputs import Refused

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

FORMS = ("data", "input_data", "dataframe_split", "dataframe_records", "inputs", "instances")
_EXAMPLE = '{"data": [[…], …]} or {"input_data": {"columns": […], "data": [[…], …]}}'


class Given:
    """What a request carries: `rows` (with `columns` when it names them) or `named` values, and `params`."""

    __slots__ = ("columns", "form", "named", "params", "rows")

    def __init__(self, form: str, params: dict[str, Any]) -> None:
        self.form, self.params = form, params
        self.columns: list[str] | None = None
        self.rows: list[Any] | None = None
        self.named: dict[str, Any] | None = None


def loads(body: bytes) -> Any:
    """JSON; NaN and Infinity are accepted as Python's json does. Raises Refused (400)."""
    if orjson is not None:
        try:
            return orjson.loads(body)
        except ValueError:
            pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = "it is empty" if not body else str(error)
        raise Refused(400, f"The body could not be read as JSON: {reason}. Send {_EXAMPLE}.") from error


def parse(body: bytes) -> Given:
    """Raises Refused (400) for a body that has none of the forms, or is malformed within one."""
    value = loads(body)
    if not isinstance(value, dict):
        raise Refused(400, f"The body should be a JSON object: {_EXAMPLE}.")
    forms = [name for name in FORMS if name in value]
    if len(forms) != 1:
        has = " and ".join(forms) if forms else ", ".join(list(value)[:5]) or "nothing"
        raise Refused(400, f"The body needs exactly one of {', '.join(FORMS)}; it has {has}.")
    params = value.get("params") or {}
    if not isinstance(params, dict):
        raise Refused(400, "params should be a JSON object.")
    given = Given(forms[0], params)
    _fill(given, value[forms[0]])
    if given.rows is not None and not given.rows:
        raise Refused(400, f"{given.form} holds no rows.")
    return given


def _fill(given: Given, content: Any) -> None:
    form = given.form
    if form == "dataframe_split" or (
        isinstance(content, dict) and "data" in content and form not in ("inputs", "instances")
    ):
        _fill_split(given, content)
    elif isinstance(content, dict):
        if not content:
            raise Refused(400, f"{form} is empty.")
        given.named = content
    elif isinstance(content, list):
        if content and isinstance(content[0], dict):
            _fill_records(given, content)
        elif form == "dataframe_records":
            raise Refused(400, "dataframe_records should be a list of JSON objects, one a row.")
        else:
            given.rows = content
    else:
        raise Refused(400, f"{form} should hold rows: a list, or an object of named values; it is {describe(content)}.")


def _fill_split(given: Given, content: Any) -> None:
    rows = content.get("data") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise Refused(400, f'{given.form} should be an object with "columns" and "data", a list of rows.')
    columns = content.get("columns")
    given.rows = rows
    if columns is None:
        return
    if not isinstance(columns, list) or len(set(map(str, columns))) != len(columns):
        raise Refused(400, f"columns of {given.form} should be a list of different names.")
    given.columns = [str(name) for name in columns]
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            count = f"{len(row)} values" if isinstance(row, list) else describe(row)
            raise Refused(400, f"Row {at} is {count} for {len(columns)} columns.")


def _fill_records(given: Given, records: list[Any]) -> None:
    columns: dict[str, None] = {}
    for at, record in enumerate(records):
        if not isinstance(record, dict):
            raise Refused(400, f"Row {at} is {describe(record)}, but the first row is an object with named values.")
        columns.update(dict.fromkeys(record))
    given.columns = list(columns)
    given.rows = [[record.get(name) for name in given.columns] for record in records]


def describe(value: Any) -> str:
    """A value in an error message: what it is, and its beginning."""
    if value is None:
        return "missing (null)"
    if isinstance(value, bool):
        return f"{str(value).lower()}, a boolean"
    if isinstance(value, (int, float)):
        return f"the number {value}"[:40]
    if isinstance(value, str):
        return f"the text {value[:30]!r}"
    return (
        f"a list of {len(value)}"
        if isinstance(value, list)
        else "an object"
        if isinstance(value, dict)
        else str(type(value))
    )
