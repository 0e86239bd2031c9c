"""XGBoost's and LightGBM's own model files."""

from __future__ import annotations

import importlib
import json
from typing import Any

from inference_server.models import arrays
from inference_server.models.base import Model, NumberModel, classes_and_probabilities, thread_count
from inference_server.models.payload import Given
from inference_server.models.signature import Column, Signature


def load_xgboost(path: str) -> Model:
    xgboost: Any = importlib.import_module("xgboost")
    booster = xgboost.Booster()
    booster.load_model(path)
    threads = thread_count()
    if threads is not None:
        booster.set_param({"nthread": threads})
    return XGBoostModel(booster)


class XGBoostModel(NumberModel):
    def __init__(self, booster: Any) -> None:
        super().__init__(booster.feature_names, booster.num_features())
        self.booster = booster
        self.objective = str(json.loads(booster.save_config())["learner"]["objective"]["name"])
        best = booster.attr("best_iteration")
        self.range = (0, int(best) + 1) if best is not None else (0, 0)
        booster.feature_names = None  # checked by then, and not to be checked again at each call

    def predict(self, value: Any, params: dict[str, Any]) -> dict[str, Any]:
        np = arrays.np
        if self.objective == "multi:softmax":
            margins = self.booster.inplace_predict(value, iteration_range=self.range, predict_type="margin")
            powers = np.exp(margins - margins.max(axis=1, keepdims=True))
            return classes_and_probabilities(powers / powers.sum(axis=1, keepdims=True))
        raw = self.booster.inplace_predict(value, iteration_range=self.range)
        is_classifier = self.objective in ("binary:logistic", "multi:softprob")
        return classes_and_probabilities(raw) if is_classifier else {"predictions": raw}


def load_lightgbm(path: str) -> Model:
    lightgbm: Any = importlib.import_module("lightgbm")
    return LightGBMModel(lightgbm.Booster(model_file=path))


class LightGBMModel(NumberModel):
    def __init__(self, booster: Any) -> None:
        names = booster.feature_name()
        is_named = names != [f"Column_{at}" for at in range(len(names))]
        super().__init__(names if is_named else None, booster.num_feature())
        self.booster = booster
        described = booster.dump_model(num_iteration=1)
        self.objective = str(described.get("objective", "")).split(" ")[0]
        self.threads = {} if thread_count() is None else {"num_threads": thread_count()}
        categories = booster.pandas_categorical
        self.categories = categories if isinstance(categories, list) and categories else None
        if self.categories:
            self.signature = Signature([Column(name, "any") for name in names])

    def accept(self, given: Given) -> arrays.Input:
        if not self.categories or self.signature is None:
            return super().accept(given)
        table = self.signature.table(given)
        return arrays.Columns(table, len(next(iter(table.values()))), ("columns", tuple(table)))

    def predict(self, value: Any, params: dict[str, Any]) -> dict[str, Any]:
        raw = self.booster.predict(self._with_categories(value) if isinstance(value, dict) else value, **self.threads)
        is_classifier = self.objective in ("binary", "multiclass", "multiclassova")
        return classes_and_probabilities(raw) if is_classifier else {"predictions": raw}

    @staticmethod
    def _with_categories(columns: dict[str, list[Any]]) -> Any:
        made = arrays.frame(columns, None)
        texts = [name for name in made.columns if made[name].dtype.kind not in "fiub"]
        return made.astype(dict.fromkeys(texts, "category"))
