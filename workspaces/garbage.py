"""Removing from disk what nothing uses."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from workspaces.building import requeue_what_is_gone
from workspaces.builds.garbage import collect_garbage
from workspaces.builds.runtime import collect_runtimes, ensure_runtime
from workspaces.models import CodeVersion, EnvironmentBuild, FileTree, RegisteredModelVersion, UploadedFile
from workspaces.staging import blocks, store

log = logging.getLogger(__name__)
UNUSED_SECONDS = 7 * 86_400
# longer than any upload lasts: what was stored but is not in a row yet stays
UPLOAD_SECONDS = 86_400


def collect() -> None:
    """Environments and runtimes unused for a week, rows of file trees nobody refers to, and their files after a day."""
    home = settings.STUDIO_HOME
    requeue_what_is_gone()
    used = EnvironmentBuild.objects.filter(versions__isnull=False).exclude(path="")
    hashes = {Path(path).parent.name for path in used.values_list("path", flat=True)}
    environments = collect_garbage(home, hashes, older_than_seconds=UNUSED_SECONDS)
    source = settings.REPOSITORY / "inference_server"
    pythons = set(used.values_list("python_path", flat=True))
    current = [
        ensure_runtime(Path(python), home=home, source_dir=source) for python in pythons if Path(python).exists()
    ]
    runtimes = collect_runtimes(home, current, older_than_seconds=UNUSED_SECONDS)
    referenced = set(RegisteredModelVersion.objects.values_list("files_id", flat=True))
    referenced |= set(CodeVersion.objects.values_list("files_id", flat=True))
    settled = timezone.now() - timedelta(seconds=UPLOAD_SECONDS)
    FileTree.objects.filter(created_at__lt=settled).exclude(pk__in=referenced).delete()
    UploadedFile.objects.filter(changed_at__lt=settled).delete()
    blocks().sweep()
    trees = store().collect_garbage(
        FileTree.objects.values_list("sha256", flat=True), older_than_seconds=UPLOAD_SECONDS
    )
    log.info("collected %s, %s runtimes, %s", environments, len(runtimes), trees)
