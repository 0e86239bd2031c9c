"""ONNX files, run by onnxruntime."""

from __future__ import annotations

import importlib
from typing import Any

from inference_server.models import arrays
from inference_server.models.base import Model, NumberModel, thread_count
from inference_server.models.payload import Given
from inference_server.models.signature import Signature, Tensor

_DTYPES = {"float": "float32", "double": "float64", "string": "object", "bool": "bool", "float16": "float16"}
_LABELS = ("label", "output_label", "class_label")
_PROBABILITIES = ("probabilities", "output_probability", "probability", "scores")


def new_session(model: Any) -> Any:
    """An inference session for a path or a serialised model, with the instance's share of threads."""
    runtime: Any = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = thread_count() or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; converters declare shapes of outputs that hold for one row only
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def load(path: str) -> Model:
    session = new_session(path)
    inputs = session.get_inputs()
    is_table = len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].type in ("tensor(float)", "tensor(double)")
    return OnnxTable(session) if is_table and _is_free(inputs[0].shape[0]) else OnnxTensors(session)


def _is_free(size: Any) -> bool:
    return not isinstance(size, int)


def name_outputs(names: list[str], values: list[Any]) -> dict[str, Any]:
    """What onnxruntime returned as predictions and, where the names say so, probabilities."""
    found = dict(zip(names, values))
    label = next((name for name in names if name in _LABELS), None)
    likely = next((name for name in names if name in _PROBABILITIES), None)
    if label is not None and likely is not None:
        probabilities = found[likely]
        if isinstance(probabilities, list):  # ZipMap: a mapping for each row
            probabilities = [list(one.values()) for one in probabilities]
        return {"predictions": found[label], "probabilities": probabilities}
    return {"predictions": values[0] if len(values) == 1 else found}


class OnnxTable(NumberModel):
    """One input of rows of numbers, as converters make it."""

    def __init__(self, session: Any) -> None:
        given = session.get_inputs()[0]
        width = given.shape[1]
        super().__init__(None, width if isinstance(width, int) else None)
        self.session, self.input_name = session, given.name
        self.dtype = _DTYPES[given.type[7:-1]]
        self.output_names = [one.name for one in session.get_outputs()]

    def accept(self, given: Given) -> arrays.Input:
        if given.named is not None and list(given.named) == [self.input_name]:
            rows = given.named[self.input_name]
            given.named, given.rows = None, rows if isinstance(rows, list) else [rows]
        return super().accept(given)

    def predict(self, value: Any, params: dict[str, Any]) -> dict[str, Any]:
        made = self.session.run(None, {self.input_name: value.astype(self.dtype, copy=False)})
        return name_outputs(self.output_names, made)


class OnnxTensors(Model):
    """Any other inputs: tensors by name."""

    def __init__(self, session: Any) -> None:
        self.session = session
        wanted = []
        for one in session.get_inputs():
            kind = one.type[7:-1]
            shape = tuple(size if isinstance(size, int) else -1 for size in one.shape)
            wanted.append(Tensor(one.name, _DTYPES.get(kind, kind), shape))
        self.signature = Signature(tensors=wanted)
        self.output_names = [one.name for one in session.get_outputs()]
        every = [*session.get_inputs(), *session.get_outputs()]
        self.is_row_wise = all(len(one.shape) > 0 and _is_free(one.shape[0]) for one in every)

    def accept(self, given: Given) -> arrays.Input:
        assert self.signature is not None
        return arrays.tensors(given, self.signature.tensors)

    def predict(self, value: Any, params: dict[str, Any]) -> dict[str, Any]:
        return name_outputs(self.output_names, self.session.run(None, value))
