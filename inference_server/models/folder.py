"""Which file of a model folder is the model, and of which kind: decided from the names alone. Pure."""

from __future__ import annotations

import os
from typing import Iterable, NamedTuple

MLFLOW, SKLEARN, ONNX, XGBOOST, LIGHTGBM = "mlflow", "sklearn", "onnx", "xgboost", "lightgbm"
KIND_OF_SUFFIX = {
    ".pkl": SKLEARN,
    ".pickle": SKLEARN,
    ".joblib": SKLEARN,
    ".onnx": ONNX,
    ".ubj": XGBOOST,
    ".xgb": XGBOOST,
    ".bst": XGBOOST,
    ".lgb": LIGHTGBM,
    ".lgbm": LIGHTGBM,
}
KIND_OF_NAME = {"MLmodel": MLFLOW, "model.json": XGBOOST, "model.txt": LIGHTGBM}
SERVED = (
    "MLmodel, *.pkl, *.pickle, *.joblib, *.onnx, *.ubj, *.xgb, *.bst, model.json (XGBoost), "
    "*.lgb, *.lgbm, model.txt (LightGBM)"
)


class Found(NamedTuple):
    kind: str
    path: str


class NotServed(Exception):
    """Nothing, or more than one thing, in the folder can be served without a script."""


def kind_of(path: str) -> str | None:
    name = path.rsplit("/", 1)[-1]
    return KIND_OF_NAME.get(name) or KIND_OF_SUFFIX.get(os.path.splitext(name)[1].lower())


def find(paths: Iterable[str]) -> Found:
    """The model among paths relative to the folder ("/" between parts). Raises NotServed.

    An MLmodel file goes first, then the candidates nearest to the top; among several, the only one called `model`.
    """
    known = sorted(path for path in paths if not any(part.startswith(".") for part in path.split("/")))
    candidates = [(kind, path) for path in known for kind in [kind_of(path)] if kind]
    described = [(kind, path) for kind, path in candidates if kind == MLFLOW] or candidates
    if not described:
        there = ", ".join(known[:10]) or "nothing"
        raise NotServed(f"The model folder has none of the files that are served without a script; it has {there}.")
    top = min(path.count("/") for _, path in described)
    nearest = [(kind, path) for kind, path in described if path.count("/") == top]
    if len(nearest) > 1:
        called = [(kind, path) for kind, path in nearest if path.rsplit("/", 1)[-1].split(".")[0] == "model"]
        nearest = called if len(called) == 1 else nearest
    if len(nearest) > 1:
        names = ", ".join(path for _, path in nearest[:10])
        raise NotServed(f"The model folder has several models ({names}); name the one to serve model.<suffix>.")
    return Found(*nearest[0])


def files_below(folder: str) -> list[str]:
    """Paths of the files below a folder, relative to it."""
    found = []
    for place, _, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(place, name), folder).replace(os.sep, "/") for name in names]
    return found
