"""Where the local driver keeps what below the studio's home, and how its small files are written.

Standard library only, and little of it: every instance's launcher imports this, and its start is on the way to the first answer.
"""

from __future__ import annotations

import json
import os
import time

MAX_SOCKET_PATH_BYTES = 107
MAX_EVENTS_BYTES = 1024 * 1024


class Places:
    """The paths of one installation. Instances are told apart by name; nothing here creates or reads anything."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.conf_dir = os.path.join(home, "supervisor", "instances")
        self.driver_lock = os.path.join(home, "supervisor", "instances.lock")
        self.instances_dir = os.path.join(home, "instances")
        self.sockets_dir = os.path.join(home, "sock")
        self.logs_dir = os.path.join(home, "logs", "instances")
        self.uids_dir = os.path.join(home, "instances", ".uids")

    def conf(self, name: str) -> str:
        return os.path.join(self.conf_dir, name + ".conf")

    def folder(self, name: str) -> str:
        return os.path.join(self.instances_dir, name)

    def spec(self, name: str) -> str:
        return os.path.join(self.instances_dir, name, "spec.json")

    def state(self, name: str) -> str:
        return os.path.join(self.instances_dir, name, "state.json")

    def lock(self, name: str) -> str:
        return os.path.join(self.instances_dir, name, "lock")

    def work(self, name: str) -> str:
        """Home and scratch folder of the instance: all it may write below the studio's home, but for its socket."""
        return os.path.join(self.instances_dir, name, "work")

    def run(self, name: str) -> str:
        """Where the instance opens its socket: it may write in it, but cannot put another folder in its place."""
        return os.path.join(self.instances_dir, name, "run")

    def socket(self, name: str) -> str:
        return os.path.join(self.sockets_dir, name + ".sock")

    def log(self, name: str) -> str:
        return os.path.join(self.logs_dir, name + ".log")

    def events(self, name: str) -> str:
        return os.path.join(self.logs_dir, name + ".events.jsonl")


def write_private(path: str, text: str) -> None:
    """Replace a file whole, readable for its owner only from the first byte on."""
    temporary = f"{path}.{os.getpid()}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    os.replace(temporary, path)


def read_document(path: str) -> dict | None:
    """The JSON object in a file, or None when there is no such file or it is not whole."""
    try:
        with open(path) as file:
            document = json.load(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def append_event(path: str, name: str, message: str) -> None:
    """Add one line to an instance's events; at 1 MiB the file is set aside and a new one begun."""
    line = json.dumps({"at": time.time(), "name": name, "message": message}) + "\n"
    try:
        if os.stat(path).st_size > MAX_EVENTS_BYTES:
            os.replace(path, path + ".1")
    except FileNotFoundError:
        pass  # the first event, or another process has just set the file aside
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
