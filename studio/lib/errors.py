"""Errors a person can act on. Each says whose fault it is, what is wrong, which thing, and what to do next."""

from __future__ import annotations


class StudioError(Exception):
    """Something went wrong in the studio."""

    code = "InternalServerError"
    http_status = 500
    hint = ""

    def __init__(self, message: str = "", *, code: str = "", hint: str = "", field: str = "") -> None:
        """`message` defaults to the class docstring; `field` names the form field or API property at fault."""
        self.message = message or (self.__doc__ or "").strip()
        self.code = code or self.code
        self.hint = hint or self.hint
        self.field = field
        super().__init__(self.message)


class BadRequest(StudioError):
    """The request is not valid."""

    code = "BadArgument"
    http_status = 400


class NotFound(StudioError):
    """There is no such thing here, or it is not yours to see."""

    code = "ResourceNotFound"
    http_status = 404


class Forbidden(StudioError):
    """Your role does not allow this."""

    code = "AuthorizationFailed"
    http_status = 403


class Conflict(StudioError):
    """The thing is busy or was changed by somebody else."""

    code = "Conflict"
    http_status = 409


class InUse(Conflict):
    """It is still used and cannot be removed."""

    code = "ResourceInUse"


class OperationInProgress(Conflict):
    """Another operation on it is still running."""

    code = "OperationInProgress"
    hint = "Wait until it has finished, or cancel it."


class OutOfQuota(StudioError):
    """There is not enough quota or free capacity."""

    code = "OutOfQuota"
    http_status = 400
