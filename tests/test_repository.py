"""Promises about the repository itself."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ["studio", "workspaces", "endpoints", "deployments", "gateway", "monitoring", "api", "inference_server"]
WITH_STATE = ["studio", "workspaces", "endpoints", "deployments", "gateway", "monitoring", "api"]


def sources(*rooms):
    for room in rooms:
        yield from (path for path in (ROOT / room).rglob("*.py") if "migrations" not in path.parts)


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_has_a_door_plate(room):
    plate = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text())) or ""
    assert [line.split(":")[0] for line in plate.splitlines() if ":" in line][:3] == [
        "Owns",
        "May import",
        "Start reading",
    ]


STATEFUL = {"Endpoint", "Deployment", "Instance", "EnvironmentBuild", "Operation"}


def state_writes(tree):
    """Assignments to `.state`, and `state=` given to update(), outside the one writer."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (
                node.lineno for target in targets if isinstance(target, ast.Attribute) and target.attr == "state"
            )
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
            of_steps = "steps" in ast.unparse(node.func.value) or "OperationStep" in ast.unparse(node.func.value)
            if any(keyword.arg == "state" for keyword in node.keywords) and not of_steps:
                yield node.lineno


def test_state_has_one_writer():
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources(*WITH_STATE)
        if path != ROOT / "workspaces" / "lifecycle.py" and "compute" not in path.parts
        for line in state_writes(ast.parse(path.read_text()))
    ]
    assert found == []


def test_no_module_is_called_after_nothing():
    names = {path.stem for path in sources(*ROOMS)}
    assert names.isdisjoint({"utils", "helpers", "manager", "handler", "misc", "common"})


def test_every_requirement_says_why_and_is_bounded():
    for file in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / file).read_text().splitlines():
            if not line.strip() or line.startswith(("#", "-r")):
                continue
            assert "  # " in line, f"{file}: {line} does not say why"
            assert any(sign in line for sign in ("<", "==", ">=")), f"{file}: {line} has no bound"


def test_the_tree_holds_no_generated_files():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    assert not [name for name in tracked.stdout.splitlines() if name.endswith((".pyc", ".sqlite3", ".log"))]
