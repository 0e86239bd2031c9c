"""What every template may ask: figures and times in words, colours of states and deployments, what the reader may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import template
from django.template import Context
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from studio.lib import formats
from workspaces.models import Workspace
from workspaces.permissions import Need, may, member_of
from workspaces.queries import workspaces_for

register = template.Library()

THEMES = ("light", "dark")

_ICONS = {
    "workspace": "home",
    "model": "cube",
    "environment": "square-3-stack-3d",
    "code": "code-bracket",
    "build": "wrench-screwdriver",
    "endpoint": "signal",
    "deployment": "rocket-launch",
    "instance": "cpu-chip",
    "member": "users",
    "token": "key",
    "account": "user-circle",
}


@dataclass(frozen=True)
class Permissions:
    """What the reader of a page may do in its workspace."""

    write: bool = False
    operate: bool = False
    own: bool = False
    keys: bool = False
    role: str = ""


@register.filter
def bytes_size(value: float | None) -> str:
    """A number of bytes: "1.4 MB"; "–" for None."""
    return "–" if value is None else formats.bytes_text(value)


@register.filter
def duration(seconds: float | None) -> str:
    """A number of seconds: "3 min 20 s"; "–" for None."""
    return "–" if seconds is None else formats.duration_text(seconds)


@register.filter
def duration_ms(milliseconds: float | None) -> str:
    """A number of milliseconds: "80 ms", "4.2 s"; "–" for None."""
    return "–" if milliseconds is None else formats.duration_text(milliseconds / 1000)


@register.simple_tag
def elapsed(start: datetime | None, end: datetime | None = None) -> str:
    """The time from `start` to `end`, or to now while there is no end; "" before the start."""
    return formats.duration_text(((end or timezone.now()) - start).total_seconds()) if start else ""


@register.filter
def ago(at: datetime | None) -> SafeString | str:
    """A `<time>` that reads "4 min ago" and shows the exact moment on hover; "–" for None."""
    if at is None:
        return "–"
    exact = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        exact.isoformat(timespec="seconds"),
        f"{exact:%Y-%m-%d %H:%M:%S} {exact.tzname()}",
        formats.relative_text(at, timezone.now()),
    )


@register.filter
def tone(state: Any) -> str:
    """good, busy, bad, warn or rest: the suffix of `badge-`, `dot-` and `step-` classes."""
    return formats.tone_of(str(state))


@register.filter
def deployment_colour(name: str, among: Iterable[str] | int) -> str:
    """The class of a deployment's colour: among all names in order of creation, or by its index."""
    if isinstance(among, int):
        return f"dep-{formats.DEPLOYMENT_COLOURS[among % len(formats.DEPLOYMENT_COLOURS)]}"
    return f"dep-{formats.deployment_colours(among).get(name, formats.DEPLOYMENT_COLOURS[-1])}"


@register.filter
def target_icon(kind: str) -> str:
    """The icon of a kind of target, as named by heroicons."""
    return _ICONS.get(kind, "bolt")


@register.filter
def short_hash(sha256: str | None) -> str:
    """The first twelve digits."""
    return (sha256 or "")[:12]


@register.filter
def sentence(verb: str) -> str:
    """With a capital first letter, the rest unchanged."""
    return verb[:1].upper() + verb[1:]


@register.filter
def changes(activity: Any) -> list[tuple[str, Any, Any]]:
    """What an activity changed: (what, before, after), without what stayed the same."""
    names = [*activity.before, *(name for name in activity.after if name not in activity.before)]
    found = [(name, activity.before.get(name), activity.after.get(name)) for name in names]
    return [(_label(name), _plain(name, old), _plain(name, new)) for name, old, new in found if old != new]


def _label(name: str) -> str:
    return "SHA-256" if name == "sha256" else name.removesuffix("_bytes").replace("_", " ")


def _plain(name: str, value: Any) -> str:
    if name.endswith("_bytes") and isinstance(value, int):
        return formats.bytes_text(value)
    if name == "sha256":
        return short_hash(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item}" for key, item in value.items()) or "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "" if value is None else str(value)
    return f"{text[:60]}…" if len(text) > 64 else text


@register.inclusion_tag("_parts/traffic_bar.html")
def traffic_bar(percents: Mapping[str, int], names: Iterable[str] | None = None) -> dict[str, Any]:
    """The shares as one bar with a text alternative. `names`: all deployments in order of creation, for their colours."""
    colours = formats.deployment_colours(percents if names is None else names)
    start, parts = 0, []
    for name, percent in percents.items():
        if percent:
            colour = colours.get(name, formats.DEPLOYMENT_COLOURS[-1])
            parts.append({"name": name, "percent": percent, "x": start, "class": f"dep-{colour}"})
            start += percent
    return {"parts": parts, "label": ", ".join(f"{part['name']} {part['percent']} %" for part in parts)}


@register.simple_tag(takes_context=True)
def permissions(context: Context, workspace: Workspace | None = None) -> Permissions:
    """What `request.user` may do in `workspace` (default: the page's). One query a request and workspace."""
    request, place = context.get("request"), workspace or context.get("workspace")
    if request is None or place is None or not request.user.is_authenticated:
        return Permissions()
    known: dict[int, Permissions] = request.__dict__.setdefault("_permissions", {})
    if place.pk not in known:
        member = member_of(request.user, place)
        role = member.get_role_display() if member else "Administrator"
        can = {need: may(member, request.user, need) for need in Need}
        known[place.pk] = Permissions(can[Need.WRITE], can[Need.OPERATE], can[Need.OWN], can[Need.KEYS], role)
    return known[place.pk]


@register.simple_tag(takes_context=True)
def my_workspaces(context: Context) -> list[Workspace]:
    """The workspaces of the signed-in user; [] for a visitor."""
    request = context.get("request")
    return list(workspaces_for(request.user)) if request and request.user.is_authenticated else []


@register.simple_tag(takes_context=True)
def chosen_theme(context: Context) -> str:
    """ "light" or "dark" when chosen by hand; "" follows the system."""
    request = context.get("request")
    theme = request.COOKIES.get("studio_theme", "") if request else ""
    return theme if theme in THEMES else ""


@register.simple_tag(takes_context=True)
def current_section(context: Context) -> str:
    """The part of the address after the workspace: "models", "endpoints", "" on its home page."""
    request = context.get("request")
    parts = request.path.strip("/").split("/") if request else []
    return parts[2] if len(parts) > 2 and parts[0] == "workspaces" else ""
