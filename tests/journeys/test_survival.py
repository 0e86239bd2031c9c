"""Processes are killed; nothing is lost, stuck or untrue."""

import os
import signal
import time

import pytest

from bench.load import Load
from tests.journeys.inside import until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

REQUEST = {"data": [[12, 29.85, 358.20, 1, 0]]}
CONTROL_PLANE = ("web", "worker-operations", "worker-ticks", "worker-builds", "beat", "redis")
STEPS = ["Building environment", "Fetching model", "Starting instances", "Waiting for readiness", "Routing"]


def uri(studio):
    return f"{studio.gateway_url}/endpoints/churn/score"


def ready(inside, name="blue"):
    return inside.run(f"result = deployment('{name}').instances.filter(state='Ready', routed='traffic').count()")


def test_scoring_goes_on_without_the_control_plane_and_all_is_as_wanted_soon_after_it_is_back(studio, inside):
    key = studio.credentials["sample_key"]
    with Load(uri(studio), key, REQUEST, threads=2, pause_seconds=0.01) as load:
        for part in CONTROL_PLANE:
            studio.supervisor.stop(part)
        studio.until(lambda: not studio.pids().keys() & set(CONTROL_PLANE), 30.0)
        before = load.tally.total
        time.sleep(2)
        assert load.tally.total > before
        for part in reversed(CONTROL_PLANE):
            studio.supervisor.start(part)
        began = time.monotonic()
        studio.until(studio.is_healthy, 30.0)
        until(lambda: ready(inside), lambda count: count == 1, 30.0)
        assert time.monotonic() - began < 30
    assert load.tally.failures == []


def test_a_killed_instance_comes_back_by_itself_and_costs_at_most_what_was_in_flight(studio, inside):
    key = studio.credentials["sample_key"]
    inside.finish("result = scale_deployment(deployment=deployment('blue'), instance_count=2, by=user)")
    threads = 4
    with Load(uri(studio), key, REQUEST, threads=threads) as load:
        victim = inside.run("result = deployment('blue').instances.filter(state='Ready').first().name")
        time.sleep(1)
        pids = {pid for name, pid in studio.pids().items() if victim in name}
        assert pids, studio.pids()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        time.sleep(2)
        until(lambda: ready(inside), lambda count: count == 2, 30.0)
        time.sleep(1)
    assert len(load.tally.failures) <= threads, load.tally.failures
    restarts = inside.run(f"result = Instance.objects.get(name='{victim}').restarts")
    assert restarts >= 1
    inside.finish("result = scale_deployment(deployment=deployment('blue'), instance_count=1, by=user)")


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_in_a_step_does_not_keep_the_operation_from_completing(studio, inside, step):
    name = "k" + str(STEPS.index(step)) + "x"
    operation = inside.run(f"""
        operation = create_deployment(endpoint=deployment("blue").endpoint, name="{name}", by=user,
                                      wanted=spec_of(deployment("blue").serving_revision))
        result = str(operation.id)
    """)
    position = STEPS.index(step)

    def reached(told):
        states = dict(map(tuple, told["steps"]))
        return states[step] in ("Running", "Succeeded") or any(states[later] != "Waiting" for later in STEPS[position:])

    until(lambda: inside.run(f"result = told(Operation.objects.get(pk='{operation}'))"), reached, 30.0)
    studio.kill("worker-operations")
    told = inside.wait_for(operation, 90.0)
    assert told["state"] == "Succeeded", told
    inside.finish(f"result = delete_deployment(deployment=deployment('{name}'), by=user)")


@pytest.mark.parametrize("part", ["redis", "envoy", "beat", "worker-ticks", "web"])
def test_a_killed_part_comes_back(studio, part):
    old = studio.kill(part)
    studio.until(lambda: studio.pids().get(part) not in (None, old), 30.0)
    studio.until(studio.is_healthy, 60.0)


def test_after_all_that_a_deployment_still_succeeds(studio, inside):
    told = inside.finish("""
        result = create_deployment(endpoint=deployment("blue").endpoint, name="last", by=user,
                                   wanted=spec_of(deployment("blue").serving_revision))
    """)
    assert told["state"] == "Succeeded"
