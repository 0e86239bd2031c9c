from collections.abc import Iterator

import pytest

from tests.journeys.inside import Inside
from tests.stack import Studio


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    """A studio of this module's own, with the sample deployed."""
    with Studio.start(sample=True) as started:
        yield started


@pytest.fixture(scope="module")
def inside(studio: Studio) -> Iterator[Inside]:
    called = Inside(studio)
    yield called
    called.close()
