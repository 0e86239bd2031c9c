"""The sample endpoint of the first start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from django.core.management import get_commands

from endpoints.models import Endpoint
from endpoints.queries import scoring_uri
from studio.run.people import Credentials
from studio.run.places import Places

COMMAND = "deploy_sample"
ENDPOINT = "churn"
WANTED, DONE, DECLINED = "wanted", "done", "declined"


def decide(places: Places, *, is_first_start: bool, is_wanted: bool) -> None:
    """On the first start, note whether the sample is to be deployed; a later start does not change that."""
    if is_first_start or not places.sample_state.exists():
        places.sample_state.write_text(WANTED if is_first_start and is_wanted else DECLINED)


def is_due(places: Places) -> bool:
    """Whether it is wanted and not there yet: also when an earlier start was stopped in the middle of it."""
    return places.sample_state.read_text() == WANTED and COMMAND in get_commands()


def deploy(
    places: Places,
    credentials: Credentials,
    *,
    repository: Path,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> bool:
    """Run the command that deploys it, passing on each line it prints; False when it failed (the next start tries again)."""
    command = [sys.executable, str(repository / "manage.py"), COMMAND]
    with subprocess.Popen(
        command, cwd=repository, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                say(f"sample: {line.rstrip()}")
        except BaseException:
            process.terminate()
            raise
    endpoint = Endpoint.objects.filter(name=ENDPOINT).first()
    if process.returncode != 0 or endpoint is None:
        say(f"The sample could not be deployed (exit code {process.returncode}); the next start tries again.")
        return False
    credentials.sample_scoring_uri = scoring_uri(endpoint)
    credentials.sample_key = endpoint.primary_key
    credentials.write(places)
    places.sample_state.write_text(DONE)
    return True
