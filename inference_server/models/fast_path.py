"""The same answers from onnxruntime, where it is in the environment, proves equal on a sample, and is faster."""

from __future__ import annotations

import importlib
import re
import time
import warnings
from typing import Any, Callable, Sequence

from inference_server.models import arrays
from inference_server.models.base import Model, NumberModel
from inference_server.models.boosted_model import LightGBMModel, XGBoostModel
from inference_server.models.onnx_model import name_outputs, new_session
from inference_server.models.sklearn_model import NumberEstimator, steps_of

TOLERANCE = 1e-5
# Where two classes are nearer to each other than this, the original decides which one it is.
MARGIN = 1e-4
SAMPLE_ROWS = 512
MAX_SPLITS = 200_000
FLOAT_LIMIT = 3e38
OPSETS = {"": 15, "ai.onnx.ml": 3}
_SPLIT = re.compile(r"\[f(\d+)<([^\]]+)\]")


class NotUsed(Exception):
    """The original model goes on serving; the text says why."""


class FastPath:
    """Stands for `predict` of a model. Rows it is not sure to answer equally go to the original."""

    def __init__(self, model: Model, session: Any, dtype: str) -> None:
        self._original, self._session, self.dtype = model.predict, session, dtype
        self._input = session.get_inputs()[0].name
        self._names = [one.name for one in session.get_outputs()]
        self._is_flat = False

    def flatten(self) -> None:
        """Answer with one number a row instead of a list of one."""
        self._is_flat = True

    def predict(self, value: Any, params: dict[str, Any]) -> dict[str, Any]:
        np = arrays.np
        if not np.abs(value).max(initial=0.0) < FLOAT_LIMIT:  # NaN too: what is missing is the original's to judge
            return self._original(value, params)
        made = name_outputs(self._names, self._session.run(None, {self._input: value.astype(self.dtype, copy=False)}))
        likely = made.get("probabilities")
        if likely is not None:
            two = likely if likely.shape[1] == 2 else np.partition(likely, -2, axis=1)[:, -2:]
            if (np.abs(two[:, 1] - two[:, 0]) < MARGIN).any():
                return self._original(value, params)
        elif self._is_flat:
            made["predictions"] = made["predictions"].ravel()
        return made


def find(model: Model, examples: Sequence[Any] = ()) -> tuple[FastPath, str]:
    """The fast path, and a sentence about it. `examples` are arrays of rows to be compared as well. Raises NotUsed."""
    if not isinstance(model, (NumberEstimator, XGBoostModel, LightGBMModel)) or not model.width:
        raise NotUsed("it is for models of scikit-learn, XGBoost and LightGBM that take rows of numbers")
    for name in ("onnxruntime", _converter_of(model)):
        try:
            importlib.import_module(name)
        except ImportError:
            raise NotUsed(f"the environment has no {name}") from None
    splits = splits_of(model)
    count = sum(len(values) for values in splits.values())
    if count > MAX_SPLITS:
        raise NotUsed(f"the model has {count} splits; converting more than {MAX_SPLITS} would take too long")
    rows = arrays.np.concatenate([sample(model, splits), *examples])
    expected = model.predict(rows, {})
    reasons = []
    for dtype in ("float64", "float32"):
        try:
            fast = FastPath(model, _session(model, dtype), dtype)
            apart = _compare(fast, rows, expected)
            return (
                fast,
                f"equal on {len(rows)} rows (largest difference {apart:.1e}), {_faster(fast, model, rows)}, {dtype}",
            )
        except NotUsed as error:
            reasons.append(f"{dtype}: {error}")
        except Exception as error:  # a converter may raise anything for a model it does not know
            text = str(error).strip().split("\n")[0]
            reasons.append(f"{dtype}: {type(error).__name__}: {text[:120]}")
    raise NotUsed("; ".join(reasons))


def _converter_of(model: Model) -> str:
    return "skl2onnx" if isinstance(model, NumberEstimator) else "onnxmltools"


def _session(model: NumberModel, dtype: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = _convert(model, dtype)
        return new_session(converted.SerializeToString())


def _convert(model: NumberModel, dtype: str) -> Any:
    shape = [None, model.width]
    if isinstance(model, NumberEstimator):
        converter: Any = importlib.import_module("skl2onnx")
        types: Any = importlib.import_module("skl2onnx.common.data_types")
        kind = types.DoubleTensorType if dtype == "float64" else types.FloatTensorType
        estimator = model.speaker.estimator
        options = {id(estimator): {"zipmap": False}} if model.speaker.is_classifier else None
        if model.speaker.predict_name != "predict" or (options is None and hasattr(estimator, "classes_")):
            raise NotUsed("it answers with something else than predictions and probabilities")
        return converter.convert_sklearn(
            estimator, initial_types=[("X", kind(shape))], options=options, target_opset=OPSETS
        )
    if dtype == "float64":
        raise NotUsed("boosters are converted to float32 only")
    tools: Any = importlib.import_module("onnxmltools")
    types = importlib.import_module("onnxmltools.convert.common.data_types")
    given = {"initial_types": [("X", types.FloatTensorType(shape))], "target_opset": OPSETS[""]}
    if isinstance(model, LightGBMModel):
        return tools.convert_lightgbm(model.booster, zipmap=False, **given)
    assert isinstance(model, XGBoostModel)
    return tools.convert_xgboost(model.booster, **given)


def _compare(fast: FastPath, rows: Any, expected: dict[str, Any]) -> float:
    """The largest difference. Raises NotUsed when it is too large, or a class is another."""
    np = arrays.np
    wanted = np.asarray(expected["predictions"])
    if "probabilities" not in expected:
        if wanted.ndim == 1:
            fast.flatten()
        got = np.asarray(fast.predict(rows, {})["predictions"])
        if got.shape != wanted.shape or wanted.dtype.kind != "f":
            raise NotUsed(f"the answers have another shape ({got.shape} instead of {wanted.shape})")
        if not np.allclose(got, wanted, rtol=TOLERANCE, atol=TOLERANCE):
            raise NotUsed(f"answers differ by up to {np.abs(got - wanted).max():.1e}")
        return float(np.abs(got - wanted).max())
    made = fast.predict(rows, {})
    likely = np.asarray(expected["probabilities"])
    if "probabilities" not in made or made["probabilities"].shape != likely.shape:
        raise NotUsed("the probabilities have another shape")
    others = int((np.asarray(made["predictions"]) != wanted).sum())
    apart = float(np.abs(made["probabilities"] - likely).max())
    if others or not apart <= TOLERANCE:
        raise NotUsed(f"{others} of {len(rows)} classes differ, probabilities by up to {apart:.1e}")
    return apart


def _faster(fast: FastPath, model: Model, rows: Any) -> str:
    """How much faster. Raises NotUsed when it is not, for one row and for 64 together."""
    few, many = rows[:1], rows[:64]
    before = _microseconds(model.predict, few), _microseconds(model.predict, many)
    after = _microseconds(fast.predict, few), _microseconds(fast.predict, many)
    text = f"{before[0]:.0f} → {after[0]:.0f} µs for one row, {before[1]:.0f} → {after[1]:.0f} µs for {len(many)}"
    if sum(after) >= sum(before):
        raise NotUsed(f"it is not faster ({text})")
    return text


def _microseconds(predict: Callable[[Any, dict[str, Any]], Any], rows: Any) -> float:
    """The best of some calls, so that a busy machine does not decide."""
    best = float("inf")
    for _ in range(10):
        started_at = time.perf_counter()
        predict(rows, {})
        best = min(best, time.perf_counter() - started_at)
    return best * 1e6


# the sample


def sample(model: NumberModel, splits: dict[int, list[float]]) -> Any:
    """Rows over the range the model knows: evenly spread, whole numbers, and the middles between a tree's splits."""
    np = arrays.np
    random = np.random.default_rng(0)
    columns = []
    for at in range(model.width or 0):
        low, high, middles = _range(model, at, splits.get(at, []))
        width = high - low
        spread = random.uniform(low - width / 2, high + width / 2, SAMPLE_ROWS)
        spread[SAMPLE_ROWS // 2 : 3 * SAMPLE_ROWS // 4] = random.choice(middles, SAMPLE_ROWS // 4)
        spread[3 * SAMPLE_ROWS // 4 :] = np.round(spread[3 * SAMPLE_ROWS // 4 :])
        columns.append(spread)
    return np.stack(columns, axis=1)


def _range(model: NumberModel, at: int, splits: list[float]) -> tuple[float, float, Any]:
    np = arrays.np
    values = np.unique(np.asarray([one for one in splits if abs(one) < 1e30], dtype=np.float64))
    if len(values):
        low, high = float(values[0]), float(values[-1])
        edge = (high - low) / 2 or max(1.0, abs(low))
        return low - edge, high + edge, np.concatenate([[low - edge], (values[1:] + values[:-1]) / 2, [high + edge]])
    if isinstance(model, NumberEstimator):
        first = steps_of(model.speaker.estimator)[0]
        mean, scale = getattr(first, "mean_", None), getattr(first, "scale_", None)
        if mean is not None and scale is not None and len(mean) == model.width:
            low, high = float(mean[at] - 3 * scale[at]), float(mean[at] + 3 * scale[at])
            return low, high, np.asarray([low, float(mean[at]), high])
    return -3.0, 3.0, np.asarray([-1.0, 0.0, 1.0])


def splits_of(model: Model) -> dict[int, list[float]]:
    """The thresholds of a model's trees, by the number of the column; empty for other models."""
    found: dict[int, list[float]] = {}
    if isinstance(model, XGBoostModel):
        for text in model.booster.get_dump():
            for column, value in _SPLIT.findall(text):
                found.setdefault(int(column), []).append(float(value))
    elif isinstance(model, LightGBMModel):
        for tree in model.booster.dump_model()["tree_info"]:
            _lightgbm_splits(tree["tree_structure"], found)
    elif isinstance(model, NumberEstimator):
        last = steps_of(model.speaker.estimator)
        for tree in _trees(last[-1]) if len(last) == 1 else []:
            for column, value in zip(tree.feature, tree.threshold):
                if column >= 0:
                    found.setdefault(int(column), []).append(float(value))
    return found


def _lightgbm_splits(node: dict[str, Any], found: dict[int, list[float]]) -> None:
    pending = [node]
    while pending:
        one = pending.pop()
        if "split_feature" not in one:
            continue
        if isinstance(one["threshold"], (int, float)):
            found.setdefault(int(one["split_feature"]), []).append(float(one["threshold"]))
        pending += [one["left_child"], one["right_child"]]


def _trees(estimator: Any) -> list[Any]:
    """scikit-learn's tree structures in a tree, a forest or gradient boosting."""
    if hasattr(estimator, "tree_"):
        return [estimator.tree_]
    members = getattr(estimator, "estimators_", None)
    if members is None:
        return []
    return [member.tree_ for member in arrays.np.ravel(members) if hasattr(member, "tree_")]
