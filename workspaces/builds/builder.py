"""Builds the virtual environment of a definition, once for everybody who shares its content hash.

Below `home`:
    environments/<hash>/venv/          the environment; usable when complete.json is there, and only then
    environments/<hash>/complete.json  written last; its modification time is the last use
    environments/<hash>/build.log      every attempt, line by line
    locks/environment-<hash>           held while building
    cache/uv/                          what was fetched; files are hard-linked from here
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from . import failures
from .errors import BuildFailed
from .interpreters import Interpreter, find_interpreter
from .locks import locked
from .process import TookTooLong, Watch, run, uv_binary, uv_environment
from .spec import EnvironmentSpec, content_hash, requirement_lines

LOG_TAIL_LINES = 40
MAX_LOG_BYTES = 2_000_000
"""A log longer than this is begun anew by the next attempt."""
COMPLETE = "complete.json"


@dataclass(frozen=True)
class BuildResult:
    """A usable environment. `path` is the virtual environment, `python` its interpreter.

    `substitution` says, for a person, why Python is not the version asked for ("" if it is). `is_shared` is True when
    it was already there. `seconds` is by part (python, create, install, check), as measured by whoever built it.
    `warnings` are packages that disagree about each other's versions.
    """

    hash: str
    path: Path
    python: Path
    python_used: str
    base_prefix: str
    substitution: str
    packages: tuple[tuple[str, str], ...]
    size_bytes: int
    seconds: dict[str, float]
    warnings: tuple[str, ...]
    is_shared: bool


def _ignore(_: str) -> None:
    return None


def _nothing() -> None:
    return None


def _never() -> bool:
    return False


def build(
    spec: EnvironmentSpec,
    *,
    home: Path,
    strict_python: bool = False,
    log: Callable[[str], None] = _ignore,
    heartbeat: Callable[[], None] = _nothing,
    cancelled: Callable[[], bool] = _never,
    timeout_seconds: float = 1800.0,
    allow_source_builds: bool = True,
) -> BuildResult:
    """Make the environment, or return the one that is already there (some milliseconds).

    Safe to call at once from several processes: one builds, the others wait and share. Safe to kill at any point: the
    next call starts over with what was fetched before. `log` gets each line as it happens, as does build.log;
    `heartbeat` is called about every second; `cancelled` is asked several times a second. A package without a wheel is
    compiled only if `allow_source_builds`, which runs its author's code as this process's user.

    Raises BuildFailed, BuildCancelled, and PythonUnavailable when `strict_python` and only a substitute is left.
    """
    home = home.resolve()
    watch = Watch(log, heartbeat, cancelled)
    started = time.monotonic()
    interpreter = find_interpreter(spec.python_wanted, home=home, strict=strict_python, watch=watch)
    key = content_hash(spec, interpreter.minor)
    folder = environment_folder(home, key)
    shared = _complete(folder, interpreter)
    if shared:
        return shared
    with locked(lock_path(home, key), while_waiting=watch.check):
        shared = _complete(folder, interpreter)
        if shared:
            return shared
        with _open_log(folder) as file:
            job = _Build(spec, home, folder, interpreter, watch, file, timeout_seconds, allow_source_builds)
            job.seconds["python"] = time.monotonic() - started
            job.run()
    finished = _complete(folder, interpreter, is_shared=False)
    assert finished is not None
    return finished


def environment_folder(home: Path, key: str) -> Path:
    """Where the environment with this content hash is, or will be."""
    return home / "environments" / key


def _open_log(folder: Path) -> IO[str]:
    for each in (folder.parent, folder):
        each.mkdir(parents=True, exist_ok=True)
        each.chmod(0o755)
    log = folder / "build.log"
    is_long = log.exists() and log.stat().st_size > MAX_LOG_BYTES
    return log.open("w" if is_long else "a", encoding="utf-8", buffering=1)


def build_log(home: Path, key: str) -> Path:
    """The log of all attempts to build this content hash; absent before the first."""
    return environment_folder(home, key) / "build.log"


def lock_path(home: Path, key: str) -> Path:
    """The lock file that whoever builds or removes this content hash must hold."""
    return home / "locks" / f"environment-{key}"


def _complete(folder: Path, interpreter: Interpreter, *, is_shared: bool = True) -> BuildResult | None:
    """The environment in `folder` if it was finished and its Python still exists; this counts as a use of it."""
    marker = folder / COMPLETE
    try:
        stored: dict[str, Any] = json.loads(marker.read_text())
        os.utime(marker)
    except (FileNotFoundError, ValueError):
        return None
    venv = folder / "venv"
    if not os.access(venv / "bin" / "python", os.X_OK):
        return None
    return BuildResult(
        hash=folder.name,
        path=venv,
        python=venv / "bin" / "python",
        python_used=stored["python_used"],
        base_prefix=stored["base_prefix"],
        substitution=interpreter.substitution,
        packages=tuple((name, version) for name, version in stored["packages"]),
        size_bytes=stored["size_bytes"],
        seconds=stored["seconds"],
        warnings=tuple(stored["warnings"]),
        is_shared=is_shared,
    )


@dataclass
class _Build:
    spec: EnvironmentSpec
    home: Path
    folder: Path
    interpreter: Interpreter
    watch: Watch
    file: IO[str]
    timeout_seconds: float
    allow_source_builds: bool
    started: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)
    tail: list[str] = field(default_factory=list)

    @property
    def venv(self) -> Path:
        return self.folder / "venv"

    def run(self) -> None:
        began = time.strftime("%FT%TZ", time.gmtime())
        self.say(f"Building environment {self.folder.name} with Python {self.interpreter.version} at {began}")
        if self.interpreter.substitution:
            self.say(f"warning: {self.interpreter.substitution}")
        for note in self.spec.notes:
            self.say(f"note: line {note.line}: {note.message}")
        with self.part("create", "Creating the environment"):
            self.create()
        with self.part("install", f"Installing {len(self.spec.requirements)} packages and what they need"):
            self.install()
        with self.part("check", "Checking what was installed"):
            packages, warnings = self.packages(), self.check()
            size_bytes = make_readable(self.venv)
        self.finish(packages, warnings, size_bytes)

    def create(self) -> None:
        (self.folder / COMPLETE).unlink(missing_ok=True)
        shutil.rmtree(self.venv, ignore_errors=True)
        command = ["venv", "--no-project", "--python", self.interpreter.path, "--clear", str(self.venv)]
        code, lines = self.uv(command)
        if code:
            self.fail(lines)

    def install(self) -> None:
        lines = requirement_lines(self.spec)
        if not lines:
            self.say("Nothing to install")
            return
        wanted = self.folder / "requirements.txt"
        wanted.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        command = ["pip", "install", "--python", str(self.venv / "bin" / "python"), "--requirements", str(wanted)]
        command += ["--compile-bytecode", "--link-mode", "hardlink"]
        command += ["--prerelease", "allow"] if self.spec.allow_prereleases else []
        for option, address in self.spec.index_options:
            command += [option, address]
        # Wheels first: nothing is compiled, and no stranger's code runs, as long as some version has one.
        code, output = self.uv([*command, "--no-build"])
        if code and self.allow_source_builds and _needs_source(output):
            self.say("Not everything has a ready-made wheel: building from source what has none")
            code, output = self.uv(command)
        if code:
            self.fail(output)

    def packages(self) -> list[tuple[str, str]]:
        command = ["pip", "list", "--python", str(self.venv / "bin" / "python"), "--format", "json"]
        code, lines = self.uv(command, quiet=True)
        if code:
            self.fail(lines)
        listed = next(line for line in lines if line.startswith("["))
        return [(entry["name"], entry["version"]) for entry in json.loads(listed)]

    def check(self) -> list[str]:
        code, lines = self.uv(["pip", "check", "--python", str(self.venv / "bin" / "python")])
        return [line.strip() for line in lines if line.startswith("The package")] if code else []

    def finish(self, packages: list[tuple[str, str]], warnings: list[str], size_bytes: int) -> None:
        facts = {
            "requirements": requirement_lines(self.spec),
            "python_used": self.interpreter.version,
            "base_prefix": self.interpreter.base_prefix,
            "packages": packages,
            "warnings": warnings,
            "size_bytes": size_bytes,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
        }
        temporary = self.folder / f".{COMPLETE}"
        temporary.write_text(json.dumps(facts))
        # After a power cut the marker must not be there without the files it vouches for.
        os.sync()
        temporary.replace(self.folder / COMPLETE)
        took = time.monotonic() - self.started
        self.say(f"Done: {len(packages)} packages, {size_bytes / 1_000_000:.1f} MB, {took:.1f} s")

    def say(self, line: str) -> None:
        shown = f"[{time.monotonic() - self.started:7.2f} s] {line}"
        self.tail = [*self.tail[1 - LOG_TAIL_LINES :], line]
        self.file.write(f"{shown}\n")
        self.watch.log(shown)

    @contextmanager
    def part(self, name: str, title: str) -> Iterator[None]:
        self.watch.check()
        self.say(f"== {title}")
        begun = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begun

    def uv(self, arguments: list[str], *, quiet: bool = False) -> tuple[int, list[str]]:
        left = self.timeout_seconds - (time.monotonic() - self.started)
        watch = Watch(_ignore if quiet else self.say, self.watch.heartbeat, self.watch.cancelled)
        try:
            return run(
                [uv_binary(), *arguments], environment=uv_environment(self.home), watch=watch, timeout_seconds=left
            )
        except TookTooLong as error:
            raise self.failure(failures.explain_timeout(self.timeout_seconds)) from error

    def fail(self, output: list[str]) -> None:
        raise self.failure(failures.explain(output, self.spec, self.interpreter.minor))

    def failure(self, why: failures.Explanation) -> BuildFailed:
        tail = tuple(self.tail)
        self.say(f"error: {why.message}")
        return BuildFailed(
            why.message,
            kind=why.kind,
            line=why.lines[0] if why.lines else None,
            log_tail=tail,
            probable_cause=why.probable_cause,
            hint=why.hint,
        )


def _needs_source(output: list[str]) -> bool:
    return failures.SOURCE_NEEDED in " ".join(output)


def make_readable(root: Path) -> int:
    """Let processes of every user read what is below `root` (folders 0755, files 0644 or 0755); returns its size in bytes.

    A file hard-linked several times counts once.
    """
    seen: set[tuple[int, int]] = set()
    size_bytes = 0
    for folder, _, names in os.walk(root):
        os.chmod(folder, 0o755)
        for name in names:
            path = os.path.join(folder, name)
            facts = os.lstat(path)
            if not stat.S_ISREG(facts.st_mode) or (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            size_bytes += facts.st_size
            wanted = 0o755 if facts.st_mode & stat.S_IXUSR else 0o644
            if stat.S_IMODE(facts.st_mode) != wanted:
                os.chmod(path, wanted)
    return size_bytes
