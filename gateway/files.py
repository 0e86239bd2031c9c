"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path

from gateway.protos import Message


def as_bytes(message: Message) -> bytes:
    """The one way a message is written, so equal messages are equal files."""
    return json.dumps(message, separators=(",", ":"), sort_keys=True).encode()


def read(file: Path) -> bytes | None:
    """None when there is no such file."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def move_into_place(file: Path, content: bytes) -> None:
    """Write beside, flush to disk, rename onto `file`, mode 0600. Envoy reads a file again only when one is moved onto it."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.rename(draft, file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        raise


def publish(file: Path, content: bytes) -> bool:
    """False, and no move, when `file` has this content already."""
    if read(file) == content:
        return False
    move_into_place(file, content)
    return True
