"""Folders with an MLmodel file: scikit-learn's flavour directly, every other through MLflow's python_function."""

from __future__ import annotations

import importlib
import os
from typing import Any

from inference_server.inputs import Refused
from inference_server.models import arrays, sklearn_model
from inference_server.models.base import Model, ModelUnusable
from inference_server.models.payload import Given
from inference_server.models.signature import Signature, from_mlmodel

# Flavours whose answer for a row does not depend on the other rows; a python_function of one's own may do anything.
ROW_WISE_LOADERS = frozenset(
    ("mlflow.sklearn", "mlflow.xgboost", "mlflow.lightgbm", "mlflow.onnx", "mlflow.catboost", "mlflow.pytorch")
)


def load(path: str) -> Model:
    """The model of an MLmodel file. Raises ModelUnusable and what loading it raises."""
    folder = os.path.dirname(path)
    described = _read(path)
    flavors = described.get("flavors") or {}
    generic = flavors.get("python_function")
    if not generic:
        has = ", ".join(flavors) or "none"
        raise ModelUnusable(
            f"{path} has no flavour python_function, which scoring without a script needs (it has {has}).\n"
            "Remedy: log the model with a flavour that MLflow can serve, or write a scoring script."
        )
    signature = from_mlmodel(described)
    loader = str(generic.get("loader_module", ""))
    own = flavors.get("sklearn")
    is_plain = (
        not (signature and signature.tensors) and not generic.get("code") and not (signature and signature.params)
    )
    if own and loader == "mlflow.sklearn" and is_plain and own.get("serialization_format") in ("pickle", "cloudpickle"):
        estimator = sklearn_model.load_estimator(os.path.join(folder, own["pickled_model"]))
        model = sklearn_model.load(path, estimator, str(generic.get("predict_fn") or "predict"), signature)
        model.is_mlflow = True
        return model
    mlflow: Any = importlib.import_module("mlflow.pyfunc")
    return PyFunc(mlflow.load_model(folder), signature, loader in ROW_WISE_LOADERS)


def _read(path: str) -> dict[str, Any]:
    yaml: Any = importlib.import_module("yaml")
    with open(path, encoding="utf-8") as file:
        try:
            described = yaml.safe_load(file)
        except yaml.YAMLError as error:
            raise ModelUnusable(
                f"{path} is not YAML: {error}.\nRemedy: register the folder that MLflow wrote."
            ) from error
    if not isinstance(described, dict):
        raise ModelUnusable(f"{path} is not an MLmodel document.\nRemedy: register the folder that MLflow wrote.")
    return described


class PyFunc(Model):
    """MLflow's python_function; its own enforcement of the signature comes after the check here."""

    is_mlflow = True

    def __init__(self, model: Any, signature: Signature | None, is_row_wise: bool) -> None:
        self.model, self.signature, self.is_row_wise = model, signature, is_row_wise

    def accept(self, given: Given) -> arrays.Input:
        signature = self.signature
        if signature is not None and (signature.params or given.params):
            signature.check_params(given.params)
        if signature is not None and signature.tensors:
            return arrays.tensors(given, signature.tensors)
        if signature is not None and signature.columns:
            return _columns(signature.table(given))
        if given.columns is not None and given.rows is not None:
            return _columns({name: list(values) for name, values in zip(given.columns, zip(*given.rows))})
        if given.named is not None:
            return _columns(
                {name: value if isinstance(value, list) else [value] for name, value in given.named.items()}
            )
        array = arrays.natural(given.rows, given.form)
        return arrays.Rows(array, len(array), ("array", array.dtype.str, array.shape[1:]))

    def predict(self, value: Any, params: dict[str, Any]) -> dict[str, Any]:
        exceptions: Any = importlib.import_module("mlflow.exceptions")
        if isinstance(value, dict):
            is_tensors = self.signature is not None and bool(self.signature.tensors)
            unnamed = next(iter(value.values())) if is_tensors and list(value) == [""] else None
            value = unnamed if unnamed is not None else value if is_tensors else arrays.frame(value, self.signature)
        try:
            return {"predictions": self.model.predict(value, params=params) if params else self.model.predict(value)}
        except exceptions.MlflowException as error:
            if error.error_code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST"):
                raise Refused(400, f"The model refused the input: {error.message}") from error
            raise


def _columns(table: dict[str, list[Any]]) -> arrays.Columns:
    lengths = {len(values) for values in table.values()}
    if len(lengths) > 1:
        sizes = ", ".join(f"{name}: {len(values)}" for name, values in table.items())
        raise Refused(400, f"The columns have different numbers of values ({sizes}).")
    return arrays.Columns(table, lengths.pop() if lengths else 0, ("columns", tuple(table)))
