"""Finds the Python an environment asked for: installed, else fetched, else the nearest there is."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .errors import PythonUnavailable
from .process import TookTooLong, Watch, run, uv_binary, uv_environment

OLDEST_SUPPORTED = (3, 9)
"""The oldest Python the inference server runs on."""
SUBSTITUTION_LASTS_SECONDS = 3600.0
"""How long a failed search is believed before the index is asked again."""
_LIST_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Interpreter:
    """A Python installed on this machine.

    `base_prefix` is the folder a sandbox must show read-only. `readable_by_all` is whether other users' processes can
    reach it without one. `substitution` says, for a person, why it is not the version asked for ("" if it is).
    """

    path: str
    version: str
    base_prefix: str
    readable_by_all: bool
    substitution: str = ""

    @property
    def minor(self) -> str:
        """The version without its last number, like "3.11"."""
        return ".".join(self.version.split(".")[:2])


def own_interpreter() -> Interpreter:
    """The Python the studio itself runs on: always there."""
    path = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
    return Interpreter(
        path, "{}.{}.{}".format(*sys.version_info[:3]), sys.base_prefix, is_readable_by_all(sys.base_prefix)
    )


def find_interpreter(
    wanted: str | None,
    *,
    home: Path,
    strict: bool = False,
    watch: Watch | None = None,
    fetch_timeout_seconds: float = 300.0,
) -> Interpreter:
    """The interpreter for `wanted` ("3.10"; None for any).

    Order: installed here or below `home/interpreters`; fetched by uv within `fetch_timeout_seconds`; the nearest
    installed supported version, a newer one first, with `substitution` set. Answers are remembered below `home/cache`,
    a substitution for an hour. Raises PythonUnavailable when `strict` and only a substitute is left.
    """
    own = own_interpreter()
    wanted = wanted or own.minor
    remembered = _recall(home, wanted)
    if remembered is None:
        remembered = _search(wanted, home, watch or _silent(), fetch_timeout_seconds)
        remember(home, wanted, remembered)
    if strict and remembered.substitution:
        hint = f"Ask for Python {remembered.minor}, install Python {wanted} on this machine, or allow substitutes in the settings."
        raise PythonUnavailable(f"Python {wanted} is neither installed here nor could it be fetched.", hint=hint)
    return remembered


def _search(wanted: str, home: Path, watch: Watch, fetch_timeout_seconds: float) -> Interpreter:
    own = own_interpreter()
    if wanted == own.minor and _is_reachable(own):
        return own
    there = installed(home)
    if _number(wanted) < OLDEST_SUPPORTED:
        return _nearest(there, wanted, f"the oldest version models run on here is {_shown(OLDEST_SUPPORTED)}")
    found = _of_minor(there, wanted)
    if found:
        return found
    reason = _fetch(wanted, home, watch, fetch_timeout_seconds)
    there = installed(home)
    return _of_minor(there, wanted) or _nearest(there, wanted, reason)


def installed(home: Path) -> list[Interpreter]:
    """Every CPython on this machine that uv can start, the studio's own among them."""
    command = [uv_binary(), "python", "list", "--only-installed", "--output-format", "json"]
    found = {own_interpreter().path: own_interpreter()}
    for environment in _places(home):
        answer = subprocess.run(
            command,
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=_LIST_TIMEOUT_SECONDS,
            check=False,
        )
        entries: list[dict[str, Any]] = json.loads(answer.stdout) if answer.returncode == 0 else []
        for entry in entries:
            if entry["implementation"] == "cpython" and entry["variant"] == "default" and entry["path"]:
                path = os.path.realpath(entry["path"])
                prefix = str(Path(path).parent.parent)
                found.setdefault(path, Interpreter(path, entry["version"], prefix, is_readable_by_all(path)))
    return [interpreter for interpreter in found.values() if interpreter.version.replace(".", "").isdigit()]


def _places(home: Path) -> list[dict[str, str]]:
    """The environment with our folder of fetched interpreters, and the one with uv's usual folder."""
    ours = uv_environment(home)
    usual = {name: value for name, value in ours.items() if name != "UV_PYTHON_INSTALL_DIR"}
    return [ours, usual]


def _of_minor(interpreters: list[Interpreter], wanted: str) -> Interpreter | None:
    # As root, instances run under users of their own: one they can reach beats the newest patch.
    return max((each for each in interpreters if each.minor == wanted), key=_preference, default=None)


def _preference(interpreter: Interpreter) -> tuple[bool, bool, tuple[int, ...]]:
    return _is_reachable(interpreter), interpreter.path == own_interpreter().path, _number(interpreter.version)


def _is_reachable(interpreter: Interpreter) -> bool:
    """Whether instances can start it without a sandbox: they run under other users only if we are root."""
    return interpreter.readable_by_all or os.geteuid() != 0


def _nearest(interpreters: list[Interpreter], wanted: str, reason: str) -> Interpreter:
    target = max(_number(wanted), OLDEST_SUPPORTED)
    minors = sorted({_number(each.minor) for each in interpreters if _number(each.minor) >= OLDEST_SUPPORTED})
    chosen = next((minor for minor in minors if minor >= target), minors[-1])
    interpreter = _of_minor(interpreters, _shown(chosen))
    assert interpreter is not None
    message = f"Python {wanted} was asked for; Python {interpreter.version} is used instead, because {reason}."
    return replace(interpreter, substitution=message)


def _fetch(wanted: str, home: Path, watch: Watch, timeout_seconds: float) -> str:
    """Let uv fetch it into `home/interpreters`; returns why that failed, "" when it did not."""
    watch.log(f"Python {wanted} is not installed here; fetching it")
    command = [uv_binary(), "python", "install", "--no-bin", wanted]
    try:
        code, lines = run(command, environment=uv_environment(home), watch=watch, timeout_seconds=timeout_seconds)
    except TookTooLong:
        return f"it is not installed here and fetching it took longer than {timeout_seconds:.0f} s"
    if code == 0:
        return ""
    text = "\n".join(lines).lower()
    if "no download found" in text or "not found" in text.split("cause")[0]:
        return "it is not installed here and there is no download of it for this machine"
    return "it is not installed here and could not be fetched from the network"


def is_readable_by_all(path: str) -> bool:
    """Whether a process of any user can go to `path` and read it."""
    here = Path(path)
    try:
        if not stat.S_IMODE(here.stat().st_mode) & 0o004:
            return False
        return all(stat.S_IMODE(folder.stat().st_mode) & 0o001 for folder in here.parents)
    except PermissionError:
        return False


def python_tag(python: Path) -> str:
    """What compiled packages for this interpreter are bound to, like "cp311-linux-x86_64".

    `python` may be a virtual environment's; uv's pyvenv.cfg then answers without starting it.
    """
    configuration = python.parent.parent / "pyvenv.cfg"
    version = ""
    if configuration.exists():
        pairs = dict(line.split(" = ", 1) for line in configuration.read_text().splitlines() if " = " in line)
        version = pairs.get("version_info", "") or pairs.get("version", "")
    if not version:
        code = "import sys; print('{}.{}'.format(*sys.version_info))"
        version = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, check=True, timeout=60
        ).stdout.strip()
    major, minor = version.split(".")[:2]
    return f"cp{major}{minor}-{sysconfig.get_platform()}"


def _memory(home: Path, wanted: str) -> Path:
    return home / "cache" / "interpreters" / f"{wanted}.json"


def _recall(home: Path, wanted: str) -> Interpreter | None:
    memory = _memory(home, wanted)
    try:
        interpreter = Interpreter(**json.loads(memory.read_text()))
        age_seconds = time.time() - memory.stat().st_mtime
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if interpreter.substitution and age_seconds > SUBSTITUTION_LASTS_SECONDS:
        return None
    # An interpreter replaced since then may have another version behind the same path.
    usable = os.access(interpreter.path, os.X_OK) and os.stat(interpreter.path).st_ctime < memory.stat().st_mtime
    return interpreter if usable else None


def remember(home: Path, wanted: str, interpreter: Interpreter) -> None:
    """Answer `interpreter` whenever `wanted` is asked for from now on (for an hour, if it is a substitute)."""
    memory = _memory(home, wanted)
    memory.parent.mkdir(parents=True, exist_ok=True)
    temporary = memory.with_name(f".{memory.name}.{os.getpid()}")
    temporary.write_text(json.dumps(asdict(interpreter)))
    temporary.replace(memory)


def _silent() -> Watch:
    ignore: Callable[[str], None] = lambda line: None  # noqa: E731
    return Watch(log=ignore, heartbeat=lambda: None, cancelled=lambda: False)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _shown(number: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in number)
