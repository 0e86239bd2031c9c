"""Accounts of the installation: make, deactivate, reset. For administrators; one's own password is everybody's."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from studio.lib.errors import BadRequest, Conflict
from workspaces.models import Target
from workspaces.models.record import Subject
from workspaces.permissions import check_administrator
from workspaces.services.record import record

GENERATED_BYTES = 15


def create_account(*, username: str, by: Any, password: str = "", is_administrator: bool = False) -> tuple[Any, str]:
    """A new account, and its password when none was given: that is kept nowhere else in clear.

    Raises Forbidden, BadRequest (name or password) and Conflict (the name is taken, in whatever case).
    """
    check_administrator(by)
    User = get_user_model()
    user = User(username=User.normalize_username(username), is_superuser=is_administrator, is_staff=is_administrator)
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError as error:
        raise BadRequest(error.message_dict["username"][0], field="username") from None
    generated = _set_password(user, password, field="password")
    taken = Conflict(f"There already is an account '{username}'.", field="username")
    if User.objects.filter(username__iexact=user.username).exists():
        raise taken
    try:
        with transaction.atomic():
            user.save()
            record(subject=_subject(user), verb="account created", by=by, after={"administrator": is_administrator})
    except IntegrityError:
        raise taken from None
    return user, generated


def change_account(*, user: Any, by: Any, is_active: bool | None = None, is_administrator: bool | None = None) -> None:
    """Deactivate or make an administrator, or the opposite; None leaves it. Twice is the same as once.

    A deactivated account is signed out everywhere and its tokens stop working at once.
    Raises Forbidden, and Conflict when no active administrator would be left.
    """
    check_administrator(by)
    with transaction.atomic():
        # all administrators are locked, so that two cannot take the right from each other at once
        others = {pk for (pk,) in _active_administrators().select_for_update().values_list("pk")} - {user.pk}
        user.refresh_from_db()
        before = {"active": user.is_active, "administrator": user.is_superuser}
        wanted = {
            "active": before["active"] if is_active is None else is_active,
            "administrator": before["administrator"] if is_administrator is None else is_administrator,
        }
        if wanted == before:
            return
        if all(before.values()) and not all(wanted.values()) and not others:
            raise Conflict(
                f"{user} is the only administrator that can sign in.", hint="Make somebody else an administrator first."
            )
        user.is_active, user.is_superuser = wanted["active"], wanted["administrator"]
        user.is_staff = user.is_superuser
        user.save(update_fields=["is_active", "is_superuser", "is_staff"])
        record(subject=_subject(user), verb="account changed", by=by, before=before, after=wanted)


def reset_password(*, user: Any, by: Any) -> str:
    """A new password, which is kept nowhere else in clear. Signs the account out everywhere. Raises Forbidden."""
    check_administrator(by)
    text = _set_password(user, "", field="password")
    with transaction.atomic():
        user.save(update_fields=["password"])
        record(subject=_subject(user), verb="password reset", by=by)
    return text


def change_own_password(*, user: Any, present: str, new: str) -> None:
    """Signs out every other browser of theirs. Raises BadRequest: the present one is wrong, the new one too weak or the same."""
    if not user.check_password(present):
        raise BadRequest("This is not your present password.", field="present")
    if present == new:
        raise BadRequest("This is the password you have already.", field="new")
    _set_password(user, new, field="new")
    with transaction.atomic():
        user.save(update_fields=["password"])
        record(subject=_subject(user), verb="password changed", by=user)


def _active_administrators() -> Any:
    return get_user_model().objects.filter(is_superuser=True, is_active=True)


def _set_password(user: Any, password: str, *, field: str) -> str:
    """Returns the password only when it had to be made."""
    text = password or secrets.token_urlsafe(GENERATED_BYTES)
    try:
        validate_password(text, user)
    except ValidationError as error:
        raise BadRequest(" ".join(error.messages), field=field) from None
    user.set_password(text)
    return "" if password else text


def _subject(user: Any) -> Subject:
    return Subject(None, Target.ACCOUNT, user.pk, user.get_username())
