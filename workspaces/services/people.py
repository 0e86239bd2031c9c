"""Workspaces, members and access tokens."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from studio.lib.errors import BadRequest, Conflict
from workspaces.models import AccessToken, Member, Role, Target, Workspace
from workspaces.models.record import Subject
from workspaces.services.record import record

TOKEN_PREFIX = "est_"


def create_workspace(*, name: str, by: Any, description: str = "", location: str = "local") -> Workspace:
    """A workspace of which `by` is the owner, with the curated environments. Raises Conflict when the name is taken."""
    from workspaces.services.environments import add_curated_environments

    workspace = Workspace(name=name, description=description, location=location)
    workspace.clean_fields()
    try:
        with transaction.atomic():
            workspace.save()
            Member.objects.create(workspace=workspace, user=by, role=Role.OWNER, can_read_keys=True)
            subject = Subject(workspace.pk, Target.WORKSPACE, workspace.pk, workspace.name)
            record(subject=subject, verb="workspace created", by=by)
            add_curated_environments(workspace=workspace)
    except IntegrityError:
        raise Conflict(f"There already is a workspace '{name}'.", field="name") from None
    return workspace


def set_member(*, workspace: Workspace, user: Any, role: str, can_read_keys: bool, by: Any) -> Member:
    """Add a member or change their role. The last owner cannot be made anything else."""
    if role not in Role.values:
        raise BadRequest(f"'{role}' is not a role; use one of {', '.join(Role.values)}.", field="role")
    with transaction.atomic():
        before = Member.objects.select_for_update().filter(workspace=workspace, user=user).first()
        if before and before.role == Role.OWNER and role != Role.OWNER:
            _keep_an_owner(workspace, without=before)
        member, _ = Member.objects.update_or_create(
            workspace=workspace, user=user, defaults={"role": role, "can_read_keys": can_read_keys}
        )
        record(
            subject=Subject(workspace.pk, Target.MEMBER, member.pk, str(user)),
            verb="member set",
            by=by,
            before={"role": before.role, "can_read_keys": before.can_read_keys} if before else {},
            after={"role": role, "can_read_keys": can_read_keys},
        )
    return member


def remove_member(*, member: Member, by: Any) -> None:
    """Take a person out of a workspace. The last owner cannot be removed."""
    with transaction.atomic():
        if member.role == Role.OWNER:
            _keep_an_owner(member.workspace, without=member)
        subject = Subject(member.workspace_id, Target.MEMBER, member.pk, str(member.user))
        record(subject=subject, verb="member removed", by=by, before={"role": member.role})
        member.delete()


def _keep_an_owner(workspace: Workspace, *, without: Member) -> None:
    if not Member.objects.filter(workspace=workspace, role=Role.OWNER).exclude(pk=without.pk).exists():
        raise Conflict(
            f"{without.user} is the only owner of '{workspace.name}'.", hint="Make somebody else an owner first."
        )


def create_access_token(
    *, user: Any, name: str, workspace: Workspace | None = None, can_write: bool = False, days: int | None = 90
) -> tuple[AccessToken, str]:
    """A new personal token and its text, which is kept nowhere. `days` None: it never expires."""
    text = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = AccessToken.objects.create(
        user=user,
        workspace=workspace,
        name=name,
        prefix=text[:10],
        token_sha256=hashlib.sha256(text.encode()).hexdigest(),
        can_write=can_write,
        expires_at=timezone.now() + timedelta(days=days) if days else None,
    )
    record(
        subject=Subject(workspace.pk if workspace else None, Target.TOKEN, token.pk, name),
        verb="access token created",
        by=user,
        after={"can_write": can_write},
    )
    return token, text


def revoke_access_token(*, token: AccessToken, by: Any) -> None:
    """The token stops working at once. Twice is the same as once."""
    if AccessToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now()):
        subject = Subject(token.workspace_id, Target.TOKEN, token.pk, token.name)
        record(subject=subject, verb="access token revoked", by=by)
