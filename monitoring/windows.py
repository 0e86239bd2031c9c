"""Which time a page is about, and how finely it is looked at. Pure: `now` is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MINUTE, HOUR, DAY = 60, 3600, 86_400
DEFAULT = "1h"
CUSTOM = "custom"
LONGEST_DAYS = 3_650


@dataclass(frozen=True)
class Range:
    """A choice: how it is called in the address, on the button and in a sentence."""

    key: str
    label: str
    words: str
    seconds: int


RANGES = (
    Range("15m", "15 min", "the last 15 minutes", 15 * MINUTE),
    Range("1h", "1 h", "the last hour", HOUR),
    Range("6h", "6 h", "the last 6 hours", 6 * HOUR),
    Range("24h", "24 h", "the last 24 hours", DAY),
    Range("7d", "7 d", "the last 7 days", 7 * DAY),
    Range("30d", "30 d", "the last 30 days", 30 * DAY),
    Range("90d", "90 d", "the last 90 days", 90 * DAY),
)
DAYS_DEFAULT = "month"
DAY_RANGES = (
    Range("today", "Today", "today", DAY),
    Range("7d", "7 days", "the last 7 days", 7 * DAY),
    Range("month", "This month", "this month", 31 * DAY),
)
# (longest range, step, grain of the buckets it is made from), in seconds: never more than 400 points
_STEPS = (
    (6 * HOUR, MINUTE, MINUTE),
    (2 * DAY, 10 * MINUTE, 10 * MINUTE),
    (14 * DAY, HOUR, HOUR),
    (31 * DAY, 3 * HOUR, HOUR),
)


@dataclass(frozen=True)
class Window:
    """From `start` until before `end` in steps; `start` is a multiple of the step. `is_live` ends now and moves on."""

    key: str
    words: str
    start: datetime
    end: datetime
    step_seconds: int
    grain_seconds: int

    @property
    def is_live(self) -> bool:
        return self.key != CUSTOM

    @property
    def moments(self) -> list[datetime]:
        """The beginning of every step."""
        count = -(-int((self.end - self.start).total_seconds()) // self.step_seconds)
        return [self.start + timedelta(seconds=number * self.step_seconds) for number in range(count)]

    def position(self, at: datetime) -> int:
        """In which step a moment lies."""
        return int((at - self.start).total_seconds() // self.step_seconds)


def named(key: str, now: datetime) -> Window:
    """The window of a choice; of the usual one for an unknown key."""
    choice = next((one for one in RANGES if one.key == key), None) or next(o for o in RANGES if o.key == DEFAULT)
    return _window(choice.key, choice.words, now - timedelta(seconds=choice.seconds), now)


def custom(begin: str, end: str, now: datetime) -> Window:
    """From one UTC time to another, as ISO texts; an end that is left out is now. Raises ValueError with a sentence."""
    first, last = _moment(begin), _moment(end) if end else now
    if first >= last:
        raise ValueError("The time to begin at must lie before the time to end at.")
    if last - first > timedelta(days=LONGEST_DAYS):
        raise ValueError(f"At most {LONGEST_DAYS:,} days can be shown.")
    return _window(CUSTOM, f"{first:%-d %b %Y %H:%M} to {last:%-d %b %Y %H:%M} UTC", first, last)


def named_days(key: str, now: datetime) -> Window:
    """Whole days (UTC) up to now: of a choice in DAY_RANGES, of the usual one for an unknown key."""
    choice = next((one for one in DAY_RANGES if one.key == key), None)
    choice = choice or next(one for one in DAY_RANGES if one.key == DAYS_DEFAULT)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = {"today": today, "7d": today - timedelta(days=6), "month": today.replace(day=1)}
    return Window(choice.key, choice.words, starts[choice.key], now, DAY, DAY)


def custom_days(begin: str, end: str, now: datetime) -> Window:
    """From one day (UTC) to another, both included, as ISO dates; an end that is left out is today. Raises ValueError."""
    first = _moment(begin).replace(hour=0, minute=0, second=0, microsecond=0)
    last = (_moment(end) if end else now).replace(hour=0, minute=0, second=0, microsecond=0)
    if first > last:
        raise ValueError("The first day must not lie after the last one.")
    if last - first > timedelta(days=LONGEST_DAYS):
        raise ValueError(f"At most {LONGEST_DAYS:,} days can be shown.")
    words = f"{first:%-d %b %Y} to {last:%-d %b %Y} (UTC)"
    return Window(CUSTOM, words, first, last + timedelta(days=1), DAY, DAY)


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text[:40]}' is no time; write it like 2026-01-31T09:15.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _window(key: str, words: str, start: datetime, end: datetime) -> Window:
    length = (end - start).total_seconds()
    step, grain = next(((step, grain) for longest, step, grain in _STEPS if length <= longest), (DAY, DAY))
    aligned = datetime.fromtimestamp(int(start.timestamp()) // step * step, UTC)
    return Window(key, words, aligned, end, step, grain)
