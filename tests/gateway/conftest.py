from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.world import World, world


@pytest.fixture
def gateway() -> Iterator[World]:
    """A running Envoy that routes nothing yet."""
    with world() as made:
        made.start()
        yield made
