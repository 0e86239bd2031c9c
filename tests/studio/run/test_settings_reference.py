from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
READ = re.compile(r"env\.(?:text|boolean|integer|path)\(\s*\"([A-Z_]+)\"")
HEADING = re.compile(r"^### `([A-Z_]+)`$", re.MULTILINE)


def test_every_variable_that_is_read_is_explained_and_every_explained_one_is_read() -> None:
    read = READ.findall((REPOSITORY / "studio" / "settings.py").read_text())
    explained = HEADING.findall((REPOSITORY / "docs" / "reference" / "settings.md").read_text())
    assert len(explained) == len(set(explained))
    assert set(explained) == set(read)
    assert len(read) > 20


def test_the_reference_states_the_defaults_of_numbers_and_switches() -> None:
    text = (REPOSITORY / "docs" / "reference" / "settings.md").read_text()
    settings = (REPOSITORY / "studio" / "settings.py").read_text()
    numbers = re.findall(r"env\.integer\(\"([A-Z_]+)\", ([\d *]+),", settings)
    switches = re.findall(r"env\.boolean\(\"([A-Z_]+)\", (True|False)", settings)
    stated = {name: str(_product(value)) for name, value in numbers}
    stated |= {name: "1" if value == "True" else "0" for name, value in switches}
    for name, value in stated.items():
        section = text.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
        assert f"Default `{value}`" in section, name


def _product(expression: str) -> int:
    """Of factors such as `10 * 1024 * 1024` and `4 * 1024**3`."""
    total = 1
    for factor in expression.replace("**", "^").split("*"):
        base, _, exponent = factor.strip().partition("^")
        total *= int(base) ** int(exponent or 1)
    return total
