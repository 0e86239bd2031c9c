"""The compute drivers of this installation, by name."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.utils.module_loading import import_string

from deployments.compute.contract import ComputeDriver


@lru_cache(maxsize=8)
def get_driver(name: str = "") -> ComputeDriver:
    """The driver called `name`, or the one new instances are started with."""
    return import_string(settings.COMPUTE_DRIVERS[name or settings.COMPUTE_DRIVER])(**_options())


def _options() -> dict[str, object]:
    return {"home": settings.STUDIO_HOME}
