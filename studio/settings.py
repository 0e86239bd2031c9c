"""Settings of one installation. Each variable is explained in docs/reference/settings.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import dj_database_url

from studio.lib import env
from studio.lib.secrets import encryption_key, ensure_secret, random_text

REPOSITORY = Path(__file__).resolve().parent.parent

# --- where the installation lives and listens
STUDIO_HOME = env.path("STUDIO_HOME", REPOSITORY / "var")
STUDIO_BIND = env.text("STUDIO_BIND", "127.0.0.1")
STUDIO_PORT = env.integer("STUDIO_PORT", 8000, minimum=1, maximum=65535)
STUDIO_TLS_PORT = env.integer("STUDIO_TLS_PORT", 8001, minimum=1, maximum=65535)
GATEWAY_PORT = env.integer("GATEWAY_PORT", 8080, minimum=1, maximum=65535)
GATEWAY_TLS_PORT = env.integer("GATEWAY_TLS_PORT", 8443, minimum=1, maximum=65535)
STUDIO_HOSTNAME = env.text("STUDIO_HOSTNAME", "localhost")
STUDIO_REGION = env.text("STUDIO_REGION", "local")
STUDIO_DOMAIN = env.text("STUDIO_DOMAIN", "localhost")
STUDIO_SAMPLE = env.boolean("STUDIO_SAMPLE", True)

# --- what instances may have
STUDIO_STRICT_PYTHON = env.boolean("STUDIO_STRICT_PYTHON", False)
STUDIO_QUOTA_VCPU = env.integer("STUDIO_QUOTA_VCPU", 64, minimum=1, maximum=1_000_000)
STUDIO_MAX_REQUEST_BYTES = env.integer("STUDIO_MAX_REQUEST_BYTES", 10 * 1024 * 1024, minimum=1024, maximum=2**31 - 1)
STUDIO_MAX_UPLOAD_BYTES = env.integer("STUDIO_MAX_UPLOAD_BYTES", 4 * 1024**3, minimum=1024, maximum=2**40)
STUDIO_LOG_BYTES = env.integer("STUDIO_LOG_BYTES", 10 * 1024 * 1024, minimum=64 * 1024, maximum=2**31 - 1)
COMPUTE_DRIVERS = {"local": "deployments.compute.local.LocalDriver"}
COMPUTE_DRIVER = "local"

# --- how long metrics are kept
STUDIO_MINUTE_METRICS_DAYS = env.integer("STUDIO_MINUTE_METRICS_DAYS", 14, minimum=1, maximum=3_650)
STUDIO_HOUR_METRICS_DAYS = env.integer("STUDIO_HOUR_METRICS_DAYS", 400, minimum=7, maximum=3_650)
STUDIO_DAY_METRICS_DAYS = env.integer("STUDIO_DAY_METRICS_DAYS", 3_650, minimum=31, maximum=36_500)

# --- secrets
SECRET_KEY = (
    env.text("STUDIO_SECRET_KEY") or ensure_secret(STUDIO_HOME / "secrets" / "django.key", random_text).decode()
)
FIELD_ENCRYPTION_KEY = (
    env.text("STUDIO_FIELD_KEY").encode()
    or ensure_secret(STUDIO_HOME / "secrets" / "fields.key", encryption_key).strip()
)

# --- Django
DEBUG = env.boolean("STUDIO_DEBUG", False)
ALLOWED_HOSTS = [
    host for host in env.text("STUDIO_ALLOWED_HOSTS", f"localhost,127.0.0.1,[::1],{STUDIO_HOSTNAME}").split(",") if host
]
CSRF_TRUSTED_ORIGINS = [
    f"https://{host}:{STUDIO_TLS_PORT}" for host in ALLOWED_HOSTS if not host.startswith((".", "*"))
]
ROOT_URLCONF = "studio.urls"
WSGI_APPLICATION = "studio.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "template_partials",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "heroicons",
    "studio",
    "workspaces",
    "endpoints",
    "deployments",
    "gateway",
    "monitoring",
    "api",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "studio.lib.middleware.ContentSecurityPolicy",
    "api.middleware.ArmSpelling",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "studio.lib.middleware.StudioErrors",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [REPOSITORY / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- database: SQLite takes its write lock when a transaction begins, so two writers queue instead of failing
_SQLITE_OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-20000;",
}
DATABASES = {
    "default": dj_database_url.parse(
        env.text("DATABASE_URL") or f"sqlite:///{STUDIO_HOME / 'studio.sqlite3'}", conn_max_age=60
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = _SQLITE_OPTIONS
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

# --- people
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "studio:sign-in"
LOGIN_REDIRECT_URL = "studio:home"
LOGOUT_REDIRECT_URL = "studio:sign-in"
# Cookies are shared by every port of a host: two installations side by side must not sign each other out.
SESSION_COOKIE_NAME = f"studio_session_{STUDIO_PORT}"
CSRF_COOKIE_NAME = f"studio_csrf_{STUDIO_PORT}"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- static files
STATIC_URL = "/static/"
STATIC_ROOT = STUDIO_HOME / "static"
STATICFILES_DIRS = [REPOSITORY / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "monitoring.finders.PlotlyFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
FILE_UPLOAD_TEMP_DIR = STUDIO_HOME / "tmp"
FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 2000

# --- the API
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["api.authentication.PersonalToken"],
    "DEFAULT_PERMISSION_CLASSES": ["api.authentication.Authenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "api.errors.handle",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Endpoint Studio",
    "DESCRIPTION": "The resources of Azure Machine Learning's managed online endpoints, served by this studio.",
    "VERSION": "2024-10-01",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": ["api.schema.say_the_same_everywhere"],
    "SERVE_AUTHENTICATION": ["rest_framework.authentication.SessionAuthentication"],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- Celery
REDIS_URL = env.text("REDIS_URL") or f"redis+socket://{STUDIO_HOME / 'run' / 'redis.sock'}"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} [{process}] {name} - {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    # probes are requests too; one line each would drown everything else
    "loggers": {"httpx": {"level": "WARNING"}, "httpcore": {"level": "WARNING"}},
}
SILENCED_SYSTEM_CHECKS: list[str] = []
