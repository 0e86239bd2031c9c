from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from workspaces.builds.errors import BuildFailed
from workspaces.builds.interpreters import own_interpreter
from workspaces.builds.runtime import collect_runtimes, ensure_runtime

PYTHON = Path(own_interpreter().path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "inference_server"
    folder.mkdir()
    (folder / "__init__.py").write_text("import apple\nVALUE = apple.VERSION\n")
    (folder / "requirements.txt").write_text("apple>=1  # a fruit\n")
    return folder


def test_a_runtime_can_be_imported_from_the_end_of_the_path(home: Path, wheels: Path, source: Path) -> None:
    runtime = ensure_runtime(PYTHON, home=home, source_dir=source)
    code = f"import sys; sys.path.append({str(runtime)!r}); import inference_server; print(inference_server.VALUE)"
    answer = subprocess.run([PYTHON, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "2.0\n"
    assert list(runtime.glob("inference_server/__pycache__/__init__.*.pyc"))
    assert runtime.stat().st_mode & 0o777 == 0o755


def test_the_second_time_is_no_work_and_changed_sources_are_another_runtime(
    home: Path, wheels: Path, source: Path
) -> None:
    first = ensure_runtime(PYTHON, home=home, source_dir=source)
    inode = first.stat().st_ino
    assert ensure_runtime(PYTHON, home=home, source_dir=source).stat().st_ino == inode
    (source / "__init__.py").write_text("VALUE = 2\n")
    second = ensure_runtime(PYTHON, home=home, source_dir=source)
    assert second != first
    assert first.is_dir(), "instances may still run from it"
    assert collect_runtimes(home, [second], older_than_seconds=-1) == [first]
    assert os.listdir(home / "runtime") == [second.name]


def test_a_failure_says_that_it_is_not_the_users(home: Path, wheels: Path, source: Path) -> None:
    (source / "requirements.txt").write_text("plum\n")
    with pytest.raises(BuildFailed, match="inference server's own packages"):
        ensure_runtime(PYTHON, home=home, source_dir=source)
    assert os.listdir(home / "runtime") == []
