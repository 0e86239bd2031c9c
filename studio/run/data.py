"""What has to be true of the database and the static files before the web process starts."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.checks import Error, run_checks
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.exceptions import MigrationSchemaMissing
from django.db.migrations.executor import MigrationExecutor

from studio.run.errors import StartRefused
from studio.run.places import Places


def check_settings() -> None:
    """Raises StartRefused with every setting that cannot work."""
    errors = [found for found in run_checks(tags=["studio"]) if isinstance(found, Error)]
    if errors:
        hints = " ".join(dict.fromkeys(str(found.hint) for found in errors if found.hint))
        raise StartRefused(" ".join(f"{found.msg} ({found.id})" for found in errors), hint=hints)


def migrate() -> int:
    """Bring the schema up to date; returns how many migrations were applied. Raises StartRefused without a database."""
    _reserve_sqlite_file()
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            call_command("migrate", verbosity=0, interactive=False)
    except (DatabaseError, MigrationSchemaMissing) as error:
        raise StartRefused(
            f"The database cannot be used: {error}".strip(), hint="Check DATABASE_URL and that its server runs."
        ) from error
    return len(plan)


def _reserve_sqlite_file() -> None:
    """Readable for its owner only from the first byte on; SQLite gives its other files the same mode."""
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        os.close(os.open(database["NAME"], os.O_RDWR | os.O_CREAT, 0o600))


def collect_static(places: Places) -> bool:
    """Gather and compress the static files when any of them has changed; True when it did."""
    fingerprint = _static_fingerprint()
    stamp = places.static_fingerprint
    if stamp.exists() and stamp.read_text() == fingerprint and Path(settings.STATIC_ROOT).is_dir():
        return False
    call_command("collectstatic", verbosity=0, interactive=False, clear=True)
    stamp.write_text(fingerprint)
    return True


def _static_fingerprint() -> str:
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            status = os.stat(storage.path(path))
            digest.update(f"{storage.path(path)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
