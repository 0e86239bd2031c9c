"""JSON as people like to read it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.pretty import pretty_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(VALUES)
def test_it_means_the_same(value):
    assert json.loads(pretty_json(value)) == value


@pytest.mark.parametrize("value", [[], {}, [1, 2.5, None], {"a": "b"}, "text", [[], {}]])
def test_what_is_short_and_flat_stays_on_one_line(value):
    assert pretty_json(value) == json.dumps(value)


def test_rows_of_numbers_stay_rows():
    assert pretty_json({"data": [[1, 2], [3, 4]]}) == '{\n  "data": [\n    [1, 2],\n    [3, 4]\n  ]\n}'
