"""What this room does when a room below it says that something changed: look at everything again."""

from __future__ import annotations

import time
from typing import Any

from django.db import transaction
from django.dispatch import receiver

from deployments.signals import instances_changed
from endpoints.signals import routing_changed
from gateway.tasks import publish


@receiver([routing_changed, instances_changed])
def on_change(**_: Any) -> None:
    # Without a broker the change waits for the next tick; what the caller did is done all the same.
    transaction.on_commit(lambda: publish.delay(asked_at=time.time()), robust=True)
