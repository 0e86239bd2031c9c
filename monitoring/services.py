"""Verbs of this room."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from deployments.models import InstanceType
from monitoring.models import InstanceTypePrice
from studio.lib.errors import BadRequest, Forbidden

HIGHEST_PER_HOUR = Decimal("99999.99999")


def set_price(*, instance_type: InstanceType, price_per_hour: Decimal, by: Any) -> InstanceTypePrice | None:
    """From now on the type costs this, also for instances that run; what was used before keeps its price.

    None when that is its price already. Raises Forbidden (administrators only: the price is the same in every workspace) and
    BadRequest.
    """
    if not by.is_superuser:
        raise Forbidden("Prices hold for every workspace; only an administrator may change them.")
    if not price_per_hour.is_finite() or not 0 <= price_per_hour <= HIGHEST_PER_HOUR:
        raise BadRequest(f"A price is a number from 0 to {HIGHEST_PER_HOUR} per hour.", field="price_per_hour")
    with transaction.atomic():
        row = InstanceType.objects.select_for_update().get(pk=instance_type.pk)
        price = price_per_hour.quantize(Decimal("0.00001"))
        if row.price_per_hour == price:
            return None
        InstanceType.objects.filter(pk=row.pk).update(price_per_hour=price)
        return InstanceTypePrice.objects.create(instance_type=row, price_per_hour=price, since=timezone.now(), by=by)
