"""From counters to buckets. Pure: what is added up here comes out the same in any order and grouping, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

MINUTE_SECONDS = 60
# Between two readings further apart than this nobody was looking: the time between them shows as a gap.
LONGEST_PAUSE_SECONDS = 45.0
# Faster than this is one bin.
SHORTEST_US = 500

Statuses = Mapping[int, int]
Bins = Mapping[int, int]


@dataclass(frozen=True)
class Tally:
    """What happened to requests in some time. Tallies add up over deployments and over time.

    `measured_seconds`: how long somebody was looking; counts in a time without any are known only as a sum.
    `statuses`: answers by status. `latencies`: answers by the lower bound of their bin in µs.
    `others`: bytes_in, bytes_out, mirrored, retries, refused.
    """

    measured_seconds: float = 0.0
    statuses: Statuses = field(default_factory=dict)
    latencies: Bins = field(default_factory=dict)
    others: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.measured_seconds + other.measured_seconds,
            added(self.statuses, other.statuses),
            added(self.latencies, other.latencies),
            added(self.others, other.others),
        )

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())

    @property
    def successes(self) -> int:
        """Answers with a status below 400."""
        return sum(count for status, count in self.statuses.items() if status < 400)

    @property
    def errors(self) -> int:
        return self.requests - self.successes

    def per_minute(self, count: int) -> float | None:
        """`count` in this time as a rate; None when nobody was looking."""
        return count * MINUTE_SECONDS / self.measured_seconds if self.measured_seconds else None


@dataclass(frozen=True)
class InstanceTally:
    """What one instance, or several, used. Adds up like Tally; memory is a sum over `samples`.

    `cpu_limit_seconds` is what it could have used. `state_seconds`: how long it was in which state.
    """

    measured_seconds: float = 0.0
    cpu_seconds: float = 0.0
    cpu_limit_seconds: float = 0.0
    samples: int = 0
    memory_sum_bytes: int = 0
    memory_limit_sum_bytes: int = 0
    memory_max_bytes: int = 0
    soft_errors: int = 0
    state_seconds: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: InstanceTally) -> InstanceTally:
        states = {
            state: self.state_seconds.get(state, 0.0) + other.state_seconds.get(state, 0.0)
            for state in {**self.state_seconds, **other.state_seconds}
        }
        return InstanceTally(
            self.measured_seconds + other.measured_seconds,
            self.cpu_seconds + other.cpu_seconds,
            self.cpu_limit_seconds + other.cpu_limit_seconds,
            self.samples + other.samples,
            self.memory_sum_bytes + other.memory_sum_bytes,
            self.memory_limit_sum_bytes + other.memory_limit_sum_bytes,
            max(self.memory_max_bytes, other.memory_max_bytes),
            self.soft_errors + other.soft_errors,
            states,
        )

    @property
    def cpu_percent(self) -> float | None:
        """Of what it could have used; may be a little above 100, since limits are enforced over short periods."""
        return 100 * self.cpu_seconds / self.cpu_limit_seconds if self.cpu_limit_seconds else None

    @property
    def memory_percent(self) -> float | None:
        return 100 * self.memory_sum_bytes / self.memory_limit_sum_bytes if self.memory_limit_sum_bytes else None


def added(one: Mapping[int, int] | Mapping[str, int], other: Mapping[int, int] | Mapping[str, int]) -> dict:
    """Key by key; no key is lost."""
    return dict(Counter(one) + Counter(other))


def total(several: Iterable[Tally]) -> Tally:
    """All of them added up."""
    sums = Sums()
    for tally in several:
        sums.add(tally.measured_seconds, tally.statuses, tally.latencies, tally.others)
    return sums.tally


class Sums:
    """Adds up many tallies in place. Statuses and bins may be texts, as JSON has them."""

    def __init__(self) -> None:
        self.measured_seconds = 0.0
        self._counts: tuple[dict[Any, int], dict[Any, int], dict[Any, int]] = {}, {}, {}

    def add(self, measured_seconds: float, *counts: Mapping[Any, int]) -> None:
        """`counts` are statuses, latencies and others."""
        self.measured_seconds += measured_seconds
        for found, more in zip(self._counts, counts, strict=True):
            for key, count in more.items():
                found[key] = found.get(key, 0) + count

    @property
    def tally(self) -> Tally:
        statuses, latencies, others = self._counts
        return Tally(self.measured_seconds, _by_number(statuses), _by_number(latencies), others)


def _by_number(counts: Mapping[Any, int]) -> dict[int, int]:
    return {int(key): count for key, count in counts.items()}


def increases(before: Mapping[str, int], now: Mapping[str, int], *, is_same_process: bool) -> dict[str, int]:
    """What came on top between two readings; only what did.

    Another process, and a counter that is smaller than before, began from nothing and count whole. A counter that is gone
    counts nothing, and whole if it comes back.
    """
    if not is_same_process:
        return {name: value for name, value in now.items() if value > 0}
    found = {}
    for name, value in now.items():
        seen = before.get(name, 0)
        if value != seen and (more := value - seen if value > seen else value):
            found[name] = more
    return found


def tallies(increase: Mapping[str, int]) -> dict[tuple[str, str], Tally]:
    """By endpoint and deployment, from increases by parse.counter_name."""
    statuses: dict[tuple[str, str], Counter[int]] = {}
    latencies: dict[tuple[str, str], Counter[int]] = {}
    others: dict[tuple[str, str], Counter[str]] = {}
    for name, count in increase.items():
        endpoint, deployment, measure, detail = name.split("/")
        key = endpoint, deployment
        if measure == "status":
            statuses.setdefault(key, Counter())[int(detail)] += count
        elif measure == "latency":
            bound = int(detail)
            latencies.setdefault(key, Counter())[bound if bound >= SHORTEST_US else 0] += count
        else:
            others.setdefault(key, Counter())[measure] += count
    return {
        key: Tally(
            statuses=dict(statuses.get(key, {})),
            latencies=dict(latencies.get(key, {})),
            others=dict(others.get(key, {})),
        )
        for key in {**statuses, **latencies, **others}
    }


@dataclass(frozen=True)
class Slice:
    """The part of some time that lies in one minute. `low` and `high` are where it begins and ends in all of it, 0 to 1."""

    minute: int
    seconds: float
    low: float
    high: float

    def of(self, count: int) -> int:
        """Its part of a count; the parts of all slices add up to the count."""
        return round(count * self.high) - round(count * self.low)


def slices(start: float, end: float) -> list[Slice]:
    """Cut the time between two seconds since 1970 at the full minutes. A clock that was set back leaves one slice of 0 s."""
    if end <= start:
        return [Slice(_minute(end), 0.0, 0.0, 1.0)]
    found = []
    at = start
    while at < end:
        until = min(end, _minute(at) + MINUTE_SECONDS)
        found.append(Slice(_minute(at), until - at, (at - start) / (end - start), (until - start) / (end - start)))
        at = until
    return found


def is_measured(start: float, end: float) -> bool:
    """Whether readings at these two seconds are close enough to know what happened between them."""
    return end - start <= LONGEST_PAUSE_SECONDS


def spread(tally: Tally, parts: Sequence[Slice]) -> Iterator[tuple[int, Tally]]:
    """A tally over the minutes it happened in, in proportion to time; their sum is the tally."""
    for part in parts:
        yield (
            part.minute,
            Tally(
                tally.measured_seconds * (part.high - part.low),
                _portion(tally.statuses, part),
                _portion(tally.latencies, part),
                _portion(tally.others, part),
            ),
        )


def _portion(counts: Mapping, part: Slice) -> dict:
    return {key: portion for key, count in counts.items() if (portion := part.of(count))}


def _minute(at: float) -> int:
    return int(at // MINUTE_SECONDS) * MINUTE_SECONDS


def percentile_ms(latencies: Bins, percent: float) -> float | None:
    """By nearest rank, in ms: the middle of the bin, at most 5 % off from 0.5 ms on. None without any answer."""
    total = sum(latencies.values())
    if not total:
        return None
    rank = max(1, ceil(total * percent / 100))
    for bound in sorted(latencies):
        rank -= latencies[bound]
        if rank <= 0:
            return middle_us(bound) / 1000
    raise AssertionError("The ranks of a histogram end with its sum.")


def mean_ms(latencies: Bins) -> float | None:
    """At most 5 % off, like the bins it is made from. None without any answer."""
    total = sum(latencies.values())
    return sum(middle_us(bound) * count for bound, count in latencies.items()) / total / 1000 if total else None


def middle_us(bound: int) -> float:
    """The middle of a bin with this lower bound: bins have two significant digits."""
    return bound + 10 ** (len(str(bound)) - 2) / 2 if bound else SHORTEST_US / 2
