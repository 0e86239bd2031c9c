"""What can go wrong with an environment, and whose fault it was."""

from __future__ import annotations

from collections.abc import Sequence

from studio.lib.errors import StudioError


class BuildError(StudioError):
    """The environment cannot be used."""

    code = "ImageBuildFailure"
    http_status = 400


class EnvironmentInvalid(BuildError):
    """A line of the environment's definition cannot be used.

    `line` counts from 1 in the user's file; 0 when the whole file is meant. `text` is that line's content.
    """

    code = "BadArgument"

    def __init__(self, line: int, text: str, message: str, hint: str = "") -> None:
        self.line = line
        self.text = text
        super().__init__(f"Line {line}: {message}" if line else message, hint=hint)


class PythonUnavailable(BuildError):
    """The wanted Python version is neither installed here nor could it be fetched."""


class BuildFailed(BuildError):
    """Installing the environment's packages failed.

    `kind` is one word of failures.KINDS. `line` is the line of the user's file that caused it, None when it cannot be told.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        line: int | None = None,
        log_tail: Sequence[str] = (),
        probable_cause: str = "",
        hint: str = "",
    ) -> None:
        self.kind = kind
        self.line = line
        self.log_tail = tuple(log_tail)
        self.probable_cause = probable_cause
        super().__init__(message, hint=hint)


class BuildCancelled(BuildError):
    """The build was cancelled before it finished; a later build of the same environment starts over."""

    code = "OperationCanceled"
