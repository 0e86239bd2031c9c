"""Logs of instances, also of those that have ended."""

import pytest

from deployments.compute.contract import DriverUnavailable
from tests.deployments.pages import PART, address, blue, creating, failed, text
from tests.factories import signed_in

POLLS = 'hx-trigger="every 2s"'


class Driver:
    """Hands out lines that name what was asked."""

    def logs(self, name, tail_lines=500, container="inference-server"):
        return [f"{container} of {name}, {tail_lines} lines", "<b>bold</b>"]


class DriverThatDoesNotAnswer:
    def logs(self, name, tail_lines=500, container="inference-server"):
        raise DriverUnavailable("supervisord does not answer")


@pytest.fixture
def driver(monkeypatch):
    monkeypatch.setattr("deployments.views.logs.get_driver", lambda name="": Driver())


@pytest.mark.usefixtures("driver")
def test_the_newest_instance_is_followed(cast):
    deployment = blue(cast)
    name = deployment.instances.get().name
    client = signed_in(cast.bob)
    page = text(client.get(address("logs", deployment)))
    assert f"inference-server of {name}, 500 lines" in page
    assert "&lt;b&gt;bold" in page
    assert POLLS in page
    part = text(client.get(address("logs", deployment), headers=PART))
    assert part.strip().startswith("<section")


@pytest.mark.usefixtures("driver")
def test_an_ended_instance_still_has_its_log_and_is_not_polled(cast):
    deployment = failed(cast)
    given = {"instance": deployment.instances.get().name, "container": "storage-initializer", "lines": "100"}
    page = text(signed_in(cast.bob).get(address("logs", deployment), given))
    assert f"storage-initializer of {given['instance']}, 100 lines" in page
    assert POLLS not in page


def test_nothing_started_yet_says_so(cast):
    deployment, _ = creating(cast)
    deployment.instances.all().delete()
    assert "Nothing was started yet" in text(signed_in(cast.bob).get(address("logs", deployment)))


def test_compute_that_does_not_answer_is_a_sentence(cast, monkeypatch):
    monkeypatch.setattr("deployments.views.logs.get_driver", lambda name="": DriverThatDoesNotAnswer())
    page = text(signed_in(cast.bob).get(address("logs", blue(cast))))
    assert "supervisord does not answer" in page


@pytest.mark.usefixtures("driver")
def test_unknown_names_are_refused(cast):
    deployment = blue(cast)
    client = signed_in(cast.bob)
    assert client.get(address("logs", deployment), {"instance": "nobody"}).status_code == 404
    assert client.get(address("logs", deployment), {"container": "sidecar"}).status_code == 400
    assert client.get(address("logs", deployment), {"lines": "9e9"}).status_code == 200
    assert signed_in(cast.charlie).get(address("logs", deployment)).status_code == 404
