"""Who may do what. Nothing can be loaded without asking here first."""

from __future__ import annotations

import enum
from typing import Any

from studio.lib.errors import Forbidden, NotFound
from workspaces.models import Member, Role, Workspace


class Need(enum.Enum):
    """What a door asks for."""

    READ = "see it"
    WRITE = "create and change models, environments, endpoints, deployments and traffic"
    OPERATE = "delete endpoints and deployments, and regenerate keys"
    OWN = "manage members"
    KEYS = "read keys and tokens"


_ROLES_ALLOWED = {
    Need.READ: frozenset(Role.values),
    Need.WRITE: frozenset({Role.DATA_SCIENTIST, Role.OPERATOR, Role.OWNER}),
    Need.OPERATE: frozenset({Role.OPERATOR, Role.OWNER}),
    Need.OWN: frozenset({Role.OWNER}),
}


def may(member: Member | None, user: Any, need: Need) -> bool:
    """Whether `user`, with this membership, may do what `need` names. Administrators of the installation may do all."""
    if user.is_superuser:
        return True
    if member is None:
        return False
    if need is Need.KEYS:
        return member.can_read_keys
    return member.role in _ROLES_ALLOWED[need]


def member_of(user: Any, workspace: Workspace) -> Member | None:
    """The user's membership of the workspace, or None."""
    return Member.objects.filter(workspace=workspace, user=user).first()


def check(user: Any, workspace: Workspace, need: Need) -> None:
    """Raises NotFound for a stranger, who must not learn that it exists, and Forbidden for a member without the right."""
    member = member_of(user, workspace)
    if not may(member, user, Need.READ):
        raise NotFound(f"There is no workspace '{workspace.name}' that you can see.")
    if not may(member, user, need):
        role = member.get_role_display() if member else "none"
        raise Forbidden(
            f"Your role in '{workspace.name}' ({role}) does not allow you to {need.value}.",
            hint="Ask an owner of the workspace to change your role.",
        )


def check_administrator(user: Any) -> None:
    """Raises Forbidden for everybody but administrators of the installation."""
    if not user.is_superuser:
        raise Forbidden("This is for administrators of the studio.", hint="Ask one of them.")
