"""What this room's templates may ask: money in words."""

from __future__ import annotations

from decimal import Decimal

from django import template

from monitoring import expenses

register = template.Library()


@register.filter
def money(amount: Decimal | None) -> str:
    """ "12.34"; "–" for None."""
    return "–" if amount is None else expenses.money(amount)


@register.filter
def rate(price_per_hour: Decimal) -> str:
    """A price without the zeros at its end: "0.073"."""
    return f"{price_per_hour.normalize():f}"


@register.filter
def grouped(count: int) -> str:
    """ "12,345"."""
    return f"{count:,}"


@register.filter
def of_kind(amounts: dict[str, Decimal], kind: str) -> Decimal:
    """One kind's part of a line; 0 when there is none."""
    return amounts.get(kind, Decimal(0))


@register.filter
def part_of(amount: Decimal, total: Decimal) -> str:
    """ "12 %"; "" of nothing."""
    return f"{100 * amount / total:.0f} %" if total else ""
