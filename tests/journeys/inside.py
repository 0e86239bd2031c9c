"""Call services inside a running installation: a child process set up for its home executes what it is sent, line by line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any

from tests.stack import REPOSITORY, Studio

PRELUDE = """
import io
from dataclasses import replace
from deployments.models import Deployment, Instance, InstanceType
from deployments.services.deployments import (
    create_deployment, delete_deployment, scale_deployment, update_deployment)
from deployments.services.revisions import RevisionSpec, spec_of
from endpoints.models import Endpoint
from endpoints.services import create_endpoint, delete_endpoint, set_traffic
from workspaces.models import EnvironmentVersion, Operation, Workspace
from workspaces.services.assets import register_code, register_model
from workspaces.services.environments import create_environment_version
from django.contrib.auth import get_user_model
user = get_user_model().objects.filter(is_superuser=True)[0]
workspace = Workspace.objects.get(name="main")

def deployment(name, endpoint="churn"):
    return Deployment.objects.select_related("endpoint__workspace").get(endpoint__name=endpoint, name=name)

def told(operation):
    steps = [[step.name, step.state] for step in operation.steps.all()]
    return {"id": str(operation.id), "state": operation.state, "code": operation.code, "message": operation.message,
            "cause": operation.cause, "hint": operation.hint, "log_lines": operation.log_lines, "steps": steps}
"""

LOOP = """
import json, os, sys
import django
django.setup()
names = {}
exec(sys.argv[1], names)
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


class Inside:
    """`Inside(studio).run("result = …")`: what `result` is afterwards, as JSON would have it."""

    def __init__(self, studio: Studio) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("STUDIO_", "PYTEST_"))}
        environment = inherited | studio.environment | {"DJANGO_SETTINGS_MODULE": "studio.settings"}
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", LOOP, PRELUDE],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str) -> Any:
        """Raises AssertionError with the words of what was raised inside."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(textwrap.dedent(code)) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def finish(self, code: str, seconds: float = 120.0) -> dict[str, Any]:
        """Run code that leaves an operation in `result`, and wait until that operation has ended."""
        operation = self.run(f"{textwrap.dedent(code)}\nresult = str(result.id)")
        return self.wait_for(operation, seconds)

    def wait_for(self, operation: str, seconds: float = 120.0) -> dict[str, Any]:
        """The operation once it has ended: state, code, message, cause, hint, log_lines, steps."""
        return until(
            lambda: self.run(f"result = told(Operation.objects.get(pk='{operation}'))"),
            lambda told: told["state"] != "InProgress",
            seconds,
        )

    def close(self) -> None:
        self.process.communicate(timeout=10)


def until(look: Callable[[], Any], is_so: Callable[[Any], bool], seconds: float = 60.0) -> Any:
    """What `look` sees as soon as `is_so` of it. Raises AssertionError with the last sight."""
    deadline = time.monotonic() + seconds
    while not is_so(seen := look()):
        assert time.monotonic() < deadline, f"Not within {seconds:.0f} s; last seen: {seen}"
        time.sleep(0.05)
    return seen
