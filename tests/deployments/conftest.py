import pytest

from deployments.reconcile import instances, steps
from tests.contract.fakes import FakeDriver
from tests.deployments.world import World, make_world, staged


@pytest.fixture
def make(db, monkeypatch, settings):
    """`make(FakeDriver…)`: a world run by that driver; queued work is left to the test's turns."""

    def build(driver: FakeDriver | None = None) -> World:
        driver = driver or FakeDriver()
        for module in (instances, steps):
            monkeypatch.setattr(module, "get_driver", lambda name="": driver)
        monkeypatch.setattr(steps.staging, "stage", staged)
        world = make_world(driver)
        monkeypatch.setattr(instances, "probe_many", world.answer)
        return world

    return build


@pytest.fixture
def world(make) -> World:
    return make()
