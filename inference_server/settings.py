"""Every setting of the server: command line beats environment beats configuration file beats default."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass, field
from typing import Any, Mapping, MutableMapping, NoReturn, Sequence

VERSION = "1.0"
SERVER_VERSION = f"studio-inference-server/{VERSION}"
DEFAULT_PORT = 5001
DEFAULT_HEALTH_PORT = 5000
DEFAULT_ASYNC_CONCURRENCY = 64
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class SettingInvalid(Exception):
    """A flag, an environment variable or the configuration file holds a value that cannot be used."""


@dataclass(frozen=True)
class Settings:
    """What one server was told. Durations are seconds unless the name says otherwise; 0 means no limit for *_bytes."""

    entry_script: str | None
    app_root: str
    source_directory: str | None
    model_dir: str | None
    config_file: str | None
    socket_path: str | None
    socket_mode: int
    host: str
    port: int
    health_port: int | None
    worker_count: int
    worker_timeout_seconds: float
    preload: bool
    scoring_timeout_ms: int
    max_concurrent: int | None
    max_queue: int
    max_batch: int
    fast_path: bool
    max_body_bytes: int
    worker_memory_bytes: int
    cpu_limit: float | None
    drain_seconds: float
    lame_duck_seconds: float
    header_timeout_seconds: float
    body_timeout_seconds: float
    keep_alive_seconds: float
    log_level: str
    log_request_id: bool
    send_version: bool
    cors_origins: tuple[str, ...]
    service_name: str
    service_version: str
    service_path_prefix: str
    app_insights: bool
    debug_port: int | None
    unknown_keys: tuple[str, ...] = field(default=())

    @property
    def threads_per_worker(self) -> int:
        """How many run() calls one worker may hold at once: the instance's number shared out over its workers."""
        return -(-(self.max_concurrent or 1) // self.worker_count)

    @property
    def coroutines_per_worker(self) -> int:
        """Like `threads_per_worker` for an async run(), which may overlap freely unless a number was given."""
        return DEFAULT_ASYNC_CONCURRENCY if self.max_concurrent is None else self.threads_per_worker

    @property
    def search_paths(self) -> list[str]:
        """Directories appended to sys.path for the script, in order."""
        found = [self.app_root]
        if self.source_directory:
            found.append(os.path.join(self.app_root, self.source_directory))
        return found

    @property
    def generates_scoring(self) -> bool:
        """Whether the model folder is served as it is: no script is named, none is found as main.py, and there is a model."""
        if self.entry_script or not self.model_dir:
            return False
        mains = [os.path.join(folder, name) for folder in self.search_paths for name in ("main.py", "main")]
        return not any(os.path.exists(path) for path in mains)

    @property
    def script_path(self) -> str | None:
        return os.path.join(self.app_root, self.entry_script) if self.entry_script else None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_help(sys.stderr)
        print(f"\n{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(1)


def _port(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{value} is not a port: give 1 to 65535")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is too small: give 1 or more")
    return value


def parser() -> argparse.ArgumentParser:
    flags = _Parser(prog="inference_server", description="Serve an Azure ML scoring script.", allow_abbrev=False)
    flags.add_argument("--entry_script", help="scoring script with init() and run()")
    flags.add_argument("--model_dir", help="directory of the model, given to the script as AZUREML_MODEL_DIR")
    flags.add_argument("--config_file", help="JSON file with the names of the environment variables as keys")
    where = flags.add_mutually_exclusive_group()
    where.add_argument("--socket", help="listen on this unix socket")
    where.add_argument("--port", type=_port, help=f"listen on this TCP port (default {DEFAULT_PORT})")
    flags.add_argument("--socket_mode", type=lambda text: int(text, 8), default=0o666, help="octal, default 666")
    flags.add_argument("--host", default="0.0.0.0", help="address for --port, default 0.0.0.0")
    flags.add_argument("--health_port", type=_port, help="also answer health checks here")
    flags.add_argument("--worker_count", type=_positive, help="worker processes, default 1")
    flags.add_argument("--max_concurrent", type=_positive, help="run() calls at once over all workers, default 1")
    flags.add_argument("--access_control_allow_origins", help="CORS origins, separated by commas")
    flags.add_argument("--appinsights_instrumentation_key", help="accepted and ignored")
    return flags


class _Source:
    """Environment first, then the configuration file; remembers nothing else."""

    def __init__(self, environ: Mapping[str, str], file_values: Mapping[str, Any]) -> None:
        self.environ, self.file_values = environ, file_values

    def text(self, name: str, default: str | None = None) -> str | None:
        value = self.environ.get(name)
        if value is None and name in self.file_values:
            value = str(self.file_values[name])
        return default if value is None else value

    def number(self, name: str, default: float, minimum: float = 0) -> float:
        text = self.text(name)
        if text is None or text == "":
            return default
        try:
            value = float(text)
        except ValueError:
            raise SettingInvalid(f"{name} is {text!r}, which is not a number.") from None
        if not minimum <= value < float("inf"):
            raise SettingInvalid(f"{name} is {text}; it must be at least {minimum:g}.")
        return value

    def whole(self, name: str, default: int, minimum: int = 0) -> int:
        value = self.number(name, default, minimum)
        if value != int(value):
            raise SettingInvalid(f"{name} is {self.text(name)}; it must be a whole number.")
        return int(value)

    def truth(self, name: str, default: bool) -> bool:
        text = self.text(name)
        return default if text is None else text.strip().lower() in ("true", "1", "yes", "on")


_KNOWN_KEYS = frozenset(
    """AML_APP_ROOT AZUREML_SOURCE_DIRECTORY AZUREML_ENTRY_SCRIPT AZUREML_MODEL_DIR AZUREML_CONFIG_FILE WORKER_COUNT
    WORKER_TIMEOUT WORKER_PRELOAD SCORING_TIMEOUT_MS AZUREML_LOG_LEVEL SERVICE_NAME SERVICE_VERSION SERVICE_PATH_PREFIX
    WORKSPACE_NAME HOSTNAME AML_APP_INSIGHTS_ENABLED AML_APP_INSIGHTS_KEY AML_MODEL_DC_STORAGE_ENABLED
    APP_INSIGHTS_LOG_RESPONSE_ENABLED AML_CORS_ORIGINS SERVER_VERSION_LOG_RESPONSE_ENABLED SEPERATE_HEALTH_ENDPOINT
    SERVER_PORT HEALTH_PORT AZUREML_DEBUG_PORT STUDIO_MAX_CONCURRENT STUDIO_MAX_QUEUE STUDIO_MAX_BATCH STUDIO_FAST_PATH
    STUDIO_MAX_BODY_BYTES STUDIO_WORKER_MEMORY_BYTES
    STUDIO_CPU_LIMIT STUDIO_DRAIN_SECONDS STUDIO_LAME_DUCK_SECONDS STUDIO_HEADER_TIMEOUT_SECONDS
    STUDIO_BODY_TIMEOUT_SECONDS STUDIO_KEEP_ALIVE_SECONDS STUDIO_LOG_REQUEST_ID""".split()
)


def _read_config(
    flag: str | None, environ: Mapping[str, str], app_root: str, script: str | None
) -> tuple[str | None, dict]:
    asked = flag or environ.get("AZUREML_CONFIG_FILE")
    beside = os.path.dirname(os.path.join(app_root, script)) if script else app_root
    candidates = [asked] if asked else [os.path.join(app_root, "config.json"), os.path.join(beside, "config.json")]
    for path in candidates:
        if not os.path.isfile(path):
            continue
        try:
            with open(path, encoding="utf-8") as file:
                values = json.load(file)
        except (OSError, ValueError) as error:
            raise SettingInvalid(f"The configuration file {path} cannot be read as JSON: {error}.") from error
        if not isinstance(values, dict):
            raise SettingInvalid(f"The configuration file {path} must hold one JSON object.")
        return os.path.realpath(path), values
    if asked:
        raise SettingInvalid(f"The configuration file {asked} does not exist.")
    return None, {}


def _origins(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _limits(source: _Source) -> dict[str, Any]:
    """The settings that bound what clients may take: bytes, places, seconds."""
    return {
        "max_queue": source.whole("STUDIO_MAX_QUEUE", 1024),
        "max_batch": source.whole("STUDIO_MAX_BATCH", 64, 1),
        "max_body_bytes": source.whole("STUDIO_MAX_BODY_BYTES", 0),
        "worker_memory_bytes": source.whole("STUDIO_WORKER_MEMORY_BYTES", 0),
        "drain_seconds": source.number("STUDIO_DRAIN_SECONDS", 30),
        "lame_duck_seconds": source.number("STUDIO_LAME_DUCK_SECONDS", 0.5),
        "header_timeout_seconds": source.number("STUDIO_HEADER_TIMEOUT_SECONDS", 60, 0.1),
        "body_timeout_seconds": source.number("STUDIO_BODY_TIMEOUT_SECONDS", 60, 0.1),
        "keep_alive_seconds": source.number("STUDIO_KEEP_ALIVE_SECONDS", 3900, 0.1),
    }


def load(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Read every setting once. Raises SettingInvalid (exit 3) for values, SystemExit(1) for flags."""
    flags = parser().parse_args(list(argv))
    app_root = os.path.realpath(environ.get("AML_APP_ROOT") or os.getcwd())
    script = os.path.realpath(flags.entry_script) if flags.entry_script else environ.get("AZUREML_ENTRY_SCRIPT")
    config_file, values = _read_config(flags.config_file, environ, app_root, script)
    source = _Source(environ, values)
    separate_health = source.truth("SEPERATE_HEALTH_ENDPOINT", False)
    health_port = flags.health_port or source.whole("HEALTH_PORT", DEFAULT_HEALTH_PORT, 1)
    concurrent = flags.max_concurrent or source.whole("STUDIO_MAX_CONCURRENT", 0)
    cpu_limit = source.number("STUDIO_CPU_LIMIT", 0)
    return Settings(
        entry_script=script or source.text("AZUREML_ENTRY_SCRIPT"),
        app_root=app_root,
        source_directory=source.text("AZUREML_SOURCE_DIRECTORY"),
        model_dir=os.path.realpath(flags.model_dir) if flags.model_dir else source.text("AZUREML_MODEL_DIR"),
        config_file=config_file,
        socket_path=flags.socket,
        socket_mode=flags.socket_mode,
        host=flags.host,
        port=flags.port or DEFAULT_PORT,
        health_port=health_port if separate_health or flags.health_port else None,
        worker_count=flags.worker_count or source.whole("WORKER_COUNT", 1, 1),
        worker_timeout_seconds=source.number("WORKER_TIMEOUT", 300, 0.1),
        preload=source.truth("WORKER_PRELOAD", False),
        scoring_timeout_ms=source.whole("SCORING_TIMEOUT_MS", 3_600_000, 1),
        max_concurrent=concurrent or None,
        cpu_limit=cpu_limit or None,
        log_level=(source.text("AZUREML_LOG_LEVEL") or "INFO").upper(),
        log_request_id=source.truth("STUDIO_LOG_REQUEST_ID", True),
        send_version=source.truth("SERVER_VERSION_LOG_RESPONSE_ENABLED", True),
        cors_origins=_origins(flags.access_control_allow_origins or source.text("AML_CORS_ORIGINS") or ""),
        service_name=source.text("SERVICE_NAME") or "ML service",
        service_version=source.text("SERVICE_VERSION") or "1.0",
        service_path_prefix=source.text("SERVICE_PATH_PREFIX") or "",
        fast_path=source.truth("STUDIO_FAST_PATH", True),
        app_insights=source.truth("AML_APP_INSIGHTS_ENABLED", False),
        debug_port=source.whole("AZUREML_DEBUG_PORT", 0) or None,
        unknown_keys=tuple(sorted(set(values) - _KNOWN_KEYS)),
        **_limits(source),
    )


def export(settings: Settings) -> None:
    """Put into the environment what a script may read there, and the thread limits, before any of its imports."""
    os.environ["AML_APP_ROOT"] = settings.app_root
    if settings.entry_script:
        os.environ["AZUREML_ENTRY_SCRIPT"] = settings.entry_script
    if settings.model_dir:
        os.environ["AZUREML_MODEL_DIR"] = settings.model_dir
    if not settings.socket_path:
        os.environ["SERVER_PORT"] = str(settings.port)
    limit_threads(settings, os.environ)


def limit_threads(settings: Settings, environ: MutableMapping[str, str]) -> None:
    """Give BLAS and OpenMP this worker's share of the instance's CPUs (at least 1). What the user set stays."""
    if settings.cpu_limit is None:
        return
    share = environ.get("OMP_NUM_THREADS") or str(max(1, int(settings.cpu_limit / settings.worker_count)))
    for name in THREAD_VARIABLES:
        environ.setdefault(name, share)


def table(settings: Settings) -> list[str]:
    """The lines of the start-up table. Holds no secret."""
    where = f"unix socket {settings.socket_path}" if settings.socket_path else f"{settings.host}:{settings.port}"
    rows = [
        (
            "Entry Script Name",
            settings.script_path or ("none (generated)" if settings.generates_scoring else "main (module)"),
        ),
        ("Model Directory", settings.model_dir),
        ("Config File", settings.config_file),
        ("Worker Count", settings.worker_count),
        ("Worker Timeout (seconds)", f"{settings.worker_timeout_seconds:g}"),
        ("Worker Preload", settings.preload),
        ("Requests At Once", settings.max_concurrent or "1 (64 for an async run())"),
        ("Scoring Timeout (ms)", settings.scoring_timeout_ms),
        ("Listening On", where),
        ("Health Port", settings.health_port),
        ("Application Insights Enabled", False),
        ("CORS", ", ".join(settings.cors_origins) or None),
        ("CPU Share", settings.cpu_limit),
        ("BLAS Threads", os.environ.get("OMP_NUM_THREADS")),
        ("Server Version", SERVER_VERSION),
        ("Python", sys.version.split()[0]),
    ]
    lines = ["", "Server Settings", "---------------"]
    lines += [f"{name}: {'None' if value is None else value}" for name, value in rows]
    lines += [
        "",
        "Server Routes",
        "---------------",
        f"Liveness  : GET   {where} /",
        f"Readiness : GET   {where} /ready",
    ]
    lines += [f"Score     : POST  {where} /score", f"Swagger   : GET   {where} /swagger.json", ""]
    return lines
