"""Is green as good as blue? Pure, and safe to ask again and again while requests come in.

Bounds are time-uniform (a Beta mixture, by Ville's inequality): however often somebody looks, the probability that anything said
is wrong is at most ERROR_PROBABILITY.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, lgamma, log
from typing import Literal

from monitoring import rollup
from monitoring.rollup import Bins, Tally
from studio.lib.formats import duration_text

ERROR_PROBABILITY = 0.05
ENOUGH_REQUESTS = 200
# Slower means: more answers than the baseline's take longer than this many times its P95.
SLOWER_RATIO = 1.25
# Two deployments, two questions.
_PROBABILITY_EACH = ERROR_PROBABILITY / 4
_STEPS = 50

Kind = Literal["waiting", "worse", "fine", "better"]


@dataclass(frozen=True)
class Verdict:
    kind: Kind
    sentence: str


def failures(tally: Tally) -> int:
    """What counts against a deployment: 408, 424, 429 and 5xx. What the caller did wrong does not."""
    return sum(count for status, count in tally.statuses.items() if status in (408, 424, 429) or status >= 500)


def answered(tally: Tally) -> int:
    """Requests that a deployment had a part in."""
    return failures(tally) + tally.successes


def bounds(count: int, of: int, probability: float = _PROBABILITY_EACH) -> tuple[float, float]:
    """Between which shares the true one lies, at every moment of a growing sample, but for `probability`."""
    if not of:
        return 0.0, 1.0
    limit = -log(probability)
    mixture = lgamma(count + 1) + lgamma(of - count + 1) - lgamma(of + 2)

    def is_out(share: float) -> bool:
        against = count * log(share) if count else 0.0
        against += (of - count) * log(1 - share) if of > count else 0.0
        return mixture - against > limit

    best = count / of
    return _edge(best, 0.0, is_out), _edge(best, 1.0, is_out)


def _edge(inside: float, outside: float, is_out: Callable[[float], bool]) -> float:
    """Where, between the two, being out begins; `outside` itself when nothing is."""
    end = outside
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        if is_out(middle):
            outside = middle
        else:
            inside = middle
    return end if abs(outside - end) < exp(-30) else outside


def compare(baseline: Tally, candidate: Tally, *, of: str, with_: str) -> Verdict:
    """The candidate `of` against the baseline `with_`."""
    few = {name: answered(tally) for name, tally in ((of, candidate), (with_, baseline))}
    missing = [f"{name} {count:,} of {ENOUGH_REQUESTS}" for name, count in few.items() if count < ENOUGH_REQUESTS]
    if missing:
        return Verdict("waiting", f"Not enough requests yet to compare {of} with {with_}: {', '.join(missing)}.")
    own, other = _errors(candidate), _errors(baseline)
    facts = f"errors {_percent(candidate)} against {_percent(baseline)}, P95 {_p95(candidate)} against {_p95(baseline)}"
    if own[0] > other[1]:
        return Verdict("worse", f"{of} fails more often than {with_}: {facts}.")
    threshold = SLOWER_RATIO * (rollup.percentile_ms(baseline.latencies, 95) or 0.0)
    slow, usual = _slower(candidate.latencies, threshold), _slower(baseline.latencies, threshold)
    if slow[0] > usual[1]:
        return Verdict("worse", f"{of} is slower than {with_}: {facts}.")
    if own[1] < other[0]:
        return Verdict("better", f"{of} fails less often than {with_}: {facts}.")
    return Verdict("fine", f"Nothing speaks against {of} so far: {facts}.")


def _errors(tally: Tally) -> tuple[float, float]:
    return bounds(failures(tally), answered(tally))


def _slower(latencies: Bins, threshold_ms: float) -> tuple[float, float]:
    slow = sum(count for bound, count in latencies.items() if rollup.middle_us(bound) > threshold_ms * 1000)
    return bounds(slow, sum(latencies.values()))


def _percent(tally: Tally) -> str:
    return f"{100 * failures(tally) / answered(tally):.1f} %"


def _p95(tally: Tally) -> str:
    found = rollup.percentile_ms(tally.latencies, 95)
    return "unknown" if found is None else duration_text(found / 1000)
