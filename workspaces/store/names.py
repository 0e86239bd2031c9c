"""Which relative paths may be stored. Pure."""

from __future__ import annotations

import unicodedata

from .errors import FilesRefused

MAX_PATH_BYTES = 1024
MAX_PART_BYTES = 240


def clean_path(path: str) -> str:
    """The path as it will appear below the model's folder, with '/' between its parts. Twice changes nothing.

    Raises FilesRefused for absolute paths, '..', control characters, backslashes and parts the file system cannot hold.
    """
    if not path or path.endswith("/"):
        raise FilesRefused(path, "A file needs a name.")
    if path.startswith("/") or (len(path) > 1 and path[1] == ":" and path[0].isalpha()):
        raise FilesRefused(path, "The path is absolute.", "Give paths relative to the model's folder.")
    if "\\" in path:
        raise FilesRefused(path, "The path holds a backslash.", "Separate folders with '/'.")
    try:
        path = unicodedata.normalize("NFC", path)
        length_bytes = len(path.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise FilesRefused(path, "The name is not valid Unicode.", "Rename the file.") from error
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in path):
        raise FilesRefused(path, "The name holds control characters.", "Rename the file.")
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise FilesRefused(path, "The path leads out of its folder ('..').", "Give paths below the model's folder.")
    if not parts:
        raise FilesRefused(path, "A file needs a name.")
    if length_bytes > MAX_PATH_BYTES or any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        raise FilesRefused(path, f"The path is too long (at most {MAX_PATH_BYTES} bytes, {MAX_PART_BYTES} a part).")
    return "/".join(parts)
