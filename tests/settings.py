"""The studio's settings with a home of its own for each test process."""

import atexit
import os
import shutil
import tempfile

_home = tempfile.mkdtemp(prefix="es-", dir="/tmp")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["STUDIO_HOME"] = _home
for _variable in ("DATABASE_URL", "REDIS_URL", "STUDIO_SECRET_KEY", "STUDIO_FIELD_KEY"):
    os.environ.pop(_variable, None)

from studio.settings import *  # noqa: E402, F403

# a file, as in production: an in-memory database locks whole tables instead of queueing writers
DATABASES["default"]["TEST"] = {"NAME": f"{_home}/test.sqlite3"}  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
