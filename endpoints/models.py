"""The nouns of this room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.validators import MaxLengthValidator, MinLengthValidator, RegexValidator
from django.db import models
from django.db.models.functions import Lower

from studio.lib.fields import EncryptedTextField
from workspaces.models import Target, Workspace
from workspaces.models.record import Subject

# Azure's rule for endpoint and deployment names: a letter first; letters, digits and single dashes; 3 to 32 characters.
NAME_PATTERN = r"^[A-Za-z](?:-?[A-Za-z0-9])+$"
name_validators: list[Callable[[Any], None]] = [
    RegexValidator(NAME_PATTERN, "Begin with a letter; use letters, digits and single dashes; do not end in a dash."),
    MinLengthValidator(3, "Use at least 3 characters."),
    MaxLengthValidator(32, "Use at most 32 characters."),
]


class AuthMode(models.TextChoices):
    KEY = "key", "Key"
    AML_TOKEN = "aml_token", "Token (expires)"


class Endpoint(models.Model):
    """A stable address behind which deployments share the traffic. Its name is unique in the installation."""

    class State(models.TextChoices):
        CREATING = "Creating"
        UPDATING = "Updating"
        SUCCEEDED = "Succeeded"
        FAILED = "Failed"
        DELETING = "Deleting"

    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="endpoints")
    name = models.CharField(max_length=32, validators=name_validators)
    description = models.TextField(blank=True)
    tags = models.JSONField(default=dict, blank=True)
    # what clients of the API keep beside it; the studio does not look at it
    properties = models.JSONField(default=dict, blank=True)
    auth_mode = models.CharField(max_length=10, choices=AuthMode.choices, default=AuthMode.KEY)
    state = models.CharField(max_length=12, choices=State.choices, default=State.CREATING)
    code = models.CharField(max_length=60, blank=True)
    message = models.TextField(blank=True)
    state_changed_at = models.DateTimeField(auto_now_add=True)
    primary_key = EncryptedTextField(blank=True)
    secondary_key = EncryptedTextField(blank=True)
    primary_key_sha256 = models.CharField(max_length=64, blank=True)
    secondary_key_sha256 = models.CharField(max_length=64, blank=True)
    rate_limit_per_second = models.PositiveIntegerField(null=True, blank=True)
    # newest traffic version that the gateway has confirmed to have in force
    routed_version = models.PositiveIntegerField(null=True, blank=True)
    routed_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(Lower("name"), name="endpoint_name_unique"),
            models.CheckConstraint(
                condition=models.Q(state__in=["Creating", "Updating", "Succeeded", "Failed", "Deleting"]),
                name="endpoint_state_known",
            ),
            models.CheckConstraint(condition=models.Q(auth_mode__in=AuthMode.values), name="endpoint_auth_mode_known"),
        ]

    def __str__(self) -> str:
        return self.name

    def activity_subject(self) -> Subject:
        return Subject(self.workspace_id, Target.ENDPOINT, self.pk, self.name)


class TrafficVersion(models.Model):
    """An endpoint's traffic allocation. Immutable; the highest number is in force; undo writes a new one.

    `percents` maps deployment name to 0-100 and sums to 0 or 100; `mirror` maps at most one name to 1-50.
    """

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="traffic_versions")
    number = models.PositiveIntegerField()
    percents = models.JSONField(default=dict, blank=True)
    mirror = models.JSONField(default=dict, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    undo_of = models.PositiveIntegerField(null=True, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["endpoint", "number"], name="one_traffic_version_per_number")]

    def __str__(self) -> str:
        return f"v{self.number}"
