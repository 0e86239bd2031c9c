import json
from typing import Any

import pytest

from inference_server.inputs import Refused
from inference_server.models.payload import parse
from inference_server.models.signature import Column, Signature, from_mlmodel

SIGNATURE = Signature([Column("age", "long"), Column("name", "string", False), Column("score", "double")])


def table(**body):
    return SIGNATURE.table(parse(json.dumps(body).encode()))


@pytest.mark.parametrize(
    "body",
    [
        {"data": [[1, "x", 0.5], [2, None, 3]]},
        {"input_data": {"columns": ["score", "age", "name"], "index": [0, 1], "data": [[0.5, 1, "x"], [3, 2, None]]}},
        {
            "dataframe_split": {
                "columns": ["age", "extra", "name", "score"],
                "data": [[1, 0, "x", 0.5], [2, 0, None, 3]],
            }
        },
        {"dataframe_records": [{"age": 1, "name": "x", "score": 0.5}, {"age": 2, "score": 3}]},
        {"inputs": {"age": [1, 2], "name": ["x", None], "score": [0.5, 3]}},
        {"instances": [{"age": 1, "name": "x", "score": 0.5}, {"age": 2.0, "score": 3}]},
    ],
)
def test_every_form_gives_the_same_columns(body):
    assert table(**body) == {"age": [1, 2], "name": ["x", None], "score": [0.5, 3]}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"data": [[1, "x", 0.5], [1.5, "x", 1]]},
            "Column 'age' (long), row 1: the number 1.5; the model takes a whole number",
        ),
        ({"data": [[True, "x", 0.5]]}, "Column 'age' (long), row 0: true, a boolean"),
        ({"data": [[2**63, "x", 0.5]]}, "Column 'age' (long), row 0"),
        ({"data": [[1, 7, 0.5]]}, "Column 'name' (string), row 0: the number 7; the model takes text"),
        ({"data": [[1, "x", "0.5"]]}, "Column 'score' (double), row 0: the text '0.5'; the model takes a number"),
        (
            {"data": [[1, "x"]]},
            "Row 0 has 2 values. The model takes 3 columns: age (long), name (string), score (double).",
        ),
        ({"dataframe_records": [{"age": 1}]}, "Column 'score' (double) is missing."),
        ({"dataframe_records": [{"age": 1, "score": 1}, {"score": 2}]}, "Column 'age' (long), row 1: missing (null)"),
        ({"inputs": {"age": [1, 2], "score": [1]}}, "different numbers of values (age: 2, score: 1)"),
        ({"data": []}, "data holds no rows"),
        ({"data": 7}, "data should hold rows"),
        ({"input_data": {"columns": ["age", "age"], "data": [[1, 2]]}}, "different names"),
        ({"input_data": {"columns": ["age"], "data": [[1, 2]]}}, "Row 0 is 2 values for 1 columns."),
        ({"rows": [[1]]}, "it has rows"),
        ({"data": [[1]], "inputs": [[1]]}, "it has data and inputs"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_with_column_and_type(body, text):
    with pytest.raises(Refused) as caught:
        table(**body)
    assert caught.value.status == 400
    assert text in caught.value.message


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b'"x"'])
def test_a_body_that_is_no_json_object_is_refused(body):
    with pytest.raises(Refused):
        parse(body)


def test_a_signature_of_mlflow_is_read():
    made = from_mlmodel(
        {
            "signature": {
                "inputs": '[{"type": "double", "name": "a", "required": false}, {"type": "array", "name": "b"}]',
                "params": '[{"name": "limit", "type": "long", "default": 1, "shape": null}]',
            }
        }
    )
    assert made is not None
    assert made.columns == [Column("a", "double", False), Column("b", "any", True)]
    assert made.check_params({"limit": 3}) == {"limit": 3}
    refused: list[tuple[dict[str, Any], str]] = [
        ({"limit": "x"}, "Parameter 'limit' (long)"),
        ({"x": 1}, "has no parameter 'x' (it has limit)"),
    ]
    for params, text in refused:
        with pytest.raises(Refused) as caught:
            made.check_params(params)
        assert text in caught.value.message


def test_tensors_of_mlflow_are_read():
    spec = '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]'
    made = from_mlmodel({"signature": {"inputs": spec}})
    assert made is not None
    assert made.tensors == [("", "float32", (-1, 3))]
    assert from_mlmodel({}) is None
