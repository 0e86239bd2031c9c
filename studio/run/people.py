"""The first administrator, workspace and access token, and the one file that names them in clear: credentials.json."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction

from deployments.compute.places import write_private
from studio.run.places import Places
from workspaces.models import AccessToken, Workspace
from workspaces.services.people import create_access_token, create_workspace

FIRST_USER = "admin"
FIRST_WORKSPACE = "main"
TOKEN_NAME = "credentials.json"


@dataclass
class Credentials:
    """The content of credentials.json. What is not known is empty: a password that was changed, a sample that is not there."""

    studio_url: str = ""
    studio_tls_url: str = ""
    gateway_url: str = ""
    gateway_tls_url: str = ""
    ca_file: str = ""
    username: str = ""
    password: str = ""
    token: str = ""
    subscription_id: str = ""
    resource_group: str = ""
    workspace: str = ""
    sample_scoring_uri: str = ""
    sample_key: str = ""

    @classmethod
    def read(cls, places: Places) -> Credentials:
        """What an earlier start wrote; all empty when there is no such file."""
        try:
            found = json.loads(places.credentials.read_text())
        except FileNotFoundError:
            return cls()
        return cls(**{name: str(found.get(name, "")) for name in cls.__dataclass_fields__})

    def write(self, places: Places) -> None:
        write_private(str(places.credentials), json.dumps(asdict(self), indent=2) + "\n")


def ensure_people(credentials: Credentials, places: Places) -> bool:
    """Make the administrator, the first workspace and a token where they are missing, and write `credentials`.

    True when this database had no administrator before. A password is made once; one that was changed since is left out.
    """
    with transaction.atomic():
        user, is_first = _ensure_user(credentials)
        workspace = _ensure_workspace(user)
        credentials.subscription_id = workspace.subscription_id
        credentials.resource_group = workspace.resource_group
        credentials.workspace = workspace.name
        if not _is_valid(credentials.token):
            _, credentials.token = create_access_token(user=user, name=TOKEN_NAME, can_write=True, days=None)
        # Before the commit: cut short here, the next start makes both again; the other way round nobody would know the password.
        credentials.write(places)
    return is_first


def _ensure_user(credentials: Credentials) -> tuple[Any, bool]:
    User = get_user_model()
    user = User.objects.filter(is_superuser=True).order_by("pk").first()
    if user is not None:
        credentials.username = user.get_username()
        if credentials.password and not user.check_password(credentials.password):
            credentials.password = ""
        return user, False
    credentials.username, credentials.password = FIRST_USER, secrets.token_urlsafe(18)
    return User.objects.create_superuser(FIRST_USER, password=credentials.password), True


def _ensure_workspace(user: Any) -> Workspace:
    return Workspace.objects.order_by("pk").first() or create_workspace(name=FIRST_WORKSPACE, by=user)


def _is_valid(text: str) -> bool:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return AccessToken.objects.filter(token_sha256=digest, revoked_at__isnull=True).exists()
