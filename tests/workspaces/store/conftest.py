from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from workspaces.store.trees import Store, Tree


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def put(store: Store) -> Callable[..., Tree]:
    """Put a tree of short texts: put({"model/a.txt": "A"})."""
    return lambda files: store.put_tree((path, BytesIO(text.encode())) for path, text in files.items())
