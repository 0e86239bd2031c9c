"""Which unprivileged user an instance runs as: a number of its own, the same for as long as the instance exists."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from deployments.compute.contract import DriverUnavailable

FIRST_UID = 900_000
UID_COUNT = 60_000


class Identities:
    """Hands out user numbers, remembered as one small file each, so that no two living instances share one.

    The numbers need no entry in /etc/passwd. `first_uid` is moved down where the host maps fewer users (rootless containers).
    """

    def __init__(self, folder: Path, first_uid: int = FIRST_UID, count: int = UID_COUNT) -> None:
        self.folder = folder
        self.first_uid, self.count = _within_mapped(first_uid, count, Path("/proc/self/uid_map").read_text())

    def take(self, name: str) -> int:
        """The number of this instance, reserved now unless it already was."""
        self.folder.mkdir(parents=True, exist_ok=True)
        start = zlib.crc32(f"{self.folder}/{name}".encode()) % self.count
        for offset in range(self.count):
            uid = self.first_uid + (start + offset) % self.count
            file = self.folder / str(uid)
            try:
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                if file.read_text() == name:
                    return uid
                continue
            with os.fdopen(descriptor, "w") as reserved:
                reserved.write(name)
            return uid
        raise DriverUnavailable(f"All {self.count} user numbers for instances are taken.")

    def give_back(self, uid: int) -> None:
        (self.folder / str(uid)).unlink(missing_ok=True)


def _within_mapped(first_uid: int, count: int, uid_map: str) -> tuple[int, int]:
    """The wanted range, or the upper half of the largest range this user namespace has."""
    ranges = [(int(inside), int(size)) for inside, _, size in (line.split() for line in uid_map.splitlines())]
    if any(start <= first_uid and first_uid + count <= start + size for start, size in ranges):
        return first_uid, count
    start, size = max(ranges, key=lambda each: each[1])
    half = max(1, size // 2)
    return start + size - half, min(count, half)
