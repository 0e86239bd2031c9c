"""Why an installation does not start."""

from __future__ import annotations

from studio.lib.errors import StudioError


class StartRefused(StudioError):
    """The studio cannot be started."""


class PartFailed(StudioError):
    """A part of the studio did not come up."""
