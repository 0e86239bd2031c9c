"""The nouns of this room. Names, not foreign keys, lead to endpoints and deployments: figures outlive both."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models

from deployments.models import InstanceType


class Grain(models.IntegerChoices):
    """Seconds that a bucket covers."""

    MINUTE = 60
    TEN_MINUTES = 600
    HOUR = 3600
    DAY = 86_400


class MeasuredDeployment(models.Model):
    """What buckets are about. `deployment_name` is "-" for what the gateway answered without any deployment."""

    endpoint_name = models.CharField(max_length=32)
    deployment_name = models.CharField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["endpoint_name", "deployment_name"], name="one_measured_deployment"),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint_name}/{self.deployment_name}"


class TrafficBucket(models.Model):
    """What happened to requests in the `grain` seconds from `at` on; rollup.Tally says what the columns mean."""

    measured = models.ForeignKey(MeasuredDeployment, on_delete=models.CASCADE, related_name="traffic")
    grain = models.PositiveIntegerField(choices=Grain.choices)
    at = models.DateTimeField()
    measured_seconds = models.FloatField(default=0)
    statuses = models.JSONField(default=dict)
    latencies = models.JSONField(default=dict)
    others = models.JSONField(default=dict)

    class Meta:
        constraints = [
            # also the index of every chart: one deployment, one grain, a range of time
            models.UniqueConstraint(fields=["measured", "grain", "at"], name="one_traffic_bucket"),
        ]
        indexes = [
            # what is too old to keep
            models.Index(fields=["grain", "at"], name="traffic_bucket_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.measured_id} {self.at:%Y-%m-%dT%H:%M} {self.grain} s"


class InstanceBucket(models.Model):
    """What one instance used in the `grain` seconds from `at` on; rollup.InstanceTally says what the columns mean."""

    measured = models.ForeignKey(MeasuredDeployment, on_delete=models.CASCADE, related_name="instances")
    instance_name = models.CharField(max_length=40)
    grain = models.PositiveIntegerField(choices=Grain.choices)
    at = models.DateTimeField()
    measured_seconds = models.FloatField(default=0)
    cpu_seconds = models.FloatField(default=0)
    cpu_limit_seconds = models.FloatField(default=0)
    samples = models.PositiveIntegerField(default=0)
    memory_sum_bytes = models.BigIntegerField(default=0)
    memory_limit_sum_bytes = models.BigIntegerField(default=0)
    memory_max_bytes = models.BigIntegerField(default=0)
    soft_errors = models.BigIntegerField(default=0)
    state_seconds = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["measured", "grain", "at", "instance_name"], name="one_instance_bucket"),
        ]
        indexes = [
            # what is too old to keep
            models.Index(fields=["grain", "at"], name="instance_bucket_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.instance_name} {self.at:%Y-%m-%dT%H:%M} {self.grain} s"


class ScrapeState(models.Model):
    """How far a source of counters has been read: its counters as last seen, written together with what they led to.

    `sequence` goes up with every reading that was kept; a reading that began from an older one is thrown away.
    `identity` names the process that counted; another one counts from nothing. `counters` is compressed JSON.
    """

    source = models.CharField(max_length=20, unique=True)
    sequence = models.BigIntegerField(default=0)
    identity = models.CharField(max_length=80, blank=True)
    counters = models.BinaryField(default=bytes)
    scraped_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.source


class InstanceTypePrice(models.Model):
    """What an instance type costs from `since` on. Rows are only ever added, and never for a time that has passed."""

    instance_type = models.ForeignKey(InstanceType, on_delete=models.CASCADE, related_name="prices")
    price_per_hour = models.DecimalField(max_digits=10, decimal_places=5, validators=[MinValueValidator(Decimal(0))])
    since = models.DateTimeField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["since"]
        constraints = [
            models.UniqueConstraint(fields=["instance_type", "since"], name="one_price_at_a_time"),
            models.CheckConstraint(condition=models.Q(price_per_hour__gte=0), name="price_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.instance_type_id}: {self.price_per_hour} since {self.since:%Y-%m-%d %H:%M}"
