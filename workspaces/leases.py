"""One worker at a time works on a row. Rows that can be leased have the columns `lease_holder` and `lease_until`."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from functools import lru_cache
from typing import Any

import psutil
from django.db.models import Model, Q
from django.utils import timezone

LEASE_SECONDS = 30


@lru_cache(maxsize=2)
def _named(pid: int) -> str:
    return f"{socket.gethostname()[:30]}:{pid}:{psutil.Process(pid).create_time():.2f}"


def this_process() -> str:
    """This process as host:pid:start, which no other process ever is."""
    return _named(os.getpid())


def take(model: type[Model], pk: int) -> bool:
    """Try to hold the row for LEASE_SECONDS. False while somebody else does."""
    now = timezone.now()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    taken = model._default_manager.filter(free, pk=pk).update(
        lease_holder=this_process(), lease_until=now + timedelta(seconds=LEASE_SECONDS)
    )
    return taken == 1


def renew(model: type[Model], pk: int) -> bool:
    """Hold it for LEASE_SECONDS more. False when the lease ran out and somebody else took it: stop working on it."""
    until = timezone.now() + timedelta(seconds=LEASE_SECONDS)
    return model._default_manager.filter(pk=pk, lease_holder=this_process()).update(lease_until=until) == 1


def release(model: type[Model], pk: int, **columns: Any) -> None:
    """Let go, and set `columns` with it; nothing when somebody else has taken it meanwhile."""
    model._default_manager.filter(pk=pk, lease_holder=this_process()).update(
        lease_holder="", lease_until=None, **columns
    )


def free_of_the_dead(model: type[Model]) -> int:
    """Void the leases of processes of this host that no longer live, so that nobody waits for them. Returns how many."""
    host = socket.gethostname()[:30]
    freed = 0
    rows = model._default_manager
    for pk, holder in rows.filter(lease_holder__startswith=f"{host}:").values_list("pk", "lease_holder"):
        if not _is_alive(holder):
            freed += rows.filter(pk=pk, lease_holder=holder).update(lease_holder="", lease_until=None)
    return freed


def _is_alive(holder: str) -> bool:
    _, pid, started = holder.rsplit(":", 2)
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" == started
    except psutil.NoSuchProcess:
        return False
