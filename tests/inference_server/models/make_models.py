"""Run inside the environment: one folder for each kind of model, each with what the library itself answers."""

# mypy: ignore-errors
import json
import sys
from pathlib import Path

import joblib
import lightgbm
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import xgboost
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

TARGET = Path(sys.argv[1])
NAMES = ["a", "b", "c", "d"]
random = np.random.default_rng(7)
X = pd.DataFrame(random.normal(size=(300, 4)), columns=NAMES)
Y = (X.a + X.b > 0).astype(int).to_numpy()
THREE = random.integers(0, 3, 300)
WITH_CITY = X.assign(city=random.choice(["Oslo", "Rome"], 300))
ASKED = X.head(5)


def place(name: str) -> Path:
    folder = TARGET / name
    folder.mkdir(parents=True)
    return folder


def expect(name: str, predictions, probabilities=None, rows=None) -> None:
    value = {
        "rows": ASKED.to_numpy().tolist() if rows is None else rows,
        "predictions": np.asarray(predictions).tolist(),
    }
    if probabilities is not None:
        value["probabilities"] = np.asarray(probabilities).tolist()
    (TARGET / name / ".expected.json").write_text(json.dumps(value))


def estimator(name: str, model, asked, rows, file: str = "model.pkl") -> None:
    joblib.dump(model, place(name) / file)
    probabilities = model.predict_proba(asked) if hasattr(model, "predict_proba") else None
    expect(name, model.predict(asked), probabilities, rows)


def estimators() -> None:
    rows = ASKED.to_numpy().tolist()
    plain = X.to_numpy()
    estimator("logistic", LogisticRegression().fit(plain, Y), ASKED.to_numpy(), rows, "model.joblib")
    words = np.array(["no", "yes"])[Y]
    estimator("named", LogisticRegression().fit(X, words), ASKED, rows)
    estimator("scaled", make_pipeline(StandardScaler(), LogisticRegression()).fit(X, THREE), ASKED, rows)
    estimator("svc", SVC().fit(plain, Y), ASKED.to_numpy(), rows)
    estimator("linear", LinearRegression().fit(plain, X.a * 2), ASKED.to_numpy(), rows)
    estimator("forest", RandomForestClassifier(20, random_state=1).fit(plain, THREE), ASKED.to_numpy(), rows)
    estimator("boosting", GradientBoostingClassifier(n_estimators=30).fit(plain, Y), ASKED.to_numpy(), rows)
    estimator("histogram", HistGradientBoostingClassifier(max_iter=30).fit(plain, Y), ASKED.to_numpy(), rows)
    encoder = ColumnTransformer([("city", OneHotEncoder(), ["city"]), ("rest", StandardScaler(), NAMES)])
    city = make_pipeline(encoder, LogisticRegression()).fit(WITH_CITY, Y)
    estimator("city", city, WITH_CITY.head(5), WITH_CITY.head(5).to_numpy().tolist())
    texts = ["good day", "bad day", "good", "bad"]
    spoken = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts * 5, ["p", "n", "p", "n"] * 5)
    estimator("texts", spoken, texts, texts)


def boosters() -> None:
    one = lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(X, Y), 20)
    one.save_model(place("lightgbm") / "model.txt")
    likely = one.predict(ASKED)
    expect("lightgbm", (likely > 0.5).astype(int), np.stack([1 - likely, likely], 1))
    two = xgboost.train({"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(X, THREE), 10)
    two.save_model(place("xgboost") / "model.ubj")
    likely = two.predict(xgboost.DMatrix(ASKED))
    expect("xgboost", likely.argmax(1), likely)


def fine() -> None:
    """A booster that splits between numbers which are one and the same in 32 bits."""
    random = np.random.default_rng(3)
    values = 1e8 + random.integers(0, 4, (400, 2)).astype(float)
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1}, lightgbm.Dataset(values, values[:, 0] > 1e8 + 1), 20
    )
    booster.save_model(place("fine") / "model.txt")
    asked = values[:8]
    likely = booster.predict(asked)
    expect("fine", (likely > 0.5).astype(int), np.stack([1 - likely, likely], 1), asked.tolist())


def onnx_files() -> None:
    model = LogisticRegression().fit(X.to_numpy(), Y)
    table = to_onnx(model, X.to_numpy()[:1].astype(np.float32))
    (place("onnx") / "anything.onnx").write_bytes(table.SerializeToString())
    expect("onnx", model.predict(ASKED.to_numpy()), model.predict_proba(ASKED.to_numpy()))
    from onnx import TensorProto, helper

    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", 2]) for name in ("left", "right")]
    output = helper.make_tensor_value_info("sum", TensorProto.INT64, ["n", 2])
    graph = helper.make_graph([helper.make_node("Add", ["left", "right"], ["sum"])], "add", inputs, [output])
    opsets = [helper.make_opsetid("", 15)]
    added = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    (place("tensors") / "model.onnx").write_bytes(added.SerializeToString())


class Threshold(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return (model_input["age"] > (params or {}).get("limit", 18)).tolist()


def mlflow_folders() -> None:
    inputs = Schema([ColSpec("double", name) for name in NAMES[:3]] + [ColSpec("long", "d")])
    rows = ASKED.assign(d=[1, 2, 3, 4, 5])
    model = LogisticRegression().fit(X.assign(d=THREE), Y)
    folder = str(TARGET / "mlflow" / "churn")
    form = {"serialization_format": "cloudpickle", "pip_requirements": ["scikit-learn"]}
    mlflow.sklearn.save_model(model, folder, signature=ModelSignature(inputs=inputs), **form)
    expect("mlflow", model.predict(rows), model.predict_proba(rows), rows.astype(object).to_numpy().tolist())
    columns = Schema([ColSpec("long", "age"), ColSpec("string", "name", required=False)])
    signature = ModelSignature(inputs=columns, params=ParamSchema([ParamSpec("limit", "long", 18)]))
    folder = str(TARGET / "pyfunc")
    mlflow.pyfunc.save_model(folder, python_model=Threshold(), signature=signature, pip_requirements=["pandas"])


estimators()
boosters()
fine()
onnx_files()
mlflow_folders()
