"""The nouns of this room."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower

from endpoints.models import Endpoint, name_validators
from studio.lib.fields import EncryptedJSONField
from workspaces.models import CodeVersion, EnvironmentVersion, RegisteredModelVersion, Target, Workspace
from workspaces.models.record import Subject


class InstanceType(models.Model):
    """A size of instance. Names starting with Standard_ are Azure's; Local_ ones are this studio's own."""

    name = models.CharField(max_length=60, unique=True)
    vcpu = models.DecimalField(max_digits=6, decimal_places=2, validators=[MinValueValidator(Decimal("0.1"))])
    memory_bytes = models.BigIntegerField(validators=[MinValueValidator(64 * 1024 * 1024)])
    gpu_count = models.PositiveIntegerField(default=0)
    gpu_name = models.CharField(max_length=40, blank=True)
    price_per_hour = models.DecimalField(max_digits=10, decimal_places=5, default=Decimal(0))
    currency = models.CharField(max_length=3, default="USD")
    skips_reserve = models.BooleanField(default=False)
    is_offered = models.BooleanField(default=True)

    class Meta:
        ordering = ["vcpu", "memory_bytes", "name"]

    def __str__(self) -> str:
        return self.name


class Deployment(models.Model):
    """A named variant behind an endpoint, such as blue or green.

    `serving_revision` has the instances that answer; `wanted_revision` is what the running operation works towards
    (the same one when nothing is under way). A failed update leaves `serving_revision` as it was.
    """

    class State(models.TextChoices):
        CREATING = "Creating"
        UPDATING = "Updating"
        SCALING = "Scaling"
        SUCCEEDED = "Succeeded"
        FAILED = "Failed"
        CANCELED = "Canceled"
        DELETING = "Deleting"

    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="deployments")
    name = models.CharField(max_length=32, validators=name_validators)
    description = models.TextField(blank=True)
    tags = models.JSONField(default=dict, blank=True)
    # what clients of the API keep beside it; the studio does not look at it
    properties = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.CREATING)
    code = models.CharField(max_length=60, blank=True)
    message = models.TextField(blank=True)
    state_changed_at = models.DateTimeField(auto_now_add=True)
    wanted_instance_count = models.PositiveIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(50)]
    )
    serving_revision = models.ForeignKey("Revision", on_delete=models.SET_NULL, null=True, related_name="+")
    wanted_revision = models.ForeignKey("Revision", on_delete=models.SET_NULL, null=True, related_name="+")
    # one worker at a time takes steps for a deployment; a lease that ran out belongs to nobody
    lease_holder = models.CharField(max_length=60, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    next_step_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint("endpoint", Lower("name"), name="deployment_name_unique"),
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["Creating", "Updating", "Scaling", "Succeeded", "Failed", "Canceled", "Deleting"]
                ),
                name="deployment_state_known",
            ),
            models.CheckConstraint(
                condition=models.Q(wanted_instance_count__range=(1, 50)), name="deployment_instance_count_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint.name}/{self.name}"

    def activity_subject(self) -> Subject:
        return Subject(self.endpoint.workspace_id, Target.DEPLOYMENT, self.pk, str(self))


class Revision(models.Model):
    """What a deployment's instances are made from. Immutable; every update writes the next number."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    model_version = models.ForeignKey(
        RegisteredModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="revisions"
    )
    code_version = models.ForeignKey(
        CodeVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="revisions"
    )
    scoring_script = models.CharField(max_length=255, blank=True)
    environment_version = models.ForeignKey(EnvironmentVersion, on_delete=models.PROTECT, related_name="revisions")
    instance_type = models.ForeignKey(InstanceType, on_delete=models.PROTECT, related_name="revisions")
    environment_variables = EncryptedJSONField(default=dict, blank=True)
    request_timeout_ms = models.PositiveIntegerField(default=5000)
    max_concurrent_requests_per_instance = models.PositiveIntegerField(default=1)
    max_queue_wait_ms = models.PositiveIntegerField(default=500)
    # {"initial_delay": s, "period": s, "timeout": s, "success_threshold": n, "failure_threshold": n}
    liveness_probe = models.JSONField(default=dict)
    readiness_probe = models.JSONField(default=dict)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "number"], name="one_revision_per_number"),
            models.CheckConstraint(
                condition=models.Q(request_timeout_ms__range=(1, 180_000)), name="revision_request_timeout_in_range"
            ),
            models.CheckConstraint(
                condition=models.Q(max_concurrent_requests_per_instance__gte=1), name="revision_concurrency_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"revision {self.number}"


class Instance(models.Model):
    """A running copy of a revision. The row is written before the driver is asked, and stays after the instance is gone."""

    class State(models.TextChoices):
        REQUESTED = "Requested"
        STARTING = "Starting"
        READY = "Ready"
        UNREADY = "Unready"
        DRAINING = "Draining"
        STOPPED = "Stopped"
        FAILED = "Failed"

    LIVE_STATES = ("Requested", "Starting", "Ready", "Unready")
    ENDED_STATES = ("Stopped", "Failed")

    deployment = models.ForeignKey(Deployment, on_delete=models.SET_NULL, null=True, related_name="instances")
    revision = models.ForeignKey(Revision, on_delete=models.SET_NULL, null=True, related_name="instances")
    # names outlive the deployment: what an instance cost is still asked after it is gone
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="instances")
    endpoint_name = models.CharField(max_length=32)
    deployment_name = models.CharField(max_length=32)
    revision_number = models.PositiveIntegerField()
    name = models.CharField(max_length=40, unique=True)
    driver = models.CharField(max_length=20)
    address = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.REQUESTED)
    code = models.CharField(max_length=60, blank=True)
    message = models.TextField(blank=True)
    state_changed_at = models.DateTimeField(auto_now_add=True)
    limits_applied = models.JSONField(default=dict, blank=True)
    restarts = models.PositiveIntegerField(default=0)
    exit_code = models.IntegerField(null=True, blank=True)
    # consecutive readiness probes that failed, or passed while it was not ready yet
    failed_probes = models.PositiveIntegerField(default=0)
    passed_probes = models.PositiveIntegerField(default=0)
    # the gateway may send it requests: set when every instance of its revision is ready, never taken back
    is_admitted = models.BooleanField(default=False)
    instance_type_name = models.CharField(max_length=60)
    price_per_hour = models.DecimalField(max_digits=10, decimal_places=5, default=Decimal(0))
    # what the gateway has confirmed to send this instance: "" nothing, "traffic", or "draining"
    routed = models.CharField(max_length=10, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    draining_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    # when it last answered a probe
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["Requested", "Starting", "Ready", "Unready", "Draining", "Stopped", "Failed"]
                ),
                name="instance_state_known",
            ),
            models.CheckConstraint(
                condition=models.Q(routed__in=["", "traffic", "draining"]), name="instance_routed_known"
            ),
        ]
        indexes = [
            # every instance that is or should be running: watching, the route table
            models.Index(
                fields=["deployment"],
                name="instance_not_ended",
                condition=models.Q(state__in=["Requested", "Starting", "Ready", "Unready", "Draining"]),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def activity_subject(self) -> Subject:
        name = f"{self.endpoint_name}/{self.deployment_name}/{self.name}"
        return Subject(self.workspace_id, Target.INSTANCE, self.pk, name)
