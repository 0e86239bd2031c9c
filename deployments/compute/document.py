"""Turns a specification into the document that a launcher reads: every path, variable and limit decided, nothing to look up."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deployments.compute import sandbox
from deployments.compute.contract import InstanceSpec, SpecRefused
from deployments.compute.places import MAX_SOCKET_PATH_BYTES, Places

READABILITY_CHECKS = 2_000
"""How many files of an instance's folders are checked before it starts; larger folders are checked in part."""

STUDIO_VARIABLES = ("HOME", "TMPDIR", "STUDIO_CPU_LIMIT", "STUDIO_INSTANCE")
SHUTDOWN_SECONDS = 3.0
"""What the inference server needs of the grace period besides the time its requests may take."""


def check_paths(spec: InstanceSpec, places: Places, needs_other_user: bool) -> None:
    """Refuse what this machine cannot run: missing files, an address that is too long, files another user cannot read."""
    for path in filter(None, (spec.python, spec.runtime_dir, spec.app_dir, spec.model_dir)):
        if not path.is_absolute():
            raise SpecRefused(f"The path {str(path)!r} is relative; an instance has no folder to start from.")
        if not path.exists():
            raise SpecRefused(f"{path} does not exist on this machine.")
    if not os.access(spec.python, os.X_OK, effective_ids=True) or spec.python.is_dir():
        raise SpecRefused(
            f"{spec.python} is not an interpreter: it cannot be executed.", hint="Build the environment again."
        )
    if not (spec.runtime_dir / "inference_server" / "__main__.py").is_file():
        raise SpecRefused(f"{spec.runtime_dir} holds no inference_server package.")
    if spec.entry_script and spec.app_dir and not (spec.app_dir / spec.entry_script).is_file():
        raise SpecRefused(
            f"The scoring script {spec.entry_script!r} is not in the code folder.",
            hint="Name its path within the folder.",
        )
    length = len(os.fsencode(places.socket(spec.name)))
    if length > MAX_SOCKET_PATH_BYTES:
        raise SpecRefused(
            f"The address {places.socket(spec.name)} has {length} bytes; a unix socket's has at most {MAX_SOCKET_PATH_BYTES}.",
            hint="Move STUDIO_HOME to a shorter path.",
        )
    if needs_other_user:
        for path in {spec.python.resolve(), spec.python.parent, spec.python.parent.parent}:
            _check_mode(str(path), path.stat().st_mode, spec.python.parent.parent)
        for folder in filter(None, (spec.runtime_dir, spec.app_dir, spec.model_dir)):
            _check_readable(folder)


def launch_document(spec: InstanceSpec, places: Places, uid: int | None, family: str) -> dict[str, Any]:
    """What `launch.py` needs. Holds the user's variables, so it belongs in a file that only the studio can read."""
    name, work = spec.name, places.work(spec.name)
    home = os.path.join(work, "home")
    tmp = os.path.join(work, "tmp")
    interpreter, links = sandbox.interpreter_needs(str(spec.python))
    read_only = [*interpreter, *(str(path) for path in (spec.runtime_dir, spec.app_dir, spec.model_dir) if path)]
    return {
        "name": name,
        "digest": spec.digest,
        "family": family,
        "command": [
            str(spec.python),
            str(spec.runtime_dir / "inference_server" / "__main__.py"),
            "--socket",
            "{socket}",
            *spec.server_arguments,
        ],
        "environment": environment(spec, home, tmp),
        "cwd": str(spec.app_dir or home),
        "uid": uid,
        "limits": {"memory": spec.memory_limit_bytes, "cpu": spec.cpu_limit, "pids": spec.max_processes},
        "stop_grace_seconds": spec.stop_grace_seconds,
        "socket": places.socket(name),
        "socket_folder": places.run(name),
        "visible": {**dict.fromkeys(read_only, False), work: True},
        "links": links,
        "hidden": [places.home],
        "state_file": places.state(name),
        "events_file": places.events(name),
        "lock_file": places.lock(name),
    }


def environment(spec: InstanceSpec, home: str, tmp: str) -> dict[str, str]:
    """All variables of the instance; nothing comes from the studio's own environment.

    The user's variables win, but for those that say where the instance lives and what it is bounded by.
    """
    variables = {
        "PATH": f"{spec.python.parent}:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": str(spec.python.parent.parent),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "WORKER_COUNT": str(spec.worker_count),
        "SCORING_TIMEOUT_MS": str(spec.request_timeout_ms),
        "AML_APP_ROOT": str(spec.app_dir or home),
        "STUDIO_MAX_CONCURRENT": str(spec.max_concurrent_requests),
        "STUDIO_DRAIN_SECONDS": f"{max(0.5, spec.stop_grace_seconds - SHUTDOWN_SECONDS):g}",
    }
    if spec.entry_script:
        variables["AZUREML_ENTRY_SCRIPT"] = spec.entry_script
    if spec.model_dir:
        variables["AZUREML_MODEL_DIR"] = str(spec.model_dir)
    variables |= spec.environment
    own = (home, tmp, f"{spec.cpu_limit:g}", spec.name)
    return variables | dict(zip(STUDIO_VARIABLES, own, strict=True))


def _check_readable(folder: Path) -> None:
    for checked, (path, mode) in enumerate(_walk(folder)):
        _check_mode(path, mode, folder)
        if checked >= READABILITY_CHECKS:
            return


def _check_mode(path: str, mode: int, folder: Path) -> None:
    wanted = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
    if not stat.S_ISLNK(mode) and mode & wanted != wanted:
        raise SpecRefused(
            f"{path} cannot be read by the unprivileged user that instances run as.",
            hint=f"Make it readable for all: chmod -R a+rX {folder}",
        )


def _walk(folder: Path) -> Iterator[tuple[str, int]]:
    yield str(folder), folder.stat().st_mode
    pending = [str(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                mode = entry.stat(follow_symlinks=False).st_mode
                yield entry.path, mode
                if stat.S_ISDIR(mode):
                    pending.append(entry.path)
