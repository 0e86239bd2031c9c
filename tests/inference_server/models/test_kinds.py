"""Each kind of model, in an environment with the real libraries: answers equal to the library's own."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.inference_server.models.environment import HERE, REPOSITORY, ModelEnvironment
from tests.inference_server.server import Server

pytestmark = pytest.mark.network
COLUMNS = ["a", "b", "c", "d"]
EQUAL = ["logistic", "named", "scaled", "svc", "linear", "forest", "boosting", "histogram", "city", "texts"]
EQUAL += ["lightgbm", "xgboost", "onnx", "mlflow", "fine"]
FAST = ["logistic", "named", "scaled", "linear", "forest", "boosting", "lightgbm", "xgboost", "mlflow"]
ROW = [0.5, 1, -2, 3]

CALLS: dict[str, list[list[Any]]] = {
    "logistic": [[{"data": [[1, "x", 2, 3]]}, {"data": [[1, 2]]}, {"input_data": [ROW]}, {"data": [[None, 1, 1, 1]]}]],
    "named": [
        [{"input_data": {"columns": COLUMNS[::-1], "data": [ROW[::-1]]}}, {"data": [ROW]}, {"data": [["x", 0, 0, 0]]}]
    ],
    "city": [[{"dataframe_records": [{"a": 1}]}, {"data": [[1, 2, 3, 4, "Mars"]]}]],
    "mlflow": [
        [
            {"input_data": {"columns": COLUMNS, "data": [ROW]}},
            {"dataframe_split": {"columns": COLUMNS, "data": [ROW]}},
            {"input_data": {"columns": COLUMNS, "data": [[1, 2, 3, 4.5]]}},
        ]
    ],
    "pyfunc": [
        [
            {"input_data": {"columns": ["age"], "data": [[20]]}},
            {"input_data": {"columns": ["age"], "data": [[20]]}, "params": {"limit": 30}},
            {"inputs": {"age": [20, 10], "name": ["x", None]}},
            {"input_data": {"columns": ["age"], "data": [[20]]}, "params": {"limit": "x"}},
        ]
    ],
    "tensors": [
        [
            {"input_data": {"left": [[1, 2]], "right": [[3, 4]]}},
            {"inputs": {"left": [[1, 2], [5, 6]], "right": [[3, 4], [0, 0]]}},
            {"inputs": {"left": [[1.5, 2]], "right": [[3, 4]]}},
            {"inputs": {"left": [[1, 2, 3]], "right": [[3, 4]]}},
            {"inputs": {"left": [[1, 2]]}},
        ]
    ],
}


@pytest.fixture(scope="module")
def probed(model_environment: ModelEnvironment) -> dict[str, Any]:
    """What each folder answered: to the rows the library answered at the making, then to CALLS."""
    asked = {}
    for name in {*EQUAL, *CALLS}:
        first = [{"data": expected(model_environment, name)["rows"]}] if name in EQUAL else []
        asked[str(model_environment.models / name)] = [first, *CALLS.get(name, [])]
    done = subprocess.run(
        [model_environment.python, str(HERE / "probe.py")],
        input=json.dumps(asked),
        env={**os.environ, "REPOSITORY": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {Path(folder).name: value for folder, value in json.loads(done.stdout.splitlines()[-1]).items()}


def expected(environment: ModelEnvironment, name: str) -> dict[str, Any]:
    return dict(json.loads((environment.models / name / ".expected.json").read_text()))


@pytest.mark.parametrize("name", EQUAL)
def test_answers_are_those_of_the_library(probed, model_environment, name):
    [[status, answer]] = probed[name]["calls"][0]
    assert status == 200, answer
    wanted = expected(model_environment, name)
    if isinstance(wanted["predictions"][0], float):
        assert answer["predictions"] == pytest.approx(wanted["predictions"])
    else:
        assert answer["predictions"] == wanted["predictions"]
    assert ("probabilities" in answer) == ("probabilities" in wanted)
    for row, want in zip(answer.get("probabilities", []), wanted.get("probabilities", []), strict=True):
        assert row == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize("name", FAST)
def test_models_that_convert_are_served_by_onnxruntime(probed, name):
    assert probed[name]["fast"].startswith("onnxruntime serves the model, equal on 51"), probed[name]["fast"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("fine", "of 512 classes differ"),
        ("svc", "something else than predictions and probabilities"),
        ("city", "take rows of numbers"),
        ("texts", "take rows of numbers"),
        ("pyfunc", "take rows of numbers"),
        ("onnx", ""),
    ],
)
def test_other_models_are_served_as_they_are_and_the_log_says_why(probed, name, why):
    note = probed[name]["fast"]
    assert note.startswith("not used, ") == bool(why)
    assert why in note


def test_the_fast_path_can_be_turned_off(serve, model_environment):
    folder = str(model_environment.models / "boosting")
    flags = {"AML_APP_ROOT": folder, "STUDIO_FAST_PATH": "false"}
    server = serve(None, "--model_dir", folder, python=model_environment.python, **flags).until_ready()
    assert server.ask("POST", "/score", '{"data": [[1, 2, 3, 4]]}').status == 200
    assert "Fast path" not in server.log


def test_numbers_are_checked_by_column(probed):
    text, narrow, listed, missing = probed["logistic"]["calls"][1]
    assert text == [400, "Column 1 (number), row 0: the text 'x'; the model takes a number."]
    assert narrow == [400, "2 values were given; the model takes 4."]
    assert listed[0] == 200
    assert missing[0] == 400
    assert "NaN" in missing[1]


def test_columns_are_put_into_the_models_order(probed):
    reversed_columns, in_order, text = probed["named"]["calls"][1]
    assert reversed_columns == in_order
    assert reversed_columns[0] == 200
    assert text == [400, "Column 'a' (number), row 0: the text 'x'; the model takes a number."]


def test_a_pipeline_with_encoders_gets_its_columns(probed):
    missing, unknown = probed["city"]["calls"][1]
    assert missing[0] == 400
    assert "Column 'b' (any) is missing" in missing[1]
    assert unknown[0] == 400
    assert "Mars" in unknown[1]


def test_mlflow_answers_as_azure_does_to_input_data_and_as_mlflow_does_to_its_own_forms(probed):
    azure, own, wrong = probed["mlflow"]["calls"][1]
    assert azure[0] == own[0] == 200
    assert own[1] == {"predictions": azure[1]}
    assert wrong == [400, "Column 'd' (long), row 0: the number 4.5; the model takes a whole number."]


def test_a_python_function_gets_params_and_is_never_joined(probed):
    default, strict, several, wrong = probed["pyfunc"]["calls"][1]
    assert (default, strict, several) == ([200, [True]], [200, [False]], [200, {"predictions": [True, False]}])
    assert wrong == [400, "Parameter 'limit' (long) is the text 'x'; it takes a whole number."]
    assert not probed["pyfunc"]["row_wise"]


def test_tensors_are_checked_by_type_and_shape(probed):
    one, two, fraction, wide, missing = probed["tensors"]["calls"][1]
    assert one == [200, {"predictions": [[4, 6]]}]
    assert two == [200, {"predictions": [[4, 6], [5, 6]]}]
    assert fraction[1] == "Tensor 'left' (int64, shape [-1, 2]) has fractions; the model takes int64."
    assert wide[1] == "Tensor 'left' (int64, shape [-1, 2]) has shape [1, 3]; the model takes [-1, 2]."
    assert missing[1] == "Tensor 'right' (int64, shape [-1, 2]) is missing."


@pytest.fixture(scope="module")
def named(model_environment: ModelEnvironment) -> Iterator[Server]:
    folder = str(model_environment.models / "named")
    with Server(None, "--model_dir", folder, python=model_environment.python, AML_APP_ROOT=folder) as server:
        yield server.until_ready()


def test_a_server_without_a_script_serves_the_model(named, model_environment):
    rows = expected(model_environment, "named")["rows"]
    reply = named.ask("POST", "/score", json.dumps({"data": rows}))
    assert (reply.status, reply.headers["x-ms-run-function-failed"]) == (200, "False")
    assert reply.json["predictions"] == expected(model_environment, "named")["predictions"]
    assert float(reply.headers["x-ms-run-fn-exec-ms"]) > 0
    reply = named.ask("POST", "/score", '{"data": [["x", 1, 2, 3]]}')
    assert (reply.status, reply.headers["x-ms-run-function-failed"]) == (400, "False")
    assert named.ask("GET", "/score?data=1").status == 405
    named.logged("scoring is generated for model.pkl")


def test_the_sample_request_of_the_api_document_can_be_sent(named):
    for version, place in (("2", "definitions"), ("3", "components")):
        document = named.ask("GET", f"/swagger.json?version={version}").json
        schemas = document["definitions"] if place == "definitions" else document["components"]["schemas"]
        sample = schemas["ServiceInput"]["example"]
        assert sample["input_data"]["columns"] == COLUMNS
        assert named.ask("POST", "/score", json.dumps(sample)).status == 200


def test_the_sample_requests_of_all_kinds_are_taken(probed):
    assert probed["logistic"]["sample"] == {"data": [[0.0] * 4]}
    assert probed["texts"]["sample"] == {"data": ["text"]}
    assert probed["tensors"]["sample"] == {"input_data": {"left": [[0, 0]], "right": [[0, 0]]}}
    assert probed["mlflow"]["sample"] == {"input_data": {"columns": COLUMNS, "data": [[0.0, 0.0, 0.0, 0]]}}


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        (
            "weights.pt",
            b"x",
            ["it has weights.pt", "Remedy: give the deployment a scoring script, or a model of a kind"],
        ),
        ("model.pkl", b"no pickle", ["model.pkl cannot be loaded", "Remedy: use an environment with scikit-learn"]),
        ("model.onnx", b"no onnx", ["model.onnx cannot be loaded", "Remedy: use an environment with onnxruntime"]),
        ("MLmodel", b"flavors: {keras: {}}", ["has no flavour python_function", "it has keras"]),
    ],
)
def test_what_cannot_be_served_ends_with_code_3_and_a_remedy(serve, model_environment, tmp_path, name, content, texts):
    (tmp_path / name).write_bytes(content)
    server = serve(None, "--model_dir", str(tmp_path), python=model_environment.python, AML_APP_ROOT=str(tmp_path))
    assert server.exit_code() == 3
    for text in texts:
        assert text in server.log


def test_a_missing_library_is_named(serve, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x")
    server = serve(None, "--model_dir", str(tmp_path), AML_APP_ROOT=str(tmp_path))
    assert server.exit_code() == 3
    assert "Remedy: " in server.log
    assert "the environment" in server.log
