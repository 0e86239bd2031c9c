from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from workspaces.builds import interpreters
from workspaces.builds.errors import PythonUnavailable
from workspaces.builds.interpreters import Interpreter, find_interpreter, own_interpreter, python_tag
from workspaces.builds.process import search_path

OWN_MINOR = "{}.{}".format(*sys.version_info)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")


@pytest.fixture
def two_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 3.10 and 3.12 only."""
    there = [Interpreter(f"/opt/{v}/bin/python", v, f"/opt/{v}", True) for v in ("3.10.4", "3.12.1", "3.12.9")]
    monkeypatch.setattr(interpreters, "installed", lambda home: there)


def test_the_studios_own_version_is_always_there_and_looked_for_once(
    new_home: Path, offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_interpreter(None, home=new_home)
    assert found.minor == OWN_MINOR
    assert found.substitution == ""
    assert os.access(found.path, os.X_OK)
    assert Path(found.base_prefix).is_dir()
    monkeypatch.setattr(interpreters, "installed", lambda home: pytest.fail("searched again"))
    assert find_interpreter(None, home=new_home) == found


@pytest.mark.usefixtures("two_pythons", "offline")
@pytest.mark.parametrize(
    ("wanted", "version"), [("3.11", "3.12.9"), ("3.9", "3.10.4"), ("3.7", "3.10.4"), ("3.14", "3.12.9")]
)
def test_the_next_newer_python_takes_the_place_of_a_missing_one(new_home: Path, wanted: str, version: str) -> None:
    found = find_interpreter(wanted, home=new_home)
    assert found.version == version
    assert found.substitution.startswith(f"Python {wanted} was asked for; Python {version} is used instead")


@pytest.mark.usefixtures("two_pythons", "offline")
def test_a_substitute_is_an_error_when_strict(new_home: Path) -> None:
    find_interpreter("3.11", home=new_home)
    with pytest.raises(PythonUnavailable, match=r"Python 3\.11 is neither") as caught:
        find_interpreter("3.11", home=new_home, strict=True)
    assert caught.value.code == "ImageBuildFailure"


def test_pyenvs_shims_are_replaced_by_what_is_behind_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "versions" / "3.10.1" / "bin").mkdir(parents=True)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}/shims:/usr/bin")
    assert search_path() == f"/usr/bin:{tmp_path}/versions/3.10.1/bin"


def test_the_tag_of_a_virtual_environment_is_read_without_starting_it(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").write_text("home = /nowhere\nversion_info = 3.9.18\n")
    assert python_tag(tmp_path / "bin" / "python").startswith("cp39-linux")
    assert python_tag(Path(own_interpreter().path)).startswith(f"cp{OWN_MINOR.replace('.', '')}-")
