from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from pytest_django.fixtures import Settings

from studio.checks import TAG


@pytest.mark.parametrize(
    ("name", "value", "identifier"),
    [
        ("STUDIO_BIND", "here", "studio.E001"),
        ("GATEWAY_PORT", 8000, "studio.E002"),
        ("STUDIO_HOSTNAME", "http://studio", "studio.E003"),
        ("STUDIO_REGION", "West Europe", "studio.E004"),
        ("STUDIO_DOMAIN", "exa_mple", "studio.E005"),
        ("ALLOWED_HOSTS", ["elsewhere.example"], "studio.E006"),
        ("FIELD_ENCRYPTION_KEY", b"short", "studio.E007"),
        ("REDIS_URL", "amqp://localhost", "studio.E009"),
        ("DEBUG", True, "studio.W001"),
    ],
)
def test_a_setting_that_cannot_work_is_named_with_a_way_out(
    settings: Settings, name: str, value: Any, identifier: str
) -> None:
    setattr(settings, name, value)
    found = [problem for problem in run_checks(tags=[TAG]) if problem.id == identifier]
    assert len(found) == 1
    assert found[0].hint


def test_a_database_of_another_kind_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.mysql")
    assert [problem.id for problem in run_checks(tags=[TAG])] == ["studio.E008"]


def test_the_defaults_are_in_order() -> None:
    assert run_checks(tags=[TAG]) == []
