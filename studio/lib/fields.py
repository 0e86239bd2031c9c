"""Columns that are encrypted at rest."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.db import models


@lru_cache(maxsize=4)
def _cipher(key: bytes) -> Fernet:
    return Fernet(key)


def encrypt(text: str) -> str:
    """Fernet ciphertext of `text` under the installation's key; a different one each time."""
    return _cipher(settings.FIELD_ENCRYPTION_KEY).encrypt(text.encode()).decode()


def decrypt(ciphertext: str) -> str:
    """The text `encrypt` was given. Raises cryptography.fernet.InvalidToken under another key."""
    return _cipher(settings.FIELD_ENCRYPTION_KEY).decrypt(ciphertext.encode()).decode()


class EncryptedTextField(models.TextField):
    """Text that only a process holding the installation's key can read. Cannot be filtered on."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return decrypt(value) if value else value

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(value) if value else value


if TYPE_CHECKING:
    _AnyTextField = models.TextField[Any, Any]
else:
    _AnyTextField = models.TextField


class EncryptedJSONField(_AnyTextField):
    """A JSON value that only a process holding the installation's key can read. Cannot be filtered on."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return json.loads(decrypt(value)) if value else {}

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(json.dumps(value, sort_keys=True)) if value else ""
