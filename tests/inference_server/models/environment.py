"""An environment with model libraries and a folder of models, made once and shared by every test process."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
SOURCES = (HERE / "requirements.txt", HERE / "make_models.py", REPOSITORY / "inference_server" / "requirements.txt")


@dataclass(frozen=True)
class ModelEnvironment:
    python: str
    models: Path


def model_environment() -> ModelEnvironment:
    """Built under a lock in a temporary folder named by what it is made of; some milliseconds once it is there."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES) + sys.version.encode()).hexdigest()[:12]
    home = Path(tempfile.gettempdir()) / f"es-models-{os.getuid()}-{digest}"
    home.mkdir(mode=0o700, exist_ok=True)
    made = ModelEnvironment(str(home / "env" / "bin" / "python"), home / "models")
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "done").exists():
            _build(home, made)
            (home / "done").touch()
    return made


def _build(home: Path, made: ModelEnvironment) -> None:
    uv = find_uv_bin()
    steps = [
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home / "env")],
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", made.python, "-r", str(SOURCES[0])],
        [made.python, str(HERE / "make_models.py"), str(made.models)],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"
