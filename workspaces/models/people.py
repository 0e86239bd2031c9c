"""Who works where, and what they may do there."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower

workspace_name = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_-]{1,32}$",
    "Use 2 to 33 letters, digits, dashes or underscores; begin with a letter or digit.",
)


def new_subscription_id() -> str:
    return str(uuid.uuid4())


class Workspace(models.Model):
    """A place where a team keeps its models, environments and endpoints."""

    subscription_id = models.CharField(max_length=36, default=new_subscription_id)
    resource_group = models.CharField(max_length=90, default="studio")
    name = models.CharField(max_length=33, validators=[workspace_name])
    location = models.CharField(max_length=40, default="local")
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="workspace_name_unique")]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a member may do; each role may do all that the ones before it may."""

    READER = "reader", "Reader"
    DATA_SCIENTIST = "data_scientist", "Data scientist"
    OPERATOR = "operator", "Operator"
    OWNER = "owner", "Owner"


class Member(models.Model):
    """A person's role in a workspace. Reading keys is a permission of its own, whatever the role."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.READER)
    can_read_keys = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="member_once_per_workspace"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="member_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace}"


class AccessToken(models.Model):
    """A personal credential for the API. Only its SHA-256 is kept; the text is shown once."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_tokens")
    workspace = models.ForeignKey(
        Workspace, on_delete=models.CASCADE, null=True, blank=True, related_name="access_tokens"
    )
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12)
    token_sha256 = models.CharField(max_length=64, unique=True)
    can_write = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class SignInAttempt(models.Model):
    """A sign-in that has begun and not succeeded. Rows older than the window that `services/sign_in.py` counts are removed."""

    account = models.CharField(max_length=150)
    address = models.CharField(max_length=45)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            # how often somebody tried lately: from this address, and for this account
            models.Index(fields=["address", "at"], name="sign_in_by_address"),
            models.Index(fields=["account", "at"], name="sign_in_by_account"),
        ]

    def __str__(self) -> str:
        return f"{self.account} from {self.address}"
