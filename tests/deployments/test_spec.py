from decimal import Decimal

import pytest

from deployments.spec import (
    SERVED_NAMES,
    SERVED_SUFFIXES,
    Probe,
    SpecInvalid,
    check_environment_variables,
    check_instance_count,
    check_request_settings,
    check_scoring_script,
    instances_with_reserve,
    parse_variables,
    served_model,
    vcpu_with_reserve,
)
from inference_server.models import folder


@pytest.mark.parametrize(("count", "with_reserve"), [(1, 2), (2, 3), (3, 4), (5, 6), (10, 12), (50, 60)])
def test_the_reserve_is_a_fifth_rounded_up(count, with_reserve):
    assert instances_with_reserve(count, skips_reserve=False) == with_reserve


def test_ten_of_four_cores_take_48():
    assert vcpu_with_reserve(10, Decimal(4), skips_reserve=False) == 48


def test_types_that_skip_the_reserve_take_what_they_are():
    assert instances_with_reserve(10, skips_reserve=True) == 10


def test_default_probes_give_an_instance_310_seconds():
    assert Probe().deadline_seconds == 310
    assert Probe(initial_delay=30, period=10, failure_threshold=3).deadline_seconds == 60


def test_a_probe_without_some_values_gets_azures_defaults():
    assert Probe.from_mapping({"period": 5}).as_dict() == {
        "initial_delay": 10,
        "period": 5,
        "timeout": 2,
        "success_threshold": 1,
        "failure_threshold": 30,
    }


@pytest.mark.parametrize("values", [{"period": 0}, {"period": "5"}, {"period": True}, {"perod": 5}])
def test_nonsense_in_a_probe_is_refused_by_name(values):
    with pytest.raises(SpecInvalid) as caught:
        Probe.from_mapping(values, field="liveness_probe")
    assert next(iter(values)) in caught.value.message
    assert caught.value.field == "liveness_probe"


@pytest.mark.parametrize("count", [0, 51, -1, "3", True])
def test_the_instance_count_is_1_to_50(count):
    with pytest.raises(SpecInvalid):
        check_instance_count(count)


@pytest.mark.parametrize(
    ("request_timeout_ms", "max_concurrent", "max_queue_wait_ms"), [(0, 1, 0), (180_001, 1, 0), (1, 0, 0), (1, 1, -1)]
)
def test_request_settings_out_of_range_are_refused(request_timeout_ms, max_concurrent, max_queue_wait_ms):
    with pytest.raises(SpecInvalid):
        check_request_settings(
            request_timeout_ms=request_timeout_ms, max_concurrent=max_concurrent, max_queue_wait_ms=max_queue_wait_ms
        )


def test_variables_are_read_line_by_line():
    assert parse_variables("A=1\n\n# a comment\nURL=http://x/?a=b\n") == {"A": "1", "URL": "http://x/?a=b"}


@pytest.mark.parametrize("text", ["A", "1A=2", "A B=2", "AZUREML_MODEL_DIR=/tmp"])
def test_a_line_that_is_no_variable_is_refused(text):
    with pytest.raises(SpecInvalid):
        parse_variables(text)


def test_values_are_text_without_nul():
    with pytest.raises(SpecInvalid):
        check_environment_variables({"A": "x\0y"})


def test_a_script_in_the_uploaded_folder_is_found_with_and_without_the_folder():
    paths = ["onlinescoring/score.py", "onlinescoring/lib/features.py"]
    assert check_scoring_script("score.py", paths=paths) == "onlinescoring/score.py"
    assert check_scoring_script("./onlinescoring/score.py", paths=paths) == "onlinescoring/score.py"


def test_a_missing_script_is_answered_with_the_scripts_there_are():
    with pytest.raises(SpecInvalid, match=r"main\.py"):
        check_scoring_script("score.py", paths=["main.py", "data.csv"])


@pytest.mark.parametrize(
    "paths",
    [
        ["model.pkl"],
        ["churn/MLmodel", "churn/model.pkl", "churn/conda.yaml"],
        ["deep/er/model.onnx", "weights.onnx"],
        ["scaler.joblib", "model.joblib"],
        ["a/model.json", "a/notes.json"],
        ["BOOSTER.UBJ"],
        ["model.txt", "readme.txt"],
        [".hidden/model.pkl", "x.lgb"],
        ["x.lgbm"],
        ["x.bst"],
        ["x.xgb"],
        ["x.pickle"],
    ],
)
def test_the_studio_and_the_inference_server_find_the_same_model(paths):
    assert served_model(paths) == folder.find(paths).path


@pytest.mark.parametrize("paths", [["weights.pt"], [], ["one.pkl", "two.onnx"], ["model.pkl", "model.onnx"]])
def test_the_studio_refuses_what_the_inference_server_does_not_serve(paths):
    with pytest.raises(folder.NotServed):
        folder.find(paths)
    with pytest.raises(SpecInvalid, match="cannot be served without one") as caught:
        served_model(paths)
    assert caught.value.field == "code"


def test_the_studio_and_the_inference_server_know_the_same_files():
    assert set(folder.KIND_OF_SUFFIX) == SERVED_SUFFIXES
    assert set(folder.KIND_OF_NAME) == SERVED_NAMES
