"""The nouns of this room, one file for each family."""

from workspaces.models.assets import (
    Code,
    CodeVersion,
    Environment,
    EnvironmentBuild,
    EnvironmentVersion,
    FileTree,
    RegisteredModel,
    RegisteredModelVersion,
)
from workspaces.models.people import AccessToken, Member, Role, SignInAttempt, Workspace
from workspaces.models.record import Activity, Operation, OperationStep, Target
from workspaces.models.uploads import UploadedFile

__all__ = [
    "AccessToken",
    "Activity",
    "Code",
    "CodeVersion",
    "Environment",
    "EnvironmentBuild",
    "EnvironmentVersion",
    "FileTree",
    "Member",
    "Operation",
    "OperationStep",
    "RegisteredModel",
    "RegisteredModelVersion",
    "Role",
    "SignInAttempt",
    "Target",
    "UploadedFile",
    "Workspace",
]
