"""Carrying out environment builds; the builder itself is replaced where its failures are wanted."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.factories import make_workspace
from workspaces import building, leases
from workspaces.builds.builder import BuildResult
from workspaces.builds.errors import BuildFailed
from workspaces.models import Activity, EnvironmentBuild
from workspaces.services.environments import create_environment_version, ensure_build_wanted, rebuild

pytestmark = pytest.mark.django_db


@pytest.fixture
def queued(cast, monkeypatch):
    monkeypatch.setattr(building, "ensure_runtime", lambda *args, **kwargs: Path("/runtime"))
    version = create_environment_version(
        workspace=cast.workspace, name="env", by=cast.alice, pip_requirements="six\n", build_now=False
    )
    return version.build


def built(**changes: Any) -> BuildResult:
    values: dict[str, Any] = {
        "hash": "abc",
        "path": Path("/home/environments/abc/venv"),
        "python": Path("/home/environments/abc/venv/bin/python"),
        "python_used": "3.11.9",
        "base_prefix": "/usr",
        "substitution": "",
        "packages": (("six", "1.16.0"),),
        "size_bytes": 1000,
        "seconds": {},
        "warnings": (),
        "is_shared": False,
    }
    return BuildResult(**(values | changes))


def state(build):
    return EnvironmentBuild.objects.get(pk=build.pk).state


def test_a_queued_build_is_carried_out_and_remembered(queued, monkeypatch):
    monkeypatch.setattr(building, "build", lambda spec, **_: built(substitution="3.11 instead of 3.8"))
    building.carry_out(queued.pk)
    row = EnvironmentBuild.objects.get(pk=queued.pk)
    assert (row.state, row.python_used, row.packages) == ("Succeeded", "3.11.9", [["six", "1.16.0"]])
    assert row.substitution == "3.11 instead of 3.8"
    assert row.lease_until is None
    assert Activity.objects.filter(verb="environment built").exists()


def test_a_failed_build_keeps_the_line_the_cause_and_the_remedy(queued, monkeypatch):
    def fails(spec, **_):
        raise BuildFailed(
            "no such package", kind="unknown_package", line=1, probable_cause="a typo", hint="Correct it."
        )

    monkeypatch.setattr(building, "build", fails)
    building.carry_out(queued.pk)
    row = EnvironmentBuild.objects.get(pk=queued.pk)
    assert (row.state, row.code, row.error_line) == ("Failed", "ImageBuildFailure", 1)
    assert (row.message, row.error_text, row.hint) == ("no such package", "a typo", "Correct it.")


def test_a_build_that_somebody_holds_is_left_to_them(queued, monkeypatch):
    monkeypatch.setattr(building, "build", lambda spec, **_: pytest.fail("built twice"))
    EnvironmentBuild.objects.filter(pk=queued.pk).update(
        lease_holder="elsewhere:1:1.00", lease_until=timezone.now() + timedelta(seconds=30)
    )
    building.carry_out(queued.pk)
    assert state(queued) == "Queued"


def test_a_build_whose_worker_died_is_queued_again(queued, monkeypatch):
    class Killed(BaseException):
        pass

    def dies(spec, **_):
        raise Killed

    monkeypatch.setattr(building, "build", dies)
    monkeypatch.setattr(leases, "release", lambda *args, **kwargs: None)
    with pytest.raises(Killed):
        building.carry_out(queued.pk)
    assert state(queued) == "Running"
    host = leases.this_process().split(":")[0]
    EnvironmentBuild.objects.filter(pk=queued.pk).update(lease_holder=f"{host}:1:0.00")
    assert building.builds_with_work() == [queued.pk]
    assert state(queued) == "Queued"


def test_the_same_content_is_built_once_for_all(cast, queued):
    other = make_workspace("other", owner=cast.alice)
    version = create_environment_version(
        workspace=other, name="twin", by=cast.alice, pip_requirements="# a comment\nsix\n", build_now=False
    )
    assert version.build == queued


def test_a_failed_build_is_tried_again_when_somebody_needs_it(queued, monkeypatch):
    def fails(spec, **_):
        raise BuildFailed("the network", kind="network")

    monkeypatch.setattr(building, "build", fails)
    building.carry_out(queued.pk)
    ensure_build_wanted(build=EnvironmentBuild.objects.get(pk=queued.pk))
    assert state(queued) == "Queued"


def test_rebuilding_what_is_under_way_changes_nothing(cast, queued):
    rebuild(build=queued, by=cast.alice)
    assert state(queued) == "Queued"
    assert not Activity.objects.filter(verb="environment build queued again").exists()


def test_an_environment_gone_from_disk_is_built_again_when_asked_for(queued, monkeypatch, tmp_path):
    monkeypatch.setattr(building, "build", lambda spec, **_: built(python=tmp_path / "gone" / "python"))
    building.carry_out(queued.pk)
    assert building.requeue_what_is_gone() == 1
    assert state(queued) == "Queued"
