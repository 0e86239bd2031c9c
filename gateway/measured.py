"""What the counters say about an endpoint. Pure: counters in, shares out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

# Requests by (endpoint, deployment, status), as Admin.request_counts gives them.
Counts = Mapping[tuple[str, str, int], int]

# Answered by the gateway before any deployment had a part in it.
_TURNED_AWAY = frozenset({400, 401, 404, 413})


@dataclass(frozen=True)
class Share:
    """`percent` of the endpoint's requests, 0-100; `requests` is how many that were."""

    requests: int
    percent: float


def increase(before: Counts, now: Counts) -> dict[tuple[str, str, int], int]:
    """Requests between two readings. A counter that is smaller than before began anew with Envoy and counts whole."""
    began_anew = any(now.get(key, 0) < count for key, count in before.items())
    return {key: count - (0 if began_anew else before.get(key, 0)) for key, count in now.items()}


def shares(counts: Counts, endpoint: str) -> dict[str, Share]:
    """By deployment, pinned requests included. Empty while there are no requests."""
    requests: Counter[str] = Counter()
    for (of_endpoint, deployment, status), count in counts.items():
        if of_endpoint == endpoint and status not in _TURNED_AWAY and count:
            requests[deployment] += count
    total = requests.total()
    return {deployment: Share(count, 100 * count / total) for deployment, count in requests.items()}
