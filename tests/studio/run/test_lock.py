from __future__ import annotations

import os
from pathlib import Path

import pytest

from studio.run.errors import StartRefused
from studio.run.lock import only_start
from studio.run.places import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path)
    made.make()
    return made


def test_a_second_start_of_the_same_home_is_refused_and_names_the_first(places: Places) -> None:
    with only_start(places), pytest.raises(StartRefused, match=f"already being run, by process {os.getpid()}"):
        with only_start(places):
            pass


def test_the_home_is_free_again_afterwards(places: Places) -> None:
    for _ in range(2):
        with only_start(places):
            assert places.start_lock.read_text() == f"{os.getpid()}\n"
