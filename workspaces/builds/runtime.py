"""The inference server and its own packages, ready to be put at the end of sys.path of an environment's Python.

Below `home`: runtime/<hash of the sources>-<python tag>/ holds the package `inference_server` beside what it needs.
A folder appears whole, by a rename, and never changes afterwards.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from . import failures
from .builder import make_readable
from .errors import BuildFailed
from .interpreters import python_tag
from .locks import locked, try_locked
from .process import TookTooLong, Watch, run, uv_binary, uv_environment
from .spec import EnvironmentSpec

PACKAGE = "inference_server"


def _ignore(_: str) -> None:
    return None


def _nothing() -> None:
    return None


def _never() -> bool:
    return False


def ensure_runtime(
    python: Path,
    *,
    home: Path,
    source_dir: Path,
    log: Callable[[str], None] = _ignore,
    heartbeat: Callable[[], None] = _nothing,
    cancelled: Callable[[], bool] = _never,
    timeout_seconds: float = 300.0,
) -> Path:
    """The folder that, at the end of sys.path, lets `python` (any interpreter, a virtual environment's too) serve.

    `source_dir` is the package's folder; its requirements.txt names what it needs. Built once for each state of the
    sources and each Python; some milliseconds afterwards. Safe to call at once from several processes, and to kill.
    Raises BuildFailed and BuildCancelled.
    """
    home = home.resolve()
    folder = home / "runtime" / f"{_source_hash(source_dir)}-{python_tag(python)}"
    if folder.is_dir():
        os.utime(folder)
        return folder
    watch = Watch(log, heartbeat, cancelled)
    with locked(_lock(home, folder.name), while_waiting=watch.check):
        if not folder.is_dir():
            _assemble(folder, python, source_dir, home, watch, timeout_seconds)
    return folder


def _assemble(folder: Path, python: Path, source_dir: Path, home: Path, watch: Watch, timeout_seconds: float) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o755)
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(source_dir, unfinished / PACKAGE, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"))
    requirements = source_dir / "requirements.txt"
    try:
        if requirements.exists():
            _install(unfinished, requirements, python, home, watch, timeout_seconds)
        _compile(unfinished, folder, python, timeout_seconds)
        make_readable(unfinished)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _install(target: Path, requirements: Path, python: Path, home: Path, watch: Watch, timeout_seconds: float) -> None:
    command = [
        uv_binary(),
        "pip",
        "install",
        "--python",
        str(python),
        "--target",
        str(target),
        "--link-mode",
        "hardlink",
    ]
    command += ["--only-binary", ":all:", "--requirements", str(requirements.resolve())]
    try:
        code, lines = run(command, environment=uv_environment(home), watch=watch, timeout_seconds=timeout_seconds)
    except TookTooLong as error:
        raise _failed(failures.explain_timeout(timeout_seconds), []) from error
    if code:
        raise _failed(failures.explain(lines, EnvironmentSpec(), python_tag(python)), lines)


def _failed(why: failures.Explanation, lines: list[str]) -> BuildFailed:
    message = f"The inference server's own packages could not be installed. {why.message}"
    return BuildFailed(message, kind=why.kind, log_tail=lines[-40:], probable_cause=why.probable_cause, hint=why.hint)


def _compile(unfinished: Path, folder: Path, python: Path, timeout_seconds: float) -> None:
    # Tracebacks shall name the final place, so the temporary one is stripped. Files for other Pythons may not compile.
    command = [str(python), "-I", "-m", "compileall", "-q", "-j", "0"]
    command += ["-s", str(unfinished), "-p", str(folder), str(unfinished)]
    subprocess.run(command, cwd="/", capture_output=True, timeout=timeout_seconds, check=False)


def _source_hash(source_dir: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(_source_files(source_dir)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(source_dir)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _source_files(source_dir: Path) -> Iterable[Path]:
    for folder, folders, names in os.walk(source_dir):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        yield from (Path(folder, name) for name in names if not name.endswith(".pyc") and not name.startswith("."))


def _lock(home: Path, name: str) -> Path:
    return home / "locks" / f"runtime-{name}"


def collect_runtimes(home: Path, in_use: Iterable[Path], *, older_than_seconds: float) -> list[Path]:
    """Remove runtimes of former sources: those not `in_use` and not asked for within the time. Returns what went."""
    kept = {path.name for path in in_use}
    removed = []
    for folder in (home / "runtime").glob("[!.]*"):
        with try_locked(_lock(home, folder.name)) as is_mine, suppress(FileNotFoundError):
            if is_mine and folder.name not in kept and time.time() - folder.stat().st_mtime > older_than_seconds:
                shutil.rmtree(folder)
                _lock(home, folder.name).unlink()
                removed.append(folder)
    return removed
