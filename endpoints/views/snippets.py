"""Commands that score when pasted. Pure but for the settings."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from django.conf import settings

from endpoints.models import AuthMode, Endpoint
from endpoints.pretty import pretty_json
from endpoints.queries import scoring_uri
from endpoints.scoring import PIN_HEADER

SAMPLE_TAG = "sample_request"
_GENERIC_SAMPLE = {"data": [[1, 2, 3]]}


def ca_file() -> Path:
    """The certificate of the installation's own authority, which signed the gateway's."""
    return Path(getattr(settings, "STUDIO_CA_FILE", settings.STUDIO_HOME / "tls" / "ca.crt"))


def placeholder(endpoint: Endpoint) -> str:
    """What stands for the credential where it must not be shown."""
    return "$KEY" if endpoint.auth_mode == AuthMode.KEY else "$TOKEN"


def sample_body(endpoint: Endpoint) -> str:
    """A request the model understands: its tag `sample_request`, when the serving model version has one."""
    deployments: Any = endpoint.deployments
    serving = deployments.filter(serving_revision__model_version__isnull=False).values_list(
        "serving_revision__model_version__tags", flat=True
    )
    for tags in serving:
        try:
            return pretty_json(json.loads(tags[SAMPLE_TAG]))
        except (KeyError, TypeError, ValueError):
            continue
    return json.dumps(_GENERIC_SAMPLE)


def curl(endpoint: Endpoint, *, body: str, credential: str = "", deployment: str = "") -> str:
    """A curl command for a POSIX shell. Without a credential it takes $KEY or $TOKEN from the shell."""
    bearer = credential or placeholder(endpoint)
    quoted = (
        f'"Authorization: Bearer {bearer}"' if bearer.startswith("$") else _quote(f"Authorization: Bearer {bearer}")
    )
    parts = [f"curl --cacert {_quote(str(ca_file()))}", f"-H {quoted}", "-H 'Content-Type: application/json'"]
    if deployment:
        parts.append(f"-H '{PIN_HEADER}: {deployment}'")
    parts += [f"-d {_quote(_compact(body))}", _quote(scoring_uri(endpoint))]
    return " \\\n  ".join(parts)


def python(endpoint: Endpoint, *, body: str, credential: str = "") -> str:
    """A Python script that needs nothing but the standard library."""
    name = placeholder(endpoint).removeprefix("$")
    value = repr(credential) if credential else f'os.environ["{name}"]'
    lines = [
        "import json" if credential else "import json\nimport os",
        "import ssl",
        "import urllib.request",
        "",
        f"credential = {value}",
        "request = urllib.request.Request(",
        f"    {scoring_uri(endpoint)!r},",
        f"    data={_compact(body)!r}.encode(),",
        '    headers={"Content-Type": "application/json", "Authorization": f"Bearer {credential}"},',
        ")",
        f"context = ssl.create_default_context(cafile={str(ca_file())!r})",
        "with urllib.request.urlopen(request, context=context, timeout=60) as response:",
        '    print(response.headers["azureml-model-deployment"], json.load(response))',
    ]
    return "\n".join(lines) + "\n"


def _compact(body: str) -> str:
    try:
        return json.dumps(json.loads(body), ensure_ascii=False)
    except ValueError:
        return body


def _quote(text: str) -> str:
    """In single quotes always, so that a command looks the same whatever is in it."""
    quoted = shlex.quote(text)
    return quoted if quoted.startswith("'") else f"'{quoted}'"
