from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.installation import Installation


@pytest.fixture(scope="session")
def shared_installation() -> Iterator[Installation]:
    """One supervisord for all tests of a worker that leave it running."""
    installation = Installation()
    try:
        installation.start()
        yield installation
    finally:
        installation.close()


@pytest.fixture
def installation(shared_installation: Installation) -> Iterator[Installation]:
    """The shared installation; what a test leaves running in it is removed."""
    yield shared_installation
    for name in shared_installation.driver.observe_all():
        shared_installation.remove(name)


@pytest.fixture
def own_installation() -> Iterator[Installation]:
    """A supervisord that the test may stop and kill."""
    installation = Installation()
    try:
        installation.start()
        yield installation
    finally:
        installation.close()
