"""`manage.py deploy_sample`: see deployments/sample.py."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from deployments.sample import deploy_sample
from studio.lib.errors import StudioError
from workspaces.models import Workspace


class Command(BaseCommand):
    help = "Deploy the sample endpoint 'churn' with blue and green, split 90/10. Safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", default="main", help="name of the workspace (default: main)")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.filter(name=options["workspace"]).first()
        by = get_user_model().objects.filter(is_superuser=True).order_by("pk").first()
        if workspace is None or by is None:
            raise CommandError(f"There is no workspace '{options['workspace']}' or no administrator yet.")
        try:
            deploy_sample(workspace=workspace, by=by, say=lambda line: self.stdout.write(line))
        except StudioError as error:
            raise CommandError(f"{error.message} {error.hint}".strip()) from error
