"""What every kind of model offers to scoring.py."""

from __future__ import annotations

import os
from typing import Any

from inference_server.inputs import Refused
from inference_server.models import arrays
from inference_server.models.payload import Given
from inference_server.models.signature import Column, Signature


class ModelUnusable(Exception):
    """The model's file was read, but cannot be served; the text says why and what to do."""


class Model:
    """A loaded model. `is_row_wise`: the answer for a row does not depend on the rows beside it, so calls may be joined."""

    is_row_wise = True
    signature: Signature | None = None
    # Azure answers MLflow's `input_data` with the bare predictions.
    is_mlflow = False
    # Of one row in the API document, for a model whose columns have no names of their own.
    sample_row: Any = None

    def accept(self, given: Given) -> arrays.Input:
        """The request as this model's input. Raises Refused."""
        raise NotImplementedError

    def predict(self, value: Any, params: dict[str, Any]) -> dict[str, Any]:
        """`predictions`, and `probabilities` from a classifier; each as long as the rows."""
        raise NotImplementedError


class NumberModel(Model):
    """A model of rows of numbers; `names` are its columns' where it knows them, `width` their count."""

    def __init__(self, names: list[str] | None, width: int | None, signature: Signature | None = None) -> None:
        self.names, self.width = names, width
        known = names or ([f"column_{at}" for at in range(width)] if width is not None else [])
        self.signature = signature or (Signature([Column(name, "number") for name in known]) if known else None)
        self.is_typed = signature is not None and bool(signature.columns)
        self.sample_row = None if names is not None or self.is_typed else [0.0] * (width or 1)

    def accept(self, given: Given) -> arrays.Input:
        if self.signature is not None and (self.is_typed or given.columns is not None or given.named is not None):
            if self.names is not None or self.is_typed:
                table = self.signature.table(given)
                return arrays.numbers([list(row) for row in zip(*table.values())], list(table), self.width)
        if given.named is not None:
            given.rows = [list(row) for row in zip(*map(_as_list, given.named.values()))]
        if given.params and not self.is_mlflow:
            raise Refused(400, "This model takes no params.")
        return arrays.numbers(given.rows or [], self.names, self.width)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def thread_count() -> int | None:
    """The threads a call may use: what the server put into OMP_NUM_THREADS; None when nobody said."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdigit() and int(text) > 0 else None


def classes_and_probabilities(raw: Any, classes: Any = None) -> dict[str, Any]:
    """The answer for raw probabilities: one of the second class a row, or one of each class a row."""
    np = arrays.np
    both = np.stack([1.0 - raw, raw], axis=1) if raw.ndim == 1 else raw
    labels = both.argmax(axis=1) if raw.ndim > 1 else (raw > 0.5).astype(np.int64)
    return {"predictions": labels if classes is None else classes[labels], "probabilities": both}
