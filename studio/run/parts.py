"""The parts of the studio as programs of supervisord, one file each. Pure: nothing here starts or reads anything.

Instances are programs beside them, with files of the same kind written by the compute driver.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway import run as gateway
from studio.run.places import Places

WEB, REDIS, BEAT, ENVOY = "web", "redis", "beat", "envoy"
LOG_BACKUPS = 3
# A part that fails at once is tried again after 1, 2, 3 … seconds; giving up would need a person to notice.
_START_RETRIES = 1000


@dataclass(frozen=True)
class Worker:
    """A Celery worker: what it does, with how many threads, and how long it may finish what it does when stopped.

    It takes from the queue of its name, and from `also`.
    """

    queue: str
    threads: int
    stop_seconds: int
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"worker-{self.queue}"

    @property
    def queues(self) -> str:
        return ",".join((self.queue, *self.also))


WORKERS = (
    # A traffic change is brought into force by whichever of the two has a thread free: somebody waits for it.
    Worker("operations", threads=8, stop_seconds=8, also=("routing",)),
    Worker("ticks", threads=4, stop_seconds=5, also=("routing",)),
    # Builds take minutes: with threads of their own they hold up nothing else. A build cut short is resumed.
    Worker("builds", threads=2, stop_seconds=3),
)


@dataclass(frozen=True)
class Part:
    """One program. `access_log`: its standard output is a log of its own, apart from what it says on standard error."""

    name: str
    command: Sequence[str]
    stop_seconds: int
    access_log: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def configuration(self, places: Places, *, directory: Path, log_bytes: int) -> str:
        """The text of its file in `places.parts_conf`."""
        environment = {"STUDIO_PART": self.name, **self.environment}
        rotation = {"logfile_maxbytes": log_bytes, "logfile_backups": LOG_BACKUPS}
        entries: dict[str, object] = {
            "command": shlex.join(self.command),
            "directory": directory,
            "environment": ",".join(f'{name}="{value}"' for name, value in environment.items()),
            "autostart": "true",
            "autorestart": "true",
            "startsecs": 1,
            "startretries": _START_RETRIES,
            "stopsignal": "TERM",
            "stopwaitsecs": self.stop_seconds,
            "killasgroup": "true",
            "stdout_logfile": places.log(self.access_log or self.name),
            **{f"stdout_{key}": value for key, value in rotation.items()},
        }
        if self.access_log:
            entries["stderr_logfile"] = places.log(self.name)
            entries |= {f"stderr_{key}": value for key, value in rotation.items()}
        else:
            entries["redirect_stderr"] = "true"
        return section(f"program:{self.name}", entries)


def section(title: str, entries: dict[str, object]) -> str:
    """A section of supervisord's configuration; percent signs are taken as they are."""
    lines = [f"{key}={str(value).replace('%', '%%')}" for key, value in entries.items()]
    return "\n".join([f"[{title}]", *lines, ""])


def supervisord_configuration(places: Places, *, log_bytes: int, user: str) -> str:
    """supervisord itself: no TCP, its socket for the owner alone. `user` is named only because root must be named."""
    own: dict[str, object] = {
        "nodaemon": "true",
        "silent": "true",
        "logfile": places.log("supervisord"),
        "logfile_maxbytes": log_bytes,
        "logfile_backups": LOG_BACKUPS,
        "pidfile": places.supervisor_pid,
        "childlogdir": places.logs,
        "directory": places.home,
        "umask": "022",
    }
    if user:
        own["user"] = user
    folders = (places.parts_conf, places.instances_conf)
    return "\n".join(
        [
            section("supervisord", own),
            section("unix_http_server", {"file": places.supervisor_socket, "chmod": "0600"}),
            section(
                "rpcinterface:supervisor",
                {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
            ),
            # supervisord matches these as patterns and separates them by blanks.
            section(
                "include", {"files": " ".join(f"{folder.relative_to(places.supervisor)}/*.conf" for folder in folders)}
            ),
        ]
    )


def redis(binary: Path, configuration_file: Path) -> Part:
    return Part(REDIS, [str(binary), str(configuration_file)], stop_seconds=5)


def web(places: Places, *, bind: str, port: int) -> Part:
    """The pages and the API: plain http on the port, and on a socket for the gateway's https listener.

    Only what comes through that socket may say by X-Forwarded-Proto that it came in by https, and may have an underscore in
    the one header's name whose sender, the official client, leaves us no choice.
    """
    address = f"[{bind}]:{port}" if ":" in bind else f"{bind}:{port}"
    command = [
        *(sys.executable, "-m", "gunicorn", "studio.wsgi"),
        *("--bind", address, "--bind", f"unix:{places.web_socket}"),
        *("--worker-class", "gthread", "--workers", "2", "--threads", "8"),
        *("--worker-tmp-dir", "/dev/shm" if Path("/dev/shm").is_dir() else str(places.run)),
        *("--timeout", "120", "--graceful-timeout", "5", "--keep-alive", "75"),
        *("--access-logfile", "-", "--error-logfile", "-", "--no-control-socket"),
        *("--umask", "022", "--forwarded-allow-ips", "", "--forwarder-headers", "X-MS-META-UPLOAD_STATUS"),
    ]
    return Part(WEB, command, stop_seconds=8, access_log="web-access")


def worker(kind: Worker) -> Part:
    command = [
        *(sys.executable, "-m", "celery", "-A", "studio.worker", "worker", "--queues", kind.queues),
        *("--hostname", f"{kind.queue}@%h", "--pool", "threads", "--concurrency", str(kind.threads), "-O", "fair"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"),
    ]
    return Part(kind.name, command, stop_seconds=kind.stop_seconds)


def beat(places: Places) -> Part:
    command = [
        *(sys.executable, "-m", "celery", "-A", "studio.worker", "beat", "--loglevel", "INFO"),
        # An empty name: supervisord knows the process, and a file left by a killed one would keep the next from starting.
        *("--schedule", str(places.run / "beat-schedule"), "--pidfile", ""),
    ]
    return Part(BEAT, command, stop_seconds=5)


def envoy(places: Places) -> Part:
    return Part(ENVOY, gateway.command(places.gateway), stop_seconds=int(gateway.DRAIN_SECONDS) + 5)
