"""Models of scikit-learn and everything that looks like one, from a pickle or joblib file."""

from __future__ import annotations

import importlib
import pickle
import warnings
from typing import Any

from inference_server.inputs import Refused
from inference_server.models import arrays
from inference_server.models.base import Model, ModelUnusable, NumberModel
from inference_server.models.payload import Given
from inference_server.models.signature import Column, Signature

# predict() of these is the class with the largest probability, so one call gives both.
FUSED = frozenset(
    """LogisticRegression RandomForestClassifier ExtraTreesClassifier GradientBoostingClassifier DecisionTreeClassifier
    ExtraTreeClassifier HistGradientBoostingClassifier MLPClassifier GaussianNB LinearDiscriminantAnalysis""".split()
)
# First steps of a pipeline that take an array of numbers as well as a frame.
NUMERIC_STEPS = (
    "sklearn.preprocessing._data",
    "sklearn.decomposition.",
    "sklearn.impute.",
    "sklearn.feature_selection.",
)


def load_estimator(path: str) -> Any:
    """What the file holds. Raises what unpickling raises, ModelUnusable when it cannot predict."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        try:
            joblib = importlib.import_module("joblib")
        except ModuleNotFoundError:
            with open(path, "rb") as file:
                return pickle.load(file)
        return joblib.load(path)


def load(path: str, estimator: Any = None, predict_name: str = "predict", signature: Signature | None = None) -> Model:
    """The model in a file, or around an `estimator` that was loaded already. Raises ModelUnusable."""
    estimator = load_estimator(path) if estimator is None else estimator
    if not callable(getattr(estimator, predict_name, None)):
        kind = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
        raise ModelUnusable(
            f"{path} holds a {kind}, which has no {predict_name}().\n"
            "Remedy: store the fitted model itself, or write a scoring script for what the file holds."
        )
    names = getattr(estimator, "feature_names_in_", None)
    width = getattr(estimator, "n_features_in_", None)
    names = [str(name) for name in names] if names is not None else None
    if signature is not None and signature.columns and width is None:
        width = len(signature.columns)
    speaker = _Estimator(estimator, predict_name)
    if _takes_numbers(estimator, names, width, signature):
        speaker.forget_names()
        return NumberEstimator(speaker, names, width, signature)
    return FrameEstimator(speaker, names, width, signature)


def steps_of(estimator: Any) -> list[Any]:
    """The estimator, or the steps of a pipeline."""
    steps = getattr(estimator, "steps", None)
    return [step for _, step in steps] if isinstance(steps, list) and steps else [estimator]


def _takes_numbers(estimator: Any, names: list[str] | None, width: int | None, signature: Signature | None) -> bool:
    """Whether an array of numbers does as well as what the model was fitted on."""
    if width is None or (
        signature and any(one.type not in ("double", "long", "integer", "float") for one in signature.columns)
    ):
        return False
    first = steps_of(estimator)[0]
    if getattr(first, "is_categorical_", None) is not None or hasattr(first, "best_estimator_"):
        return False
    module = type(first).__module__
    if first is estimator:
        return not module.startswith("sklearn.compose")
    return module.startswith(NUMERIC_STEPS) or hasattr(first, "predict")


class _Estimator:
    """Predictions and, from a classifier, probabilities in as few calls as the estimator allows."""

    def __init__(self, estimator: Any, predict_name: str) -> None:
        self.estimator, self.predict_name = estimator, predict_name
        self.call = getattr(estimator, predict_name)
        last = steps_of(estimator)[-1]
        self.is_classifier = predict_name == "predict" and hasattr(estimator, "predict_proba")
        classes = getattr(last, "classes_", None)
        is_plain = isinstance(classes, arrays.np.ndarray) and classes.ndim == 1
        self.classes = (
            classes if is_plain and type(last).__name__ in FUSED and type(last).__module__[:8] == "sklearn." else None
        )

    def forget_names(self) -> None:
        """Take arrays without a warning at each call: the names have been checked by then."""
        for step in {id(one): one for one in (self.estimator, steps_of(self.estimator)[0])}.values():
            if "feature_names_in_" in vars(step):
                del step.feature_names_in_

    def answer(self, value: Any) -> dict[str, Any]:
        if not self.is_classifier:
            return {"predictions": self.call(value)}
        probabilities = self.estimator.predict_proba(value)
        if self.classes is not None:
            return {"predictions": self.classes[probabilities.argmax(axis=1)], "probabilities": probabilities}
        if isinstance(probabilities, list):  # one array for each output
            probabilities = arrays.np.stack(probabilities, axis=1)
        return {"predictions": self.call(value), "probabilities": probabilities}


class NumberEstimator(NumberModel):
    def __init__(
        self, speaker: _Estimator, names: list[str] | None, width: int | None, signature: Signature | None
    ) -> None:
        super().__init__(names, width, signature)
        self.speaker = speaker

    def predict(self, value: Any, params: dict[str, Any]) -> dict[str, Any]:
        return self.speaker.answer(value)


class FrameEstimator(Model):
    """A model that wants names or values other than numbers: a pipeline with encoders, or one that takes texts."""

    def __init__(
        self, speaker: _Estimator, names: list[str] | None, width: int | None, signature: Signature | None
    ) -> None:
        self.speaker, self.width = speaker, width
        self.has_names = names is not None or bool(signature and signature.columns)
        self.sample_row = None if self.has_names else "text" if width is None else [0.0] * width
        known = names or [f"column_{at}" for at in range(width or 0)]
        self.signature = signature or (Signature([Column(name, "any") for name in known]) if known else None)

    def accept(self, given: Given) -> arrays.Input:
        if self.signature is not None and self.signature.columns:
            table = self.signature.table(given)
            count = len(next(iter(table.values())))
            if self.has_names:
                return arrays.Columns(table, count, ("columns", tuple(table)))
            array = arrays.np.array(list(zip(*table.values())), dtype=object)
            return arrays.Rows(array, count, ("objects", len(table)))
        if given.rows is None:
            raise Refused(400, "This model takes a list of values: send them as data, without names.")
        rows = [row[0] if given.columns is not None and len(row) == 1 else row for row in given.rows]
        return arrays.Rows(rows, len(rows), "values")

    def predict(self, value: Any, params: dict[str, Any]) -> dict[str, Any]:
        return self.speaker.answer(arrays.frame(value, self.signature) if isinstance(value, dict) else value)
