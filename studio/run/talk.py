"""What the foreground program tells the person in front of it."""

from __future__ import annotations

import shlex
import time

import psutil

from studio.lib.errors import StudioError
from studio.run.people import Credentials

SAMPLE_BODY = '{"data": [[12, 29.85, 358.20, 1, 0], [45, 89.10, 4011.50, 2, 1]]}'


class Talk:
    """Lines on standard output, each with the seconds since this process was created."""

    def __init__(self) -> None:
        self._began = time.monotonic() - (time.time() - psutil.Process().create_time())

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self._began:6.1f} s] {text}", flush=True)

    def trouble(self, error: StudioError) -> None:
        self.say(f"ERROR: {error.message}")
        if error.hint:
            self.say(f"       {error.hint}")

    def announce(self, credentials: Credentials) -> None:
        password = credentials.password or "(the one you have chosen; manage.py changepassword sets another)"
        rows = {
            "Studio": f"{credentials.studio_url}  {credentials.studio_tls_url}",
            "Scoring": f"{credentials.gateway_url}  {credentials.gateway_tls_url}",
            "User": credentials.username,
            "Password": password,
            "CA file": credentials.ca_file,
            "Try": try_line(credentials),
        }
        print("\n" + "\n".join(f"  {name + ':':<10}{value}" for name, value in rows.items()) + "\n", flush=True)


def try_line(credentials: Credentials) -> str:
    """A command that works as it stands: it scores the sample, or without one asks for the studio's health."""
    words = ["curl", "--cacert", credentials.ca_file]
    if not credentials.sample_scoring_uri:
        return shlex.join([*words, f"{credentials.studio_tls_url}/healthz"])
    words += ["-H", f"Authorization: Bearer {credentials.sample_key}", "-H", "Content-Type: application/json"]
    return shlex.join([*words, "-d", SAMPLE_BODY, credentials.sample_scoring_uri])
