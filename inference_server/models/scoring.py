"""What takes the scoring script's place when there is none: the model folder's own model, many requests to a call."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Callable

from inference_server.inputs import Refused
from inference_server.log import SCRIPT, log
from inference_server.models import arrays, folder
from inference_server.models.base import Model, ModelUnusable
from inference_server.models.payload import Given, parse
from inference_server.outputs import Encoded
from inference_server.script import Script, ScriptFailed, extend_search_path

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

PACKAGE_OF_KIND = {
    folder.SKLEARN: "scikit-learn and joblib, in the versions the model was stored with",
    folder.ONNX: "onnxruntime",
    folder.XGBOOST: "xgboost",
    folder.LIGHTGBM: "lightgbm",
    folder.MLFLOW: "mlflow-skinny (or mlflow) and the model's own packages, which its requirements.txt lists",
}
EXAMPLE_BYTES = 100_000


def _loaders() -> dict[str, Callable[[str], Model]]:
    from inference_server.models import boosted_model, mlflow_model, onnx_model, sklearn_model

    return {
        folder.SKLEARN: sklearn_model.load,
        folder.ONNX: onnx_model.load,
        folder.XGBOOST: boosted_model.load_xgboost,
        folder.LIGHTGBM: boosted_model.load_lightgbm,
        folder.MLFLOW: mlflow_model.load,
    }


class GeneratedScoring(Script):
    """Stands where the script would; `batch` takes the bodies of several requests and returns an answer for each."""

    kind = "model"
    fast_path_note = ""

    def load(self) -> None:
        """Find the model. Raises ScriptFailed."""
        model_dir = self._settings.model_dir or ""
        extend_search_path(self._settings.search_paths)
        if not os.path.isdir(model_dir):
            raise ScriptFailed(
                f"There is no scoring script, and AZUREML_MODEL_DIR is {model_dir}, which is not a directory.\n"
                "Remedy: give the deployment a model, or a scoring script."
            )
        try:
            self.found = folder.find(folder.files_below(model_dir))
        except folder.NotServed as error:
            raise ScriptFailed(
                f"There is no scoring script, and scoring cannot be generated. {error}\n"
                f"Remedy: give the deployment a scoring script, or a model of a kind that is served without one: {folder.SERVED}."
            ) from error
        self.first_parameter = "data"
        self.path = os.path.join(model_dir, self.found.path)
        log.line(f"No scoring script: scoring is generated for {self.found.path} ({self.found.kind})", name=SCRIPT)

    def init(self) -> None:
        """Load the model. Raises ScriptFailed for anything that this raises."""
        started_at = time.monotonic()
        try:
            self.model = _loaders()[self.found.kind](self.path)
        except ModelUnusable as error:
            raise ScriptFailed(str(error)) from error
        except BaseException as error:
            text = f"The model {self.path} cannot be loaded: {type(error).__name__}: {error}\nRemedy: {self._remedy(error)}"
            raise ScriptFailed(text) from error
        self._predict_rows = self.model.predict
        self._take_fast_path()
        self.run = self._run_one
        self.batch = self.score
        log.line(f"Loading the model took {time.monotonic() - started_at:.3f} s", name=SCRIPT)
        log.line(f"Sample request: {json.dumps(self.sample())[:2000]}", name=SCRIPT, now=True)

    def _take_fast_path(self) -> None:
        """Let onnxruntime answer where it can; the log says whether, and why."""
        if not self._settings.fast_path or self.found.kind == folder.ONNX:
            return
        from inference_server.models import fast_path

        started_at = time.monotonic()
        try:
            fast, text = fast_path.find(self.model, self._examples())
        except fast_path.NotUsed as reason:
            self.fast_path_note = f"not used, {reason}"
            log.line(f"Fast path: {self.fast_path_note}", name=SCRIPT)
            return
        self._predict_rows = fast.predict
        text += f"; found in {time.monotonic() - started_at:.2f} s. STUDIO_FAST_PATH=false turns it off"
        self.fast_path_note = f"onnxruntime serves the model, {text}"
        log.line(f"Fast path: {self.fast_path_note}", name=SCRIPT)

    def _examples(self) -> list[Any]:
        """Rows that came with the model."""
        stored = self._stored_example()
        if stored is None:
            return []
        try:
            made = self.model.accept(parse(json.dumps(stored).encode()))
        except Refused:
            return []
        return [made.value] if isinstance(made.value, arrays.np.ndarray) else []

    def _remedy(self, error: BaseException) -> str:
        needs = PACKAGE_OF_KIND[self.found.kind]
        if isinstance(error, ModuleNotFoundError) and error.name:
            package = error.name.split(".")[0]
            return f"the environment of the deployment has no {package!r}; this model needs {needs}."
        if isinstance(error, MemoryError):
            return "the model does not fit into the memory of the instance; choose a larger instance type."
        return f"use an environment with {needs}; a file that was stored with other versions often does not load."

    # scoring

    def _run_one(self, data: bytes) -> Any:
        value = self.score([data])[0]
        if isinstance(value, BaseException):
            raise value
        return value

    def score(self, bodies: list[bytes]) -> list[Any]:
        """For each body its answer, or the exception that says why there is none. Bodies that fit share a call."""
        results: list[Any] = [None] * len(bodies)
        groups: dict[Any, list[tuple[int, Given, arrays.Input]]] = {}
        for at, body in enumerate(bodies):
            try:
                given = parse(body)
                made = self.model.accept(given)
                key = (made.key, _comparable(given.params)) if self.model.is_row_wise else at
                groups.setdefault(key, []).append((at, given, made))
            except Exception as error:
                results[at] = error
        for group in groups.values():
            self._predict(group, results)
        return results

    def _predict(self, group: list[tuple[int, Given, arrays.Input]], results: list[Any]) -> None:
        counts = [made.count for _, _, made in group]
        try:
            outputs = self._predict_rows(arrays.join([made for _, _, made in group]), group[0][1].params)
            if len(group) == 1:
                results[group[0][0]] = self._encode(group[0][1], arrays.plain(outputs))
                return
            if arrays.row_counts(outputs) != {sum(counts)}:
                self.model.is_row_wise = False
                raise ValueError("the model does not answer row by row")
            outputs = arrays.plain(outputs)
            start = 0
            for (at, given, _), count in zip(group, counts):
                results[at] = self._encode(given, arrays.part(outputs, start, start + count))
                start += count
        except Exception as error:
            if len(group) == 1:
                results[group[0][0]] = _blame(error)
                return
            for one in group:
                self._predict([one], results)

    def _encode(self, given: Given, outputs: dict[str, Any]) -> Encoded:
        predictions = outputs["predictions"]
        if self.model.is_mlflow and given.form != "data":
            value = predictions if given.form == "input_data" else {"predictions": predictions}
        elif "probabilities" in outputs:
            value = {"predictions": predictions, "probabilities": outputs["probabilities"]}
        else:
            value = {"predictions": predictions}
        return Encoded(orjson.dumps(value) if orjson is not None else json.dumps(value).encode())

    # the API document

    def sample(self) -> dict[str, Any]:
        """A request this model takes: MLflow's own example where it stored one, otherwise made from the signature."""
        stored = self._stored_example()
        if stored is not None:
            return stored
        signature = self.model.signature
        if self.model.sample_row is not None or signature is None:
            return {"data": [[0.0] if self.model.sample_row is None else self.model.sample_row]}
        if signature.tensors:
            zeros = {one.name: _zeros(one.shape, one.dtype) for one in signature.tensors}
            return {"input_data": zeros[""] if list(zeros) == [""] else zeros}
        row = signature.sample_row()
        return {"input_data": {"columns": [column.name for column in signature.columns], "data": [row]}}

    def _stored_example(self) -> dict[str, Any] | None:
        path = os.path.join(os.path.dirname(self.path), "serving_input_example.json")
        if not self.model.is_mlflow or not os.path.isfile(path) or os.path.getsize(path) > EXAMPLE_BYTES:
            return None
        try:
            with open(path, encoding="utf-8") as file:
                value = json.load(file)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def schemas(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON schemas of the request, with its example, and of the answer."""
        signature = self.model.signature
        row = signature.schema() if signature is not None and signature.columns else {"type": "object"}
        rows: dict[str, Any] = {"type": "array", "items": {"type": "array", "items": {}}}
        split = {
            "type": "object",
            "properties": {"columns": {"type": "array", "items": {"type": "string"}}, "data": rows},
        }
        given = {
            "type": "object",
            "properties": {
                "data": rows,
                "input_data": split,
                "dataframe_split": split,
                "dataframe_records": {"type": "array", "items": row},
                "params": {"type": "object"},
            },
            "example": self.sample(),
        }
        lists = {"predictions": {"type": "array", "items": {}}, "probabilities": rows}
        if self.model.is_mlflow:
            return given, {"type": "array", "items": {}}
        return given, {"type": "object", "properties": lists}


def _comparable(params: dict[str, Any]) -> str:
    return json.dumps(params, sort_keys=True) if params else ""


def _blame(error: Exception) -> Exception:
    """Libraries raise ValueError and TypeError for values they do not take: the request is at fault, not the model."""
    if isinstance(error, (ValueError, TypeError)):
        refusal = Refused(400, f"The model refused the input: {error}")
        refusal.__cause__ = error
        return refusal
    return error


def _zeros(shape: tuple[int, ...], dtype: str) -> Any:
    if not shape:
        return "" if dtype in ("object", "str") else 0
    return [_zeros(shape[1:], dtype) for _ in range(1 if shape[0] < 0 else min(shape[0], 64))]
