"""Ask instances whether they are ready."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

READINESS_PATH = "/ready"
PROBES_AT_ONCE = 16


@dataclass(frozen=True)
class Answer:
    """`answered`: something spoke HTTP. `is_ready`: with a status below 400."""

    answered: bool
    is_ready: bool
    detail: str = ""


def probe(address: str, *, timeout_seconds: float) -> Answer:
    """One readiness probe of `unix:/path` or `host:port`. Never raises."""
    if not address:
        return Answer(False, False, "it has no address yet")
    if address.startswith("unix:"):
        transport = httpx.HTTPTransport(uds=address.removeprefix("unix:"))
        base = "http://instance"
    else:
        transport, base = httpx.HTTPTransport(), f"http://{address}"
    try:
        with httpx.Client(transport=transport, timeout=timeout_seconds, trust_env=False) as client:
            status = client.get(base + READINESS_PATH).status_code
    except httpx.HTTPError as error:
        return Answer(False, False, type(error).__name__)
    return Answer(True, status < 400, f"status {status}")


def probe_many(addresses: Mapping[str, tuple[str, float]]) -> dict[str, Answer]:
    """Probe several at once: name to (address, timeout in seconds) in, name to Answer out."""
    if not addresses:
        return {}
    with ThreadPoolExecutor(min(PROBES_AT_ONCE, len(addresses))) as pool:
        answers = pool.map(lambda item: probe(item[0], timeout_seconds=item[1]), addresses.values())
        return dict(zip(addresses, answers, strict=True))
