"""What supervisord and every part find in their environment: the studio's own variables, and what any program needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_PREFIXES = ("STUDIO_", "GATEWAY_", "UV_", "PIP_", "LC_", "SSL_CERT_", "XDG_")
_NAMES = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH"}
_NAMES |= {"DATABASE_URL", "DATABASE_URL_FILE", "REDIS_URL", "REDIS_URL_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
_PROXIES = {"http_proxy", "https_proxy", "no_proxy", "all_proxy"}


def for_parts(own: Mapping[str, str], *, home: Path) -> dict[str, str]:
    """`own` reduced to what parts need. Secrets travel here, never in arguments or files."""
    kept = {
        name: value
        for name, value in own.items()
        if name in _NAMES or name.lower() in _PROXIES or name.startswith(_PREFIXES)
    }
    for name in ("STUDIO_HOME_FILE", "STUDIO_PART"):
        kept.pop(name, None)
    return kept | {
        # Parts have a working directory of their own: what was relative is not any more.
        "STUDIO_HOME": str(home),
        "DJANGO_SETTINGS_MODULE": "studio.settings",
        "PYTHONUNBUFFERED": "1",
    }
