"""Steady load on a scoring address: threads with keep-alive connections, every answer counted."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Tally:
    """What came back. `failures` are answers other than 200 and broken connections, with the second they happened at."""

    statuses: Counter[str] = field(default_factory=Counter)
    deployments: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    failures: list[tuple[float, str]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.statuses.values())

    def percentile_ms(self, percent: float) -> float:
        """By nearest rank; 0 when nothing came back."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0

    def line(self) -> str:
        """Counts and latencies in one line."""
        shares = ", ".join(f"{name} {count}" for name, count in self.deployments.most_common())
        return (
            f"{self.total} requests: {dict(self.statuses)}, {len(self.failures)} failed; {shares}; "
            f"p50 {self.percentile_ms(50):.1f} ms, p99 {self.percentile_ms(99):.1f} ms"
        )


class Load:
    """`with Load(uri, key, body) as load: …` sends requests from `threads` connections until the block ends."""

    def __init__(
        self, uri: str, key: str, body: Any, *, threads: int = 6, pause_seconds: float = 0.0, most: int | None = None
    ) -> None:
        self.address = urlsplit(uri)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.body = json.dumps(body)
        self.pause_seconds = pause_seconds
        self.tally = Tally()
        self.left = most
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self) -> Load:
        self.began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.left is None:
            self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection = self._connect()
        while not self._stop.is_set() and self._take():
            began = time.monotonic()
            try:
                connection.request("POST", self.address.path, self.body, self.headers)
                answer = connection.getresponse()
                answer.read()
                self._count(str(answer.status), answer.headers.get("azureml-model-deployment", "-"), began)
            except (OSError, http.client.HTTPException) as error:
                self._count(type(error).__name__, "-", began)
                connection.close()
                connection = self._connect()
            if self.pause_seconds:
                self._stop.wait(self.pause_seconds)
        connection.close()

    def _take(self) -> bool:
        with self._lock:
            if self.left is None:
                return True
            self.left -= 1
            return self.left >= 0

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address.hostname or "", self.address.port, timeout=60)

    def _count(self, status: str, deployment: str, began: float) -> None:
        now = time.monotonic()
        with self._lock:
            self.tally.statuses[status] += 1
            self.tally.deployments[deployment] += 1
            self.tally.latencies_ms.append((now - began) * 1000)
            if status != "200":
                self.tally.failures.append((round(now - self.began, 2), status))
