"""Reads what instances leave behind and use: log tails, events, CPU and memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import psutil

from deployments.compute import limits
from deployments.compute.contract import Event, Usage

BLOCK_BYTES = 64 * 1024
MAX_TAIL_BYTES = 8 * 1024 * 1024


def tail(path: str, line_count: int) -> list[str]:
    """The last lines of a log that is rotated to `<path>.1`, oldest first; at most 8 MiB of each file is looked at."""
    if line_count <= 0:
        return []
    lines = _tail_of_file(path, line_count)
    if len(lines) < line_count:
        lines = _tail_of_file(path + ".1", line_count - len(lines)) + lines
    return lines


def read_events(path: str) -> list[Event]:
    """All events in `<path>.1` and `<path>`, oldest first; a line that was cut short by a full disk is left out."""
    events = []
    for line in [*_lines(path + ".1"), *_lines(path)]:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        events.append(Event(at=datetime.fromtimestamp(entry["at"], UTC), name=entry["name"], message=entry["message"]))
    return events


def measure(pid: int, groups: limits.Groups, allowed: Mapping[str, Any]) -> Usage | None:
    """What the process and all below it use: as the control groups count, or summed over the tree where there are none."""
    members = limits.pids(groups)
    cpu_seconds, memory_bytes = limits.cpu_seconds(groups), limits.memory_bytes(groups)
    is_counted = bool(members) and cpu_seconds is not None and memory_bytes is not None
    tree = [] if is_counted else _tree(pid)  # costs a look at every process of the machine
    if not members and not tree:
        return None
    sources = {"cgroup" if figure is not None else "processes" for figure in (cpu_seconds, memory_bytes)}
    return Usage(
        cpu_seconds=_tree_cpu_seconds(tree) if cpu_seconds is None else cpu_seconds,
        memory_bytes=_tree_memory_bytes(tree) if memory_bytes is None else memory_bytes,
        processes=len(members) or len(tree),
        cpu_limit=allowed["cpu"],
        memory_limit_bytes=allowed["memory"],
        source=" and ".join(sorted(sources)),
        measured_at=datetime.now(UTC),
    )


def _tail_of_file(path: str, line_count: int) -> list[str]:
    try:
        with open(path, "rb") as file:
            position = file.seek(0, os.SEEK_END)
            end = position
            data = b""
            while position > 0 and data.count(b"\n") <= line_count and end - position < MAX_TAIL_BYTES:
                step = min(BLOCK_BYTES, position)
                position = file.seek(position - step)
                data = file.read(step) + data
    except FileNotFoundError:
        return []
    return data.decode(errors="replace").splitlines()[-line_count:]


def _lines(path: str) -> Iterator[str]:
    try:
        with open(path) as file:
            yield from file
    except FileNotFoundError:
        return


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _tree_cpu_seconds(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _tree_memory_bytes(processes: list[psutil.Process]) -> int:
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
