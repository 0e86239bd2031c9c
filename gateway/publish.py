"""Bringing a route table into force: files moved in the order that lets no request fail, and Envoy's answer awaited."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from gateway import files
from gateway.admin import Admin, DeploymentHealth
from gateway.envoy import Certificate, Configuration, render, render_static
from gateway.errors import GatewayUnreachable
from gateway.options import GatewayOptions
from gateway.protos import Message, discovery
from gateway.routes import RouteTable
from gateway.run import envoy_binary
from gateway.subscriptions import (
    CLUSTERS,
    LISTENERS,
    ROUTES,
    TOKEN_RULES,
    InForce,
    Kind,
    Rejected,
    Subscription,
    versions_in_force,
)

NOT_RUNNING = "Envoy does not run; it will start from the files that were written."
WARMING_SECONDS = 10.0
# A removed deployment that still answers longer than this keeps its cluster until a later publish.
LAST_ANSWERS_SECONDS = 0.25
VALIDATION_SECONDS = 30.0


@dataclass(frozen=True)
class PublishResult:
    """`accepted`: what Envoy has in force is this table. `changed`: a file was moved.

    `leftover_clusters` belong to removed deployments that are still answering; the next publish removes them.
    `seconds` are by part: waiting for the lock, rendering, validating, clusters, routes, removing.
    """

    changed: bool
    version: str
    accepted: bool
    rejected_reason: str = ""
    is_running: bool = True
    leftover_clusters: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)


class Publisher:
    """Publishes one gateway's table. Any number of processes may; they take turns."""

    def __init__(self, options: GatewayOptions) -> None:
        self._options = options

    def prepare(self) -> None:
        """Everything Envoy needs to start. Routes and clusters that are there already stay: they were accepted."""
        _make_directory(self._options.directory)
        _make_directory(self._options.xds_directory)
        with self.turn() as turn:
            turn.prepare()

    def publish(self, table: RouteTable) -> PublishResult:
        """Make `table` what Envoy has in force, and the files what Envoy would start with.

        Nothing of a table that breaks a rule is written: raises RouteTableInvalid. What Envoy refuses is taken back
        (`accepted` False, its reason in `rejected_reason`). Without a running Envoy only the files are written.
        Twice is the same as once.
        """
        with self.turn() as turn:
            return turn.publish(table)

    @contextlib.contextmanager
    def turn(self) -> Iterator[Turn]:
        """Wait until no other process publishes. Read the table after that, and the newest one is what stays in force."""
        started = time.monotonic()
        descriptor = os.open(self._options.directory / "publish.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Turn(self._options, waited_seconds=time.monotonic() - started)
        finally:
            os.close(descriptor)


class Turn:
    """The right to change the files, held by one process at a time."""

    def __init__(self, options: GatewayOptions, *, waited_seconds: float) -> None:
        self._options = options
        self._admin = Admin(options.admin_socket)
        self._seconds = {"waiting": waited_seconds}
        self._began_at = time.time()

    def is_served(self, asked_at: float) -> bool:
        """Whether the last accepted publish had its turn after `asked_at` (Unix seconds), and so read what was asked for."""
        record = last_publish(self._options)
        began_at = record.get("began_at", 0.0)
        return bool(record.get("accepted")) and isinstance(began_at, float) and began_at > asked_at

    def prepare(self) -> None:
        empty = self._render(RouteTable())
        for file, message in self._unrouted_files(empty):
            files.publish(file, files.as_bytes(message))
        for file, message in ((self._file(CLUSTERS), empty.clusters), (self._file(ROUTES), empty.routes)):
            if _loaded(file) is None:
                files.move_into_place(file, files.as_bytes(message))

    def publish(self, table: RouteTable) -> PublishResult:
        """As Publisher.publish."""
        seconds = self._seconds
        with _timed(seconds, "rendering"):
            configuration = self._render(table)
        structure = _structure(table, configuration)
        record = last_publish(self._options)
        if record.get("validated") != structure:
            with _timed(seconds, "validating"):
                reason = self._refusal(table)
            if reason:
                is_running = self._admin.is_ready()
                result = PublishResult(False, _version(configuration), False, reason, is_running, seconds=seconds)
                self._record(result, str(record.get("validated", "")))
                return result
        result = self._move(configuration, seconds)
        self._record(result, structure)
        return result

    def _move(self, configuration: Configuration, seconds: dict[str, float]) -> PublishResult:
        version = _version(configuration)
        in_force = self._in_force()
        is_running = in_force is not None
        changed, leftovers = False, tuple[str, ...]()
        try:
            changed |= self._move_unrouted(configuration, in_force)
            with _timed(seconds, "clusters"):
                moved, retired = self._move_clusters(configuration, in_force)
            changed |= moved
            with _timed(seconds, "routes"):
                changed |= self._subscription(ROUTES).move(configuration.routes, in_force)
            if retired:
                with _timed(seconds, "removing"):
                    leftovers = self._remove_clusters(configuration, retired)
                changed |= len(leftovers) < len(retired)
        except Rejected as error:
            return PublishResult(changed, version, False, str(error), True, leftovers, seconds)
        except GatewayUnreachable as error:
            # It died on the way: the files decide what it starts with, so they are completed.
            self._write_all(configuration)
            return PublishResult(True, version, False, f"{NOT_RUNNING} ({error.message})", False, (), seconds)
        reason = "" if is_running else NOT_RUNNING
        return PublishResult(changed, version, is_running, reason, is_running, leftovers, seconds)

    def _in_force(self) -> InForce | None:
        try:
            return versions_in_force(self._admin) if self._admin.is_ready() else None
        except GatewayUnreachable:
            return None

    def _move_unrouted(self, configuration: Configuration, in_force: InForce | None) -> bool:
        changed = False
        for file, message in self._unrouted_files(configuration):
            if file.name not in (LISTENERS.file_name, TOKEN_RULES.file_name):
                changed |= files.publish(file, files.as_bytes(message))
        changed |= self._subscription(TOKEN_RULES).move(configuration.token_rules, in_force)
        changed |= self._subscription(LISTENERS).move(configuration.listeners, in_force)
        return changed

    def _move_clusters(self, configuration: Configuration, in_force: InForce | None) -> tuple[bool, list[Message]]:
        """Wanted clusters, and those that routes may still lead to. New ones are ready before a route leads to them."""
        retired = self._retired(configuration) if in_force is not None else []
        moved = self._subscription(CLUSTERS).move(_with(configuration.clusters, retired), in_force)
        if moved and in_force is not None:
            self._await_warm()
        return moved, retired

    def _retired(self, configuration: Configuration) -> list[Message]:
        if files.read(self._file(CLUSTERS)) == files.as_bytes(configuration.clusters):
            return []
        wanted = {cluster["name"] for cluster in configuration.clusters["resources"]}
        present = (_loaded(self._file(CLUSTERS)) or {}).get("resources", [])
        return [cluster for cluster in present if cluster["name"] not in wanted]

    def _await_warm(self) -> None:
        deadline = time.monotonic() + WARMING_SECONDS
        while time.monotonic() < deadline:
            if self._admin.stats(r"^cluster_manager\.warming_clusters$").get("cluster_manager.warming_clusters") == "0":
                return
            time.sleep(0.002)

    def _remove_clusters(self, configuration: Configuration, retired: list[Message]) -> tuple[str, ...]:
        """No route leads to them any more; what they are answering is awaited for a moment."""
        deadline = time.monotonic() + LAST_ANSWERS_SECONDS
        while True:
            health = self._admin.deployment_health()
            busy = [cluster for cluster in retired if _is_busy(health.get(cluster["name"]))]
            if not busy or time.monotonic() > deadline:
                break
            time.sleep(0.01)
        if len(busy) < len(retired):
            self._subscription(CLUSTERS).move(_with(configuration.clusters, busy), versions_in_force(self._admin))
        return tuple(cluster["name"] for cluster in busy)

    def _write_all(self, configuration: Configuration) -> None:
        for file, message in self._unrouted_files(configuration):
            files.publish(file, files.as_bytes(message))
        files.publish(self._file(CLUSTERS), files.as_bytes(configuration.clusters))
        files.publish(self._file(ROUTES), files.as_bytes(configuration.routes))

    def _refusal(self, table: RouteTable) -> str:
        """What Envoy has against this configuration; empty when nothing."""
        _make_directory(self._options.directory)
        file = self._options.directory / "validate.json"
        files.move_into_place(file, files.as_bytes(render_static(table, self._options, self._certificate())))
        try:
            ran = subprocess.run(
                [
                    *(str(envoy_binary()), "--mode", "validate", "-c", str(file), "--use-dynamic-base-id"),
                    *("--reject-unknown-dynamic-fields", "--log-level", "error", "--component-log-level", "misc:error"),
                ],
                capture_output=True,
                text=True,
                timeout=VALIDATION_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"Envoy did not finish checking the configuration within {VALIDATION_SECONDS:.0f} seconds."
        finally:
            file.unlink()
        return "" if ran.returncode == 0 else _last_words(ran.stderr)

    def _render(self, table: RouteTable) -> Configuration:
        return render(table, self._options, self._certificate())

    def _certificate(self) -> Certificate | None:
        chain, key = self._options.certificate_file, self._options.private_key_file
        return Certificate(chain.read_text(), key.read_text()) if chain and key else None

    def _unrouted_files(self, configuration: Configuration) -> Iterator[tuple[Path, Message]]:
        yield self._options.bootstrap_file, configuration.bootstrap
        if configuration.secrets:
            yield self._options.xds_directory / "sds_tls.json", configuration.secrets
        yield self._file(TOKEN_RULES), configuration.token_rules
        yield self._file(LISTENERS), configuration.listeners

    def _file(self, kind: Kind) -> Path:
        return self._options.xds_directory / kind.file_name

    def _subscription(self, kind: Kind) -> Subscription:
        return Subscription(kind, self._options, self._admin)

    def _record(self, result: PublishResult, validated: str) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        record = {"at": now, "began_at": self._began_at, "validated": validated, **asdict(result)}
        files.move_into_place(self._options.last_publish_file, json.dumps(record).encode())


def _is_busy(health: DeploymentHealth | None) -> bool:
    return health is not None and health.active + health.waiting > 0


def last_publish(options: GatewayOptions) -> dict[str, object]:
    """What the last publish came to: the fields of PublishResult and `at` (ISO 8601, UTC). Empty before the first."""
    found = _loaded(options.last_publish_file)
    return found or {}


def _structure(table: RouteTable, configuration: Configuration) -> str:
    """A hash of all that Envoy could object to. Left out: percents and key hashes, whose every allowed value is good."""
    shapes = [
        replace(
            endpoint,
            traffic={},
            mirror=dict.fromkeys(endpoint.mirror, 1),
            key_hashes=dict.fromkeys(sorted(endpoint.key_hashes), ""),
        )
        for endpoint in table.endpoints
    ]
    parts = [
        repr(shapes),
        *(str(part["version_info"]) for part in (configuration.listeners, configuration.token_rules)),
        str(configuration.secrets and configuration.secrets["version_info"]),
        json.dumps(configuration.bootstrap, sort_keys=True),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _version(configuration: Configuration) -> str:
    """Names what is in force: clusters and routes."""
    return f"{configuration.clusters['version_info']}-{configuration.routes['version_info']}"


def _with(clusters: Message, retired: list[Message]) -> Message:
    if not retired:
        return clusters
    resources = [{k: v for k, v in cluster.items() if k != "@type"} for cluster in [*clusters["resources"], *retired]]
    return discovery("envoy.config.cluster.v3.Cluster", resources)


def _loaded(file: Path) -> Message | None:
    """None when it is missing or not JSON."""
    try:
        found = json.loads(files.read(file) or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _last_words(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return " ".join(lines[-3:])[-1000:] or "Envoy refused the configuration without a word."


def _make_directory(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True, mode=0o700)


@contextlib.contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        seconds[part] = time.monotonic() - started
