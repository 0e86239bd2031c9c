"""CPU, memory and process limits of an instance: control groups of version 2 or 1, whichever the host lets us write.

Both versions can be mounted at once ("hybrid"), each owning some controllers, so every controller is found on its own. An
instance's groups lie below the group that the studio itself runs in: what bounds the studio bounds its instances too. Version 2
forbids that for a group that holds processes; then the nearest group above that allows it is taken.

Standard library only: launchers import this.
"""

from __future__ import annotations

import errno
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NamedTuple

    class Hierarchy(NamedTuple):
        version: int
        mount_point: str
        own_dir: str

    Groups = dict[str, tuple[int, str]]
    """Controller -> (version, folder). Several controllers may share a folder."""
else:
    from collections import namedtuple

    Hierarchy = namedtuple("Hierarchy", "version mount_point own_dir")

CONTROLLERS = ("memory", "cpu", "cpuacct", "pids")
CPU_PERIOD_US = 100_000
CPU_QUOTA_MINIMUM_US = 1_000


def find_hierarchies(mountinfo: str, own_groups: str) -> dict[str, Hierarchy]:
    """Where each controller of `CONTROLLERS` is mounted, from the texts of /proc/self/mountinfo and /proc/self/cgroup."""
    own_path = {}
    for line in own_groups.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            own_path[controller] = path
    found: dict[str, Hierarchy] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        root, mount_point = (field.replace("\\040", " ") for field in before.split()[3:5])
        if kind == "cgroup":
            for controller in options.split(" ")[-1].split(","):
                if controller in CONTROLLERS and controller in own_path:
                    own_dir = _below(mount_point, root, own_path[controller])
                    found[controller] = Hierarchy(1, mount_point, own_dir)
        elif kind == "cgroup2" and "" in own_path:
            available = _read(os.path.join(mount_point, "cgroup.controllers")).split()
            own_dir = _below(mount_point, root, own_path[""])
            for controller in CONTROLLERS:
                if controller in available:
                    found.setdefault(controller, Hierarchy(2, mount_point, own_dir))
    return found


def find_own_hierarchies() -> dict[str, Hierarchy]:
    return find_hierarchies(_read("/proc/self/mountinfo"), _read("/proc/self/cgroup"))


def create(
    hierarchies: dict[str, Hierarchy], family: str, name: str, limits: dict[str, float]
) -> tuple[Groups, dict[str, str]]:
    """Make `<family>/<name>` in every hierarchy and write its limits; again is harmless.

    `limits` holds `cpu` (vCPUs), `memory` (bytes) and `pids` (processes and threads). Returns the groups made and, for each
    limit, "cgroup v1", "cgroup v2" or "none: <why>".
    """
    groups: Groups = {}
    applied: dict[str, str] = {}
    parents: dict[str, str] = {}
    for controller in CONTROLLERS:
        hierarchy = hierarchies.get(controller)
        if hierarchy is None:
            applied[controller] = f"none: this host has no {controller} control group"
            continue
        try:
            if hierarchy.version == 2 and hierarchy.mount_point not in parents:
                parents[hierarchy.mount_point] = _version_2_parent(hierarchy)
            parent = parents.get(hierarchy.mount_point, hierarchy.own_dir)
            folder = _make_group(hierarchy.version, parent, family, name)
            if controller in limits:
                _write_limit(hierarchy.version, controller, folder, limits[controller])
        except OSError as error:
            applied[controller] = f"none: the {controller} control group cannot be written ({error.strerror})"
            continue
        groups[controller] = (hierarchy.version, folder)
        applied[controller] = f"cgroup v{hierarchy.version}"
    return groups, applied


def join(groups: Groups, pid: int) -> None:
    """Move a process into the groups; what it starts from now on is in them too."""
    for folder in _folders(groups):
        _write(os.path.join(folder, "cgroup.procs"), str(pid))


def oom_kills(groups: Groups) -> int:
    """How many processes of the instance the kernel has killed at the memory limit since the group was made."""
    if "memory" not in groups:
        return 0
    version, folder = groups["memory"]
    for file in ("memory.events.local", "memory.events") if version == 2 else ("memory.oom_control",):
        counters = _counters(os.path.join(folder, file))
        if "oom_kill" in counters:
            return counters["oom_kill"]
    return 0


def cpu_seconds(groups: Groups) -> float | None:
    """CPU time used by all processes the group ever held; None when it is not counted."""
    for controller in ("cpuacct", "cpu"):
        version, folder = groups.get(controller, (0, ""))
        if version == 2:
            usage = _counters(os.path.join(folder, "cpu.stat")).get("usage_usec")
            return None if usage is None else usage / 1e6
        if version == 1 and controller == "cpuacct":
            text = _read(os.path.join(folder, "cpuacct.usage")).strip()
            return int(text) / 1e9 if text else None
    return None


def memory_bytes(groups: Groups) -> int | None:
    """Memory held, without file cache that the kernel can take back at once; None when it is not counted."""
    version, folder = groups.get("memory", (0, ""))
    if not version:
        return None
    text = _read(os.path.join(folder, "memory.current" if version == 2 else "memory.usage_in_bytes")).strip()
    if not text:
        return None
    cache = _counters(os.path.join(folder, "memory.stat"))
    return max(0, int(text) - cache.get("inactive_file" if version == 2 else "total_inactive_file", 0))


def pids(groups: Groups) -> list[int]:
    """The processes that are in the instance's groups."""
    return sorted({int(pid) for folder in _folders(groups) for pid in _read(folder + "/cgroup.procs").split()})


def kill_all(groups: Groups) -> None:
    """Send SIGKILL to every process in the groups; those that are already gone are no error."""
    for pid in pids(groups):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def remove(groups: Groups) -> None:
    """Delete the groups, and their family when this was its last; one that still holds processes stays for the next call."""
    for folder in _folders(groups):
        for path in (folder, os.path.dirname(folder)):
            try:
                os.rmdir(path)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EBUSY, errno.ENOTEMPTY):
                    raise
                if error.errno != errno.ENOENT:
                    break


def _version_2_parent(hierarchy: Hierarchy) -> str:
    """The nearest group, from our own upwards, that may have children with limits. Raises OSError when there is none."""
    wanted = ["memory", "cpu", "pids"]
    second_best, refused = "", OSError(errno.EACCES, "no group above ours may hold limited ones")
    for candidate in _upwards(hierarchy.own_dir, hierarchy.mount_point):
        try:
            enabled = _enable(candidate, wanted)
        except OSError as error:
            refused = error
            continue
        if not os.access(candidate, os.W_OK):
            continue
        if enabled == wanted:
            return candidate
        if "memory" in enabled and not second_best:
            second_best = candidate
    if second_best:
        return second_best
    raise refused


def _enable(folder: str, wanted: list[str]) -> list[str]:
    """Let the children of a version 2 group have limits; returns which of `wanted` they have now."""
    control = os.path.join(folder, "cgroup.subtree_control")
    available = _read(os.path.join(folder, "cgroup.controllers")).split()
    enabled = _read(control).split()
    for controller in wanted:
        if controller in available and controller not in enabled:
            _write(control, "+" + controller)
            enabled.append(controller)
    return [controller for controller in wanted if controller in enabled]


def _make_group(version: int, parent: str, family: str, name: str) -> str:
    family_dir = os.path.join(parent, family)
    os.makedirs(family_dir, exist_ok=True)
    if version == 2:
        _enable(family_dir, ["memory", "cpu", "pids"])
    folder = os.path.join(family_dir, name)
    os.makedirs(folder, exist_ok=True)
    return folder


def _write_limit(version: int, controller: str, folder: str, value: float) -> None:
    if controller == "memory":
        for file in ("memory.max",) if version == 2 else ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
            if os.path.exists(os.path.join(folder, file)) or file in ("memory.max", "memory.limit_in_bytes"):
                _write(os.path.join(folder, file), str(int(value)))
        swap = os.path.join(folder, "memory.swap.max")
        if version == 2 and os.path.exists(swap):
            _write(swap, "0")  # else a host with swap would let an instance outgrow its memory by as much again
    elif controller == "cpu":
        quota = max(CPU_QUOTA_MINIMUM_US, round(value * CPU_PERIOD_US))
        if version == 2:
            _write(os.path.join(folder, "cpu.max"), f"{quota} {CPU_PERIOD_US}")
        else:
            _write(os.path.join(folder, "cpu.cfs_period_us"), str(CPU_PERIOD_US))
            _write(os.path.join(folder, "cpu.cfs_quota_us"), str(quota))
    elif controller == "pids":
        _write(os.path.join(folder, "pids.max"), str(int(value)))


def _below(mount_point: str, root: str, path: str) -> str:
    """The folder of a group whose hierarchy may be mounted from somewhere below its top (in containers it is)."""
    if root != "/" and (path == root or path.startswith(root + "/")):
        path = path[len(root) :]
    if "/.." in path:  # seen from a control group namespace that does not contain it
        path = "/"
    return os.path.normpath(mount_point + "/" + path)


def _upwards(folder: str, top: str) -> Iterator[str]:
    while True:
        yield folder
        if folder == top or not folder.startswith(top):
            return
        folder = os.path.dirname(folder)


def _folders(groups: Groups) -> list[str]:
    return sorted({folder for _, folder in groups.values()})


def _counters(path: str) -> dict[str, int]:
    pairs = (line.split() for line in _read(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""  # gone, or a file this kernel does not have: both mean "nothing known"


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
