"""What can go wrong with files."""

from __future__ import annotations

from studio.lib.errors import StudioError


class StoreError(StudioError):
    """The file store cannot do this."""


class FilesRefused(StoreError):
    """An upload holds something that cannot be stored. `entry` names it, "" when the whole is meant."""

    code = "BadArgument"
    http_status = 400

    def __init__(self, entry: str, message: str, hint: str = "") -> None:
        self.entry = entry
        shown = ascii(entry)[1:-1][:200] if not entry.isprintable() else entry[:200]
        super().__init__(f"'{shown}': {message}" if entry else message, hint=hint)


class ContentMissing(StoreError):
    """A stored file is gone or damaged."""

    def __init__(self, sha256: str, problem: str) -> None:
        self.sha256 = sha256
        super().__init__(
            f"The stored file {sha256[:12]}… {problem}.", hint="Register the files again from their origin."
        )
