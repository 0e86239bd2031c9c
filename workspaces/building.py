"""Carrying out environment builds: one worker at a time, kept alive by a lease, resumed when the worker died."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from workspaces import leases
from workspaces.builds.builder import BuildResult, build
from workspaces.builds.errors import BuildCancelled, BuildError, BuildFailed, EnvironmentInvalid
from workspaces.builds.interpreters import find_interpreter
from workspaces.builds.runtime import ensure_runtime
from workspaces.builds.spec import EnvironmentSpec, content_hash
from workspaces.lifecycle import BUILD_TABLE, move
from workspaces.models import EnvironmentBuild, EnvironmentVersion
from workspaces.services.environments import definition

log = logging.getLogger(__name__)
_S = EnvironmentBuild.State
RENEW_EVERY_SECONDS = 5.0


def carry_out(build_id: int) -> None:
    """Build what the row describes, if it is queued and nobody else is at it. Twice is the same as once."""
    row = EnvironmentBuild.objects.filter(pk=build_id, state=_S.QUEUED).first()
    if row is None or not leases.take(EnvironmentBuild, build_id):
        return
    try:
        also = {"started_at": timezone.now(), "finished_at": None, "attempt": row.attempt + 1}
        if move(row, _S.RUNNING, BUILD_TABLE, verb="environment build started", also=also):
            _build(row)
    finally:
        leases.release(EnvironmentBuild, build_id)


def _build(row: EnvironmentBuild) -> None:
    try:
        spec = _spec_of(row)
        heartbeat = _Heartbeat(row.pk)
        interpreter = find_interpreter(
            spec.python_wanted, home=settings.STUDIO_HOME, strict=settings.STUDIO_STRICT_PYTHON
        )
        key = content_hash(spec, interpreter.minor)
        EnvironmentBuild.objects.filter(pk=row.pk).update(log_key=key)
        result = build(
            spec,
            home=settings.STUDIO_HOME,
            strict_python=settings.STUDIO_STRICT_PYTHON,
            heartbeat=heartbeat,
            cancelled=heartbeat.is_lost,
        )
        ensure_runtime(
            result.python,
            home=settings.STUDIO_HOME,
            source_dir=settings.REPOSITORY / "inference_server",
            heartbeat=heartbeat,
        )
    except BuildCancelled:
        log.info("build %s was taken over by another worker", row)
    except BuildError as error:
        _failed(row, error)
    except Exception as error:
        log.exception("build %s: unexpected error", row)
        _failed(row, BuildFailed(f"{type(error).__name__}: {error}", kind="unknown", hint="The studio's log has more."))
    else:
        _succeeded(row, result)


def _spec_of(row: EnvironmentBuild) -> EnvironmentSpec:
    version = EnvironmentVersion.objects.filter(build=row).first()
    if version is None:
        raise BuildFailed("No environment asks for this build any more.", kind="unknown")
    return definition(conda_file=version.conda_file, pip_requirements=version.pip_requirements)


class _Heartbeat:
    """Renews the lease every RENEW_EVERY_SECONDS; notices when it was lost to another worker."""

    def __init__(self, build_id: int) -> None:
        self.build_id = build_id
        self.renewed_at = time.monotonic()
        self.lost = False

    def __call__(self) -> None:
        if time.monotonic() - self.renewed_at > RENEW_EVERY_SECONDS:
            self.renewed_at = time.monotonic()
            self.lost = self.lost or not leases.renew(EnvironmentBuild, self.build_id)

    def is_lost(self) -> bool:
        return self.lost


def _succeeded(row: EnvironmentBuild, result: BuildResult) -> None:
    also = {
        "path": str(result.path),
        "log_key": result.hash,
        "python_path": str(result.python),
        "python_used": result.python_used,
        "substitution": result.substitution,
        "packages": [list(package) for package in result.packages],
        "warnings": list(result.warnings),
        "size_bytes": result.size_bytes,
        "finished_at": timezone.now(),
        "hint": "",
        "error_line": None,
        "error_text": "",
    }
    move(row, _S.SUCCEEDED, BUILD_TABLE, verb="environment built", message=result.substitution, also=also)


def _failed(row: EnvironmentBuild, error: BuildError) -> None:
    line = error.line if isinstance(error, (BuildFailed, EnvironmentInvalid)) else None
    cause = error.probable_cause if isinstance(error, BuildFailed) else ""
    also = {"finished_at": timezone.now(), "hint": error.hint, "error_line": line, "error_text": cause}
    code = "ImageBuildFailure"
    move(row, _S.FAILED, BUILD_TABLE, code=code, message=error.message, verb="environment build failed", also=also)


def builds_with_work() -> list[int]:
    """Ids of builds that are queued, after putting back those whose worker died or fell silent."""
    leases.free_of_the_dead(EnvironmentBuild)
    now = timezone.now()
    for row in EnvironmentBuild.objects.filter(state=_S.RUNNING):
        if row.lease_until is None or row.lease_until < now:
            move(row, _S.QUEUED, BUILD_TABLE, verb="environment build resumed")
    wanted = EnvironmentBuild.objects.filter(state=_S.QUEUED, versions__environment__is_curated=False)
    in_use = EnvironmentBuild.objects.filter(state=_S.QUEUED, versions__revisions__isnull=False)
    return list((wanted | in_use).distinct().values_list("pk", flat=True))


def requeue_what_is_gone() -> int:
    """Builds whose environment is no longer on disk are built again when asked for. Returns how many."""
    gone = 0
    for row in EnvironmentBuild.objects.filter(state=_S.SUCCEEDED):
        if not Path(row.python_path).exists():
            gone += move(row, _S.QUEUED, BUILD_TABLE, verb="environment is gone from disk")
    return gone
