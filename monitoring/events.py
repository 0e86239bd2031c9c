"""What somebody did, or what broke, in a stretch of time: the marks on charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from endpoints.models import Endpoint
from monitoring.windows import Window
from workspaces.models import Activity, Target

MOST = 100
# verb: kind
_KINDS = {
    "traffic changed": "traffic",
    "traffic change undone": "traffic",
    "instance count changed": "scale",
    "scale deployment succeeded": "scale",
    "deployment created": "deploy",
    "deployment updating": "deploy",
    "create deployment succeeded": "deploy",
    "update deployment succeeded": "deploy",
    "deployment deleted": "deploy",
    "deployment failed": "failure",
    "instance failed": "failure",
    "instance unready": "failure",
}


@dataclass(frozen=True)
class Event:
    """`kind` is traffic, scale, deploy or failure; `text` says what, to which and by whom."""

    at: datetime
    kind: str
    text: str


def events(endpoint: Endpoint, window: Window) -> list[Event]:
    """Oldest first; the newest MOST of them."""
    about = Q(target_kind=Target.ENDPOINT, target_id=endpoint.pk)
    about |= Q(target_kind__in=(Target.DEPLOYMENT, Target.INSTANCE), target_name__startswith=f"{endpoint.name}/")
    rows = Activity.objects.filter(
        about,
        workspace_id=endpoint.workspace_id,
        verb__in=_KINDS,
        at__gte=max(window.start, endpoint.created_at),
        at__lt=window.end,
    )
    newest = rows.select_related("by").order_by("-id")[:MOST]
    return [Event(row.at, _KINDS[row.verb], _text(row)) for row in reversed(newest)]


def _text(row: Activity) -> str:
    what = row.verb.capitalize()
    name = row.target_name.partition("/")[2]
    parts = [f"{what}: {name}" if name else what]
    if row.message:
        parts.append(row.message.splitlines()[0][:160])
    shares = row.after.get("percents")
    if isinstance(shares, dict):
        parts.append(", ".join(f"{deployment} {percent} %" for deployment, percent in shares.items()))
    parts.append(f"by {row.by}" if row.by else "by the studio")
    if "instance_count" in row.after:
        parts.append(f"{row.before.get('instance_count')} → {row.after['instance_count']} instances")
    return " · ".join(parts)
