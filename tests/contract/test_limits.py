"""Finding and writing control groups, on texts and trees as other hosts have them. The running host's own are used by
`test_local_driver.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deployments.compute import limits
from deployments.compute.limits import Hierarchy

HYBRID_MOUNTS = """\
25 18 0:23 / {root}/memory rw,relatime - cgroup cgroup rw,memory
26 18 0:24 / {root}/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
27 18 0:25 / {root}/pids rw,relatime shared:9 - cgroup cgroup rw,pids
28 18 0:26 / {root}/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
29 18 0:27 / /tmp rw - tmpfs tmpfs rw
"""
HYBRID_GROUPS = "4:memory:/studio/a\n3:cpu,cpuacct:/\n2:pids:/\n0::/\n"


def make_files(folder: Path, **contents: str) -> Path:
    """A control group of version 2 as the kernel would fill it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"controllers": "cpu memory pids", "subtree_control": "", "procs": "", **contents}.items():
        (folder / f"cgroup.{name}").write_text(text)
    return folder


def pretend_version_2(top: Path, own: str, **own_contents: str) -> dict[str, Hierarchy]:
    """A host with version 2 alone, and a studio that runs in the group `own`."""
    (top / "cgroup.controllers").write_text("cpu memory pids\n")
    make_files(top / own, **own_contents)
    mounts = f"30 18 0:26 / {top} rw,relatime - cgroup2 cgroup2 rw\n"
    return limits.find_hierarchies(mounts, f"0::/{own}\n")


def test_each_controller_is_found_where_it_is_mounted() -> None:
    found = limits.find_hierarchies(HYBRID_MOUNTS.format(root="/sys/fs/cgroup"), HYBRID_GROUPS)
    assert found == {
        "memory": Hierarchy(1, "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/studio/a"),
        "cpu": Hierarchy(1, "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct"),
        "cpuacct": Hierarchy(1, "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct"),
        "pids": Hierarchy(1, "/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids"),
    }


def test_in_a_container_the_mount_begins_below_the_top() -> None:
    mounts = "40 30 0:23 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    found = limits.find_hierarchies(mounts, "4:memory:/docker/abc/studio\n")
    assert found["memory"].own_dir == "/sys/fs/cgroup/memory/studio"


def test_without_control_groups_every_limit_says_so() -> None:
    groups, applied = limits.create({}, "family", "i-1", {"memory": 1.0, "cpu": 1.0, "pids": 1.0})
    assert groups == {}
    assert applied["memory"] == "none: this host has no memory control group"
    assert limits.oom_kills(groups) == 0
    assert limits.cpu_seconds(groups) is None
    assert limits.memory_bytes(groups) is None


def test_version_2_limits_are_written_below_our_own_group(tmp_path: Path) -> None:
    hierarchies = pretend_version_2(tmp_path, "studio.service")
    family = make_files(tmp_path / "studio.service" / "family")
    groups, applied = limits.create(hierarchies, "family", "i-1", {"memory": 5e8, "cpu": 0.5, "pids": 64})
    folder = family / "i-1"
    assert {applied[part] for part in ("memory", "cpu", "pids")} == {"cgroup v2"}
    assert groups["memory"] == (2, str(folder))
    assert (folder / "memory.max").read_text() == "500000000"
    assert (folder / "cpu.max").read_text() == "50000 100000"
    assert (folder / "pids.max").read_text() == "64"


def test_a_version_2_group_that_may_not_have_children_is_passed_over(tmp_path: Path) -> None:
    hierarchies = pretend_version_2(tmp_path, "slice/session.scope", controllers="")
    make_files(tmp_path / "slice", subtree_control="cpu memory pids")
    make_files(tmp_path / "slice" / "family")
    groups, _ = limits.create(hierarchies, "family", "i-1", {"memory": 5e8, "cpu": 0.5, "pids": 64})
    assert groups["memory"] == (2, str(tmp_path / "slice" / "family" / "i-1"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_version_2_groups_that_cannot_be_written_bound_nothing(tmp_path: Path) -> None:
    hierarchies = pretend_version_2(tmp_path, "studio.service")
    for folder in (make_files(tmp_path), tmp_path / "studio.service"):
        (folder / "cgroup.subtree_control").chmod(0o444)
    groups, applied = limits.create(hierarchies, "family", "i-1", {"memory": 5e8})
    assert groups == {}
    assert applied["memory"].startswith("none: the memory control group cannot be written")


def test_version_2_figures_are_read(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1000000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 700\ninactive_file 300\n")
    (tmp_path / "cgroup.procs").write_text("12\n7\n")
    groups = {name: (2, str(tmp_path)) for name in limits.CONTROLLERS}
    assert limits.oom_kills(groups) == 2
    assert limits.cpu_seconds(groups) == 1.5
    assert limits.memory_bytes(groups) == 700
    assert limits.pids(groups) == [7, 12]


def test_groups_are_removed_and_their_family_with_the_last(tmp_path: Path) -> None:
    for name in ("i-1", "i-2"):
        (tmp_path / "family" / name).mkdir(parents=True)
    limits.remove({"memory": (1, str(tmp_path / "family" / "i-1"))})
    assert [path.name for path in (tmp_path / "family").iterdir()] == ["i-2"]
    limits.remove({"memory": (1, str(tmp_path / "family" / "i-2"))})
    limits.remove({"memory": (1, str(tmp_path / "family" / "i-2"))})
    assert not (tmp_path / "family").exists()
