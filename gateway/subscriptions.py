"""One file that Envoy watches: moved, then acknowledged or refused."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from gateway import files
from gateway.admin import Admin
from gateway.errors import GatewayError
from gateway.options import GatewayOptions
from gateway.protos import Message

ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.002


class Rejected(GatewayError):
    """Envoy refused the configuration, and the last good one was put back."""

    code = "GatewayRejected"


@dataclass(frozen=True)
class Kind:
    """`stats` is the name under which Envoy counts what it made of the file."""

    file_name: str
    stats: str


CLUSTERS = Kind("cds.json", "cluster_manager.cds")
ROUTES = Kind("rds.json", "http.scoring.rds.scoring")
LISTENERS = Kind("lds.json", "listener_manager.lds")
TOKEN_RULES = Kind("ecds_jwt.json", "extension_config_discovery.http_filter.envoy.filters.http.jwt_authn")


# Version by Kind.stats.
InForce = Mapping[str, str]


def versions_in_force(admin: Admin) -> InForce:
    """What a running Envoy has accepted last. Raises GatewayUnreachable."""
    texts = admin.stats(r"\.version_text$", kind="TextReadouts")
    return {name.removesuffix(".version_text"): value for name, value in texts.items()}


class Subscription:
    """One of the gateway's files."""

    def __init__(self, kind: Kind, options: GatewayOptions, admin: Admin) -> None:
        self._kind = kind
        self._options = options
        self._admin = admin
        self._file = options.xds_directory / kind.file_name

    def move(self, wanted: Message, in_force: InForce | None) -> bool:
        """Make `wanted` the file's content and, with a running Envoy, wait until it is in force.

        `in_force` is what Envoy has now, None when it does not run.

        False when nothing had to be moved. A file that is right is moved again when Envoy has something else in force.
        Raises Rejected when Envoy refuses it, after the former content is back in place.
        """
        content = files.as_bytes(wanted)
        before = files.read(self._file)
        if in_force is None:
            return files.publish(self._file, content)
        if before == content and in_force.get(self._kind.stats) == wanted["version_info"]:
            return False
        refused_before, log_before = self._refused(), self._log_size()
        files.move_into_place(self._file, content)
        reason = self._await_answer(str(wanted["version_info"]), refused_before, log_before)
        if reason:
            if before is not None and before != content:
                files.move_into_place(self._file, before)
            raise Rejected(reason)
        return True

    def _await_answer(self, version: str, refused: int, log_offset: int) -> str:
        """Empty when Envoy accepted, else its reason."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            if versions_in_force(self._admin).get(self._kind.stats) == version:
                return ""
            if self._refused() > refused:
                return self._reason(log_offset)
            time.sleep(_POLL_SECONDS)
        return f"Envoy did not take {self._kind.file_name} within {ANSWER_SECONDS:.0f} seconds."

    def _refused(self) -> int:
        return self._count("update_rejected") + self._count("update_failure") + self._count("config_fail")

    def _count(self, what: str) -> int:
        name = f"{self._kind.stats}.{what}"
        return int(self._admin.stats(f"^{re.escape(name)}$", kind="Counters").get(name, 0))

    def _log_size(self) -> int:
        try:
            return self._options.envoy_log.stat().st_size
        except FileNotFoundError:
            return 0

    def _reason(self, log_offset: int) -> str:
        try:
            with self._options.envoy_log.open("rb") as log:
                log.seek(log_offset)
                lines = log.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        said = [line.partition("] ")[2] or line for line in lines if "rejected" in line or "rror" in line]
        return " ".join(said[-2:])[-1000:] or f"Envoy refused {self._kind.file_name} without a word."
