"""Orders of the list of endpoints. A page begins where the one before ended, whatever was added or removed meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from endpoints.models import Endpoint

# between the value and the name in the address of a page; no name or state has it
SEPARATOR = "~"


@dataclass(frozen=True)
class Order:
    """By `column`, and by name where that is the same."""

    name: str
    column: str
    descends: bool = False

    def page(self, rows: QuerySet[Endpoint], after: str) -> QuerySet[Endpoint]:
        """What comes after the end of a page, as `end_of` gave it; everything when that is "" or nonsense."""
        by_name = "name" if self.column != "name" or not self.descends else "-name"
        columns = [by_name] if self.column == "name" else [f"{'-' if self.descends else ''}{self.column}", by_name]
        return rows.filter(self._beyond(after)).order_by(*columns)

    def end_of(self, endpoint: Endpoint) -> str:
        value: Any = getattr(endpoint, self.column)
        if self.column == "name":
            return endpoint.name
        return f"{value.isoformat() if isinstance(value, datetime) else value}{SEPARATOR}{endpoint.name}"

    def _beyond(self, after: str) -> Q:
        if not after:
            return Q()
        side = "lt" if self.descends else "gt"
        if self.column == "name":
            return Q(**{f"name__{side}": after})
        text, _, name = after.rpartition(SEPARATOR)
        value: Any = text
        if self.column == "updated_at":
            try:
                value = datetime.fromisoformat(text)
            except ValueError:
                return Q()
            if value.tzinfo is None:
                return Q()
        return Q(**{f"{self.column}__{side}": value}) | Q(**{self.column: value, "name__gt": name})


ORDERS = {
    order.name: order
    for order in (
        Order("name", "name"),
        Order("-name", "name", descends=True),
        Order("state", "state"),
        Order("-state", "state", descends=True),
        Order("updated", "updated_at"),
        Order("-updated", "updated_at", descends=True),
    )
}
