"""Secrets the installation makes for itself, one file each below STUDIO_HOME/secrets, mode 0600."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet


def ensure_secret(file: Path, make: Callable[[], bytes]) -> bytes:
    """The content of `file`, made by `make` on first use. Safe when several processes ask at once: one file wins."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        pass
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(make())
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return file.read_bytes()


def random_text() -> bytes:
    """64 URL-safe characters from the system's random source."""
    return secrets.token_urlsafe(48).encode()


def encryption_key() -> bytes:
    """A new Fernet key (AES-128-CBC with HMAC-SHA256, base64)."""
    return Fernet.generate_key()
