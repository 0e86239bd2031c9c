"""How much of the installation's quota is taken. A quota is a credit limit, not a promise of capacity."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings

from deployments.models import Deployment, InstanceType
from deployments.spec import instances_with_reserve, vcpu_with_reserve
from studio.lib.errors import OutOfQuota


@dataclass(frozen=True)
class Quota:
    """In vCPUs, the reserve of a fifth included."""

    limit: Decimal
    used: Decimal

    @property
    def free(self) -> Decimal:
        return self.limit - self.used


def current_quota(*, leaving_out: Deployment | None = None) -> Quota:
    """What all deployments take, by their wanted instance counts."""
    deployments = Deployment.objects.select_related("wanted_revision__instance_type", "serving_revision__instance_type")
    if leaving_out is not None:
        deployments = deployments.exclude(pk=leaving_out.pk)
    used = Decimal(0)
    for deployment in deployments:
        revision = deployment.serving_revision or deployment.wanted_revision
        if revision is not None and (deployment.serving_revision or deployment.state == Deployment.State.CREATING):
            kind = revision.instance_type
            used += vcpu_with_reserve(deployment.wanted_instance_count, kind.vcpu, skips_reserve=kind.skips_reserve)
    return Quota(limit=Decimal(settings.STUDIO_QUOTA_VCPU), used=used)


def check_quota(*, instance_type: InstanceType, count: int, leaving_out: Deployment | None = None) -> None:
    """Raises OutOfQuota, with the arithmetic, when `count` instances of this type do not fit.

    GPU types have a quota of 0, as in Azure by default: local compute gives no instance a GPU of its own.
    """
    if instance_type.gpu_count:
        raise OutOfQuota(
            f"{instance_type.name} has {instance_type.gpu_count} GPU ({instance_type.gpu_name}); the quota of GPUs is 0 here.",
            hint="Choose an instance type without a GPU.",
            field="instance_type",
        )
    quota = current_quota(leaving_out=leaving_out)
    needed = vcpu_with_reserve(count, instance_type.vcpu, skips_reserve=instance_type.skips_reserve)
    if needed <= quota.free:
        return
    reserved = instances_with_reserve(count, skips_reserve=instance_type.skips_reserve)
    raise OutOfQuota(
        f"{count} × {instance_type.name} need {needed.normalize():f} vCPU ({reserved} instances with the reserve of 20 % × "
        f"{instance_type.vcpu.normalize():f} vCPU); {quota.free.normalize():f} of {quota.limit:f} are free.",
        hint="Choose a smaller instance type or fewer instances, delete what is not used, or raise STUDIO_QUOTA_VCPU.",
        field="instance_type",
    )
