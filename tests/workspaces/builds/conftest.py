"""A home of its own for each test, and an installer that knows only the packages made for it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workspaces.builds.interpreters import own_interpreter, remember
from workspaces.builds.pip_list import parse_pip_list
from workspaces.builds.spec import EnvironmentSpec

from .wheelhouse import make_wheel


@pytest.fixture
def new_home() -> Iterator[Path]:
    """A home with nothing in it."""
    path = Path(tempfile.mkdtemp(prefix="es-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def home(new_home: Path) -> Path:
    """A home that knows its interpreter: looking through the machine takes longer than a small build."""
    own = own_interpreter()
    remember(new_home, own.minor, own)
    return new_home


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder uv takes its packages from, instead of the index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    make_wheel(folder, "apple", "1.0")
    make_wheel(folder, "apple", "2.0")
    make_wheel(folder, "pear", "1.0", requires=("apple>=2",))
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    return folder


@pytest.fixture
def spec() -> Callable[..., EnvironmentSpec]:
    return lambda *lines: parse_pip_list("\n".join(lines))
