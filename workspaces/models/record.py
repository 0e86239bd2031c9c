"""What is being done and what was done. Targets are named, not joined: rooms above this one own them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.conf import settings
from django.db import models

from workspaces.models.people import Workspace


class Target(models.TextChoices):
    """Kinds of things that operations and activities are about."""

    WORKSPACE = "workspace"
    MODEL = "model"
    ENVIRONMENT = "environment"
    CODE = "code"
    BUILD = "build"
    ENDPOINT = "endpoint"
    DEPLOYMENT = "deployment"
    INSTANCE = "instance"
    MEMBER = "member"
    TOKEN = "token"
    ACCOUNT = "account"


@dataclass(frozen=True)
class Subject:
    """How a row is named in the activity. `workspace_id` is None for what all workspaces share."""

    workspace_id: int | None
    kind: str
    id: int
    name: str


class Operation(models.Model):
    """One long-running change a person asked for: its steps, its progress, and how it ended."""

    class Kind(models.TextChoices):
        CREATE_ENDPOINT = "CreateEndpoint", "Create endpoint"
        DELETE_ENDPOINT = "DeleteEndpoint", "Delete endpoint"
        CREATE_DEPLOYMENT = "CreateDeployment", "Create deployment"
        UPDATE_DEPLOYMENT = "UpdateDeployment", "Update deployment"
        SCALE_DEPLOYMENT = "ScaleDeployment", "Scale deployment"
        DELETE_DEPLOYMENT = "DeleteDeployment", "Delete deployment"

    class State(models.TextChoices):
        IN_PROGRESS = "InProgress", "In progress"
        SUCCEEDED = "Succeeded", "Succeeded"
        FAILED = "Failed", "Failed"
        CANCELED = "Canceled", "Canceled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="operations")
    kind = models.CharField(max_length=30, choices=Kind.choices)
    target_kind = models.CharField(max_length=20, choices=Target.choices)
    target_id = models.BigIntegerField()
    target_name = models.CharField(max_length=120)
    state = models.CharField(max_length=12, choices=State.choices, default=State.IN_PROGRESS)
    code = models.CharField(max_length=60, blank=True)
    message = models.TextField(blank=True)
    state_changed_at = models.DateTimeField(auto_now_add=True)
    cause = models.TextField(blank=True)
    hint = models.TextField(blank=True)
    log_lines = models.JSONField(default=list, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["target_kind", "target_id"],
                condition=models.Q(state="InProgress"),
                name="one_running_operation_per_target",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["InProgress", "Succeeded", "Failed", "Canceled"]),
                name="operation_state_known",
            ),
        ]
        indexes = [
            # the latest operation of a thing, on its page
            models.Index(fields=["target_kind", "target_id", "-created_at"], name="operation_by_target"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.target_name}"


class OperationStep(models.Model):
    """A named part of an operation."""

    class State(models.TextChoices):
        WAITING = "Waiting"
        RUNNING = "Running"
        SUCCEEDED = "Succeeded"
        FAILED = "Failed"
        SKIPPED = "Skipped"

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="steps")
    position = models.IntegerField()
    name = models.CharField(max_length=60)
    state = models.CharField(max_length=12, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    progress_percent = models.IntegerField(null=True, blank=True)
    message = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["operation", "position"], name="one_step_per_position"),
            models.CheckConstraint(
                condition=models.Q(progress_percent__isnull=True) | models.Q(progress_percent__range=(0, 100)),
                name="step_progress_is_a_percentage",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Activity(models.Model):
    """Who did what to which, with the values before and after. Rows are only ever added."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, null=True, related_name="activities")
    at = models.DateTimeField(auto_now_add=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    verb = models.CharField(max_length=60)
    target_kind = models.CharField(max_length=20, choices=Target.choices)
    target_id = models.BigIntegerField()
    target_name = models.CharField(max_length=120)
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    message = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "activities"
        ordering = ["-id"]
        indexes = [
            # what happened to a thing, on its page
            models.Index(fields=["target_kind", "target_id", "-id"], name="activity_by_target"),
            # what happened in a workspace, on its home page
            models.Index(fields=["workspace", "-id"], name="activity_by_workspace"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.target_name}"
