"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway import files


def test_a_file_is_replaced_whole_and_is_nobody_elses(tmp_path: Path) -> None:
    file = tmp_path / "rds.json"
    assert files.publish(file, b"one")
    assert files.publish(file, b"two")
    assert file.read_bytes() == b"two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["rds.json"]


def test_an_unchanged_file_is_not_moved(tmp_path: Path) -> None:
    file = tmp_path / "rds.json"
    files.publish(file, b"one")
    before = file.stat().st_ino
    assert not files.publish(file, b"one")
    assert file.stat().st_ino == before


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "folder"
    file.mkdir()
    with pytest.raises(OSError):  # noqa: PT011
        files.move_into_place(file, b"x")
    assert os.listdir(tmp_path) == ["folder"]


def test_reading_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert files.read(tmp_path / "nothing") is None
