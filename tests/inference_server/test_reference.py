"""The reference names every flag, variable, metric and route there is."""

from pathlib import Path

import pytest

from inference_server.board import Board
from inference_server.metrics import render
from inference_server.settings import _KNOWN_KEYS, parser

REFERENCE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "inference-server.md").read_text()


@pytest.mark.parametrize("name", sorted(_KNOWN_KEYS))
def test_each_variable_is_in_the_reference(name):
    assert f"`{name}`" in REFERENCE


@pytest.mark.parametrize(
    "flag", [flag for action in parser()._actions for flag in action.option_strings if "help" not in flag]
)
def test_each_flag_is_in_the_reference(flag):
    assert flag == "-h" or f"`{flag}" in REFERENCE


@pytest.mark.parametrize("line", [line for line in render(Board(1)).decode().splitlines() if line.startswith("# TYPE")])
def test_each_metric_is_in_the_reference(line):
    assert f"`{line.split()[2]}" in REFERENCE
