"""The official client as a program of its own: a child process in its own environment executes what it is sent."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from pathlib import Path
from typing import Any

from tests.stack import REPOSITORY, Studio

PRELUDE = """
import os, time
from azure.ai.ml import MLClient
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import (
    CodeConfiguration, DataCollector, DeploymentCollection, Environment, ManagedOnlineDeployment, ManagedOnlineEndpoint, Model,
    OnlineRequestSettings, ProbeSettings)
"""

BY_ENVIRONMENT = """
from azure.identity import DefaultAzureCredential
ml = MLClient(DefaultAzureCredential(), os.environ["SUBSCRIPTION"], os.environ["GROUP"], os.environ["WORKSPACE"])
"""

EXPLICIT = """
from azure.core.credentials import AccessToken

class StaticToken:
    def get_token(self, *scopes, **kwargs):
        return AccessToken(os.environ["IDENTITY_HEADER"], int(time.time()) + 86400)

url = os.environ["STUDIO"]
ml = MLClient(
    StaticToken(), os.environ["SUBSCRIPTION"], os.environ["GROUP"], os.environ["WORKSPACE"], cloud="Studio",
    enable_telemetry=False, cloud_metadata={
        "resource_manager": url, "azure_portal": url, "active_directory": url, "aml_resource_id": url,
        "registry_discovery_endpoint": url, "storage_endpoint": url.removeprefix("https://")})
"""

LOOP = """
import json, os, sys
names = {}
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    names["result"] = None
    try:
        exec(json.loads(line), names)
        answer = {"result": names["result"]}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer, default=str), file=answers, flush=True)
"""


class Sdk:
    """`Sdk(…).run("result = ml.models.list()")`: what `result` is afterwards, as JSON would have it."""

    def __init__(self, studio: Studio, python: Path, folder: Path, construction: str) -> None:
        known = studio.credentials
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("STUDIO_", "PYTEST_"))}
        environment = inherited | {
            "REQUESTS_CA_BUNDLE": known["ca_file"],
            "ARM_CLOUD_METADATA_URL": f"{known['studio_tls_url']}/metadata/endpoints?api-version=2019-05-01",
            "IDENTITY_ENDPOINT": f"{known['studio_tls_url']}/msi/token",
            "IDENTITY_HEADER": known["token"],
            "STUDIO": known["studio_tls_url"],
            "SUBSCRIPTION": known["subscription_id"],
            "GROUP": known["resource_group"],
            "WORKSPACE": known["workspace"],
        }
        if construction == EXPLICIT:
            environment.pop("ARM_CLOUD_METADATA_URL")
        self.messages = folder / "client.log"
        with self.messages.open("ab") as messages:
            self.process = subprocess.Popen(
                [str(python), "-W", "ignore", "-u", "-c", LOOP],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                text=True,
            )
        self.run(PRELUDE)
        self.run(construction)

    def run(self, code: str) -> Any:
        """Raises AssertionError with the words of what was raised in the client."""
        answer = self.answer(code)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def refused(self, code: str) -> str:
        """The words of the error that this must raise."""
        answer = self.answer(code)
        assert "error" in answer, f"It was taken: {answer}"
        words: str = answer["error"]
        return words

    def answer(self, code: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(textwrap.dedent(code)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.messages.read_text(errors="replace")[-3000:]
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self.process.communicate(timeout=10)


def install(uv: Path, folder: Path) -> Path:
    """An environment with the official client below `folder`; returns its Python."""
    environment = folder / "client"
    subprocess.run([uv, "venv", "--quiet", "--python", "3.11", environment], check=True)
    python = environment / "bin" / "python"
    requirements = REPOSITORY / "tests" / "journeys" / "requirements-sdk.txt"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "-r", requirements], check=True)
    return python
