"""A real Envoy with real instances behind it, for one test."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from endpoints import tokens
from gateway import sockets
from gateway.admin import Admin
from gateway.options import GatewayOptions
from gateway.publish import Publisher, PublishResult
from gateway.routes import DeploymentRoute, EndpointRoute, InstanceTarget, ReadinessProbe, RouteTable
from gateway.run import command

REPOSITORY = Path(__file__).resolve().parents[2]
SIGNING_KEY = tokens.new_signing_key()
DEADLINE_SECONDS = 20.0
QUICK_PROBE = ReadinessProbe(period_seconds=0.2, timeout_seconds=1, failure_threshold=2)


def key_of(endpoint: str, slot: str = "primary") -> str:
    return f"{slot}-key-of-{endpoint}"


def hashes_of(endpoint: str) -> dict[str, str]:
    return {slot: hashlib.sha256(key_of(endpoint, slot).encode()).hexdigest() for slot in ("primary", "secondary")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(happens: Callable[[], Any], what: str, *, seconds: float = DEADLINE_SECONDS) -> Any:
    """Ask again and again until the answer is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if found := happens():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"It did not happen within {seconds} s: {what}")
        time.sleep(0.01)


@dataclass
class Upstream:
    """One instance: its own process on its own socket."""

    name: str
    socket: Path
    process: subprocess.Popen[bytes]

    @property
    def target(self) -> InstanceTarget:
        return InstanceTarget(self.name, f"unix:{self.socket}")

    def counts(self) -> dict[str, int]:
        status, body = sockets.request(self.socket, "GET", "/counts")
        assert status == 200
        return httpx.Response(200, content=body).json()

    def set_ready(self, ready: bool) -> None:
        flag = self.socket.with_name(self.socket.name + ".unready")
        if ready:
            flag.unlink(missing_ok=True)
        else:
            flag.touch()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class World:
    home: Path
    options: GatewayOptions
    publisher: Publisher
    admin: Admin
    upstreams: list[Upstream] = field(default_factory=list)
    envoy: subprocess.Popen[bytes] | None = None

    # --- instances
    def instance(self, name: str, *, ready: bool = True) -> Upstream:
        path = self.home / f"{name}.sock"
        flag = path.with_name(path.name + ".unready")
        if not ready:
            flag.touch()
        script = REPOSITORY / "tests" / "gateway" / "upstream.py"
        process = subprocess.Popen([sys.executable, "-I", "-S", str(script), str(path), name])
        upstream = Upstream(name, path, process)
        self.upstreams.append(upstream)
        until(lambda: _listens(path), f"{name} listens")
        return upstream

    def deployment(self, name: str, *instances: Upstream, **fields: Any) -> DeploymentRoute:
        fields = {"readiness": QUICK_PROBE, "max_concurrent_requests": 64, **fields}
        return DeploymentRoute(name, tuple(instance.target for instance in instances), **fields)

    def endpoint(self, name: str, *deployments: DeploymentRoute, **fields: Any) -> EndpointRoute:
        fields = {"key_hashes": hashes_of(name), **fields}
        return EndpointRoute(name, deployments=deployments, **fields)

    # --- Envoy
    def start(self) -> None:
        self.publisher.prepare()
        self.envoy = subprocess.Popen(command(self.options.directory, drain_seconds=15), cwd=REPOSITORY)
        until(self.admin.is_ready, "Envoy is ready")

    def stop(self, *, kill: bool = False) -> int:
        assert self.envoy is not None
        if kill:
            self.envoy.kill()
        else:
            self.envoy.terminate()
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; the exit code."""
        assert self.envoy is not None
        code = self.envoy.wait(timeout=DEADLINE_SECONDS)
        self.envoy = None
        until(lambda: not self.admin.is_ready(), "Envoy is gone")
        return code

    def publish(self, *endpoints: EndpointRoute) -> PublishResult:
        """Publish, and wait until every endpoint that has ready instances can reach them."""
        result = self.publisher.publish(RouteTable(endpoints))
        assert result.accepted, result.rejected_reason
        return result

    # --- callers
    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.options.http_port}"

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=DEADLINE_SECONDS, trust_env=False, verify=False, **options)

    def call(
        self, endpoint: str, path: str = "/score", *, key: str | None = "", method: str = "POST", **options: Any
    ) -> httpx.Response:
        """`key` None: without a credential; empty: the endpoint's own."""
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers["authorization"] = f"Bearer {key or key_of(endpoint)}"
        with self.client() as client:
            return client.request(method, f"/endpoints/{endpoint}{path}", headers=headers, **options)

    def load(self, endpoint: str, *, path: str = "/score", connections: int = 16) -> Load:
        return Load(self.options.http_port, endpoint, path, connections)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@dataclass
class Load:
    """Callers that keep their connections and count (status, deployment)."""

    port: int
    endpoint: str
    path: str
    connections: int
    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    stopped: bool = False

    async def send(self, count: int) -> None:
        """`count` requests in all, then return."""
        left = iter(range(count))
        await asyncio.gather(*(self._caller(left) for _ in range(self.connections)))

    async def send_until_stopped(self) -> None:
        await asyncio.gather(*(self._caller(iter(self._more, True)) for _ in range(self.connections)))

    def _more(self) -> bool:
        return self.stopped

    async def _caller(self, left: Iterator[Any]) -> None:
        head = (
            f"POST /endpoints/{self.endpoint}{self.path} HTTP/1.1\r\nhost: studio\r\ncontent-length: 2\r\n"
            f"authorization: Bearer {key_of(self.endpoint)}\r\n\r\n{{}}"
        ).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for _ in left:
                writer.write(head)
                self.answers[await _answered(reader)] += 1
        finally:
            writer.close()

    @property
    def failed(self) -> int:
        return sum(count for (status, _), count in self.answers.items() if status != 200)

    def by_deployment(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for (_, deployment), count in self.answers.items():
            found[deployment] += count
        return found


async def _answered(reader: asyncio.StreamReader) -> tuple[int, str]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split(" ")[1]), headers.get("azureml-model-deployment", "-")


@contextlib.contextmanager
def running_load(load: Load) -> Iterator[Load]:
    """`load` goes on in the background; at the end what is under way is finished."""
    import threading

    failures: list[BaseException] = []

    def work() -> None:
        try:
            asyncio.run(load.send_until_stopped())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield load
    finally:
        load.stopped = True
        thread.join(DEADLINE_SECONDS)
    assert not failures, failures


@contextlib.contextmanager
def world(**fields: Any) -> Iterator[World]:
    home = Path(tempfile.mkdtemp(prefix="es-", dir="/tmp"))
    options = GatewayOptions(
        **{
            "directory": home / "gateway",
            "http_port": free_port(),
            "jwks": tokens.key_set(SIGNING_KEY),
            "domain": "studio.test",
            **fields,
        }
    )
    made = World(home, options, Publisher(options), Admin(options.admin_socket))
    try:
        yield made
    finally:
        if made.envoy is not None:
            made.envoy.terminate()
            try:
                made.envoy.wait(timeout=DEADLINE_SECONDS)
            except subprocess.TimeoutExpired:
                made.envoy.kill()
        for upstream in made.upstreams:
            upstream.process.kill()
            upstream.process.wait()
        shutil.rmtree(home)


__all__ = [
    "DEADLINE_SECONDS", "QUICK_PROBE", "REPOSITORY", "SIGNING_KEY", "Load", "Upstream", "World",
    "free_port", "hashes_of", "key_of", "replace", "running_load", "until", "world",
]  # fmt: skip
