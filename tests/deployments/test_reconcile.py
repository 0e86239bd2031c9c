"""The reconciler run by hand, against fakes named after what they do."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from deployments.models import Deployment, Instance
from deployments.reconcile import machine, steps, watch
from deployments.services.deployments import (
    cancel_operation,
    delete_deployment,
    scale_deployment,
    update_deployment,
)
from endpoints.models import Endpoint
from endpoints.queries import current_traffic
from endpoints.services import delete_endpoint, set_traffic
from studio.lib.errors import Conflict, InUse, OperationInProgress, OutOfQuota
from tests.contract.fakes import (
    FakeDriver,
    FakeDriverThatCrashesOnStart,
    FakeDriverThatIsUnavailableAtFirst,
    FakeDriverThatKeepsCrashing,
    FakeDriverThatLosesAnInstance,
    FakeDriverThatRefusesTheSpec,
    FakeDriverThatRunsOutOfMemory,
)
from tests.deployments.world import make_environment
from workspaces import leases
from workspaces.models import Activity, Operation

pytestmark = pytest.mark.django_db

LONGER = {"request_timeout_ms": 9000}


def longer(spec):
    return replace(spec, **LONGER)


def test_a_deployment_goes_through_its_steps_and_succeeds(world):
    deployment = world.ready()
    operation = world.operation(deployment)
    assert operation.state == Operation.State.SUCCEEDED
    assert [step.state for step in operation.steps.all()] == ["Succeeded"] * 6
    assert deployment.serving_revision.number == 1
    instance = deployment.instances.get()
    assert (instance.state, instance.routed, instance.is_admitted) == ("Ready", "traffic", True)


def test_an_instance_gets_no_traffic_before_every_instance_of_its_revision_is_ready(world):
    deployment = world.deploy(instance_count=2)
    world.unready = 1
    world.settle(deployment)
    assert world.states(deployment) == ["Ready", "Starting"]
    assert not deployment.instances.filter(is_admitted=True).exists()
    world.unready = 0
    world.settle(deployment)
    assert deployment.instances.filter(is_admitted=True, routed="traffic").count() == 2


def test_it_is_not_succeeded_before_the_gateway_has_it(world):
    world.gateway_works = False
    deployment = world.deploy()
    world.settle(deployment)
    deployment.refresh_from_db()
    assert deployment.state == Deployment.State.CREATING
    assert "0 of 1" in world.operation(deployment).steps.get(name="Routing").message
    world.gateway_works = True
    world.settle(deployment)
    deployment.refresh_from_db()
    assert deployment.state == Deployment.State.SUCCEEDED


def test_a_second_operation_is_refused_while_one_runs(world):
    deployment = world.deploy()
    with pytest.raises(OperationInProgress, match="create deployment is still running"):
        scale_deployment(deployment=deployment, instance_count=2, by=world.user)


def test_of_two_workers_one_takes_steps_and_the_other_leaves_it(world):
    deployment = world.deploy()
    assert leases.take(Deployment, deployment.pk)
    assert machine.reconcile(deployment.pk) is None
    assert world.operation(deployment).steps.first().state == "Waiting"


def test_the_lease_of_a_dead_process_is_nobodys(world):
    deployment = world.deploy()
    host = leases.this_process().split(":")[0]
    until = timezone.now() + timedelta(seconds=30)
    Deployment.objects.filter(pk=deployment.pk).update(lease_holder=f"{host}:1:0.00", lease_until=until)
    assert deployment.pk in watch.deployments_with_work()
    world.settle(deployment)
    deployment.refresh_from_db()
    assert deployment.state == Deployment.State.SUCCEEDED


@pytest.mark.parametrize(
    "name",
    ["check_quota_again", "build_environment", "fetch_model", "start_instances", "wait_for_readiness", "route"],
)
def test_a_worker_killed_in_any_step_loses_nothing(world, monkeypatch, name):
    deployment = world.deploy()

    class Killed(BaseException):
        pass

    original = {key: value for key, value in steps.STEPS.items() if value.__name__ == name}
    key, step = next(iter(original.items()))

    def dies(context):
        step(context)
        raise Killed

    monkeypatch.setitem(steps.STEPS, key, dies)
    with pytest.raises(Killed):
        world.settle(deployment)
    monkeypatch.setitem(steps.STEPS, key, step)
    Deployment.objects.filter(pk=deployment.pk).update(next_step_at=None)
    world.settle(deployment)
    deployment.refresh_from_db()
    assert deployment.state == Deployment.State.SUCCEEDED
    assert len(world.driver.instances) == 1


def test_a_driver_that_does_not_answer_is_waited_for(make):
    world = make(FakeDriverThatIsUnavailableAtFirst())
    deployment = world.ready()
    assert deployment.state == Deployment.State.SUCCEEDED


def test_a_refused_spec_fails_the_operation_with_the_drivers_words(make):
    world = make(FakeDriverThatRefusesTheSpec())
    deployment = world.deploy()
    world.settle(deployment)
    operation = world.operation(deployment)
    assert (operation.state, operation.code) == ("Failed", "BadArgument")
    assert operation.message


@pytest.mark.parametrize("driver", [FakeDriverThatCrashesOnStart, FakeDriverThatKeepsCrashing])
def test_a_script_that_cannot_start_fails_at_its_step_and_leaves_nothing_running(make, driver):
    world = make(driver())
    deployment = world.deploy()
    world.settle(deployment, most=60)
    deployment.refresh_from_db()
    operation = world.operation(deployment)
    assert (deployment.state, deployment.code) == (Deployment.State.FAILED, "ResourceNotReady")
    assert operation.steps.get(state="Failed").name == "Waiting for readiness"
    assert operation.hint
    assert operation.steps.get(name="Routing").state == "Skipped"
    assert not world.driver.instances


def test_an_instance_killed_for_memory_says_so(make):
    world = make(FakeDriverThatRunsOutOfMemory())
    deployment = world.deploy()
    world.settle(deployment, most=60)
    assert "memory" in world.operation(deployment).message


def test_one_that_is_not_ready_in_its_time_fails(world):
    world.spec = replace(world.spec, readiness_probe={"initial_delay": 1, "period": 1, "failure_threshold": 2})
    deployment = world.deploy()
    world.unready = 1
    machine.reconcile(deployment.pk)
    Instance.objects.update(started_at=timezone.now() - timedelta(seconds=4))
    world.settle(deployment)
    operation = world.operation(deployment)
    assert operation.state == Operation.State.FAILED
    assert "within 3 s" in operation.message


def test_a_failed_build_fails_the_operation_with_its_reason(world):
    broken = make_environment(world.endpoint.workspace, world.user, name="broken")
    world.spec = replace(world.spec, environment_version=broken)
    deployment = world.deploy()
    type(broken.build).objects.filter(pk=broken.build_id).update(**{"state": "Failed"})
    world.settle(deployment)
    operation = world.operation(deployment)
    assert (operation.state, operation.code) == ("Failed", "ImageBuildFailure")
    assert "no such package" in operation.message


def test_an_update_starts_the_new_revision_before_it_stops_the_old(world):
    deployment = world.ready()
    old = deployment.instances.get()
    update_deployment(deployment=deployment, by=world.user, change=longer)
    machine.reconcile(deployment.pk)
    assert Instance.objects.get(pk=old.pk).state == "Ready"
    world.settle(deployment)
    deployment.refresh_from_db()
    assert deployment.state == Deployment.State.SUCCEEDED
    assert deployment.serving_revision.number == 2
    assert Instance.objects.get(pk=old.pk).state == "Stopped"
    assert deployment.instances.get(state="Ready").revision_number == 2


def test_a_failed_update_leaves_the_previous_revision_serving(make):
    world = make(FakeDriver())
    deployment = world.ready()
    old = deployment.instances.get()
    update_deployment(deployment=deployment, by=world.user, change=longer)
    world.driver.__class__ = FakeDriverThatCrashesOnStart
    for name, value in vars(FakeDriverThatCrashesOnStart()).items():
        vars(world.driver).setdefault(name, value)
    world.settle(deployment, most=60)
    deployment.refresh_from_db()
    assert deployment.state == Deployment.State.FAILED
    assert deployment.serving_revision.number == 1
    old.refresh_from_db()
    assert (old.state, old.routed) == ("Ready", "traffic")
    assert deployment.instances.filter(state="Ready").count() == 1


def test_a_fixed_revision_succeeds_after_a_failure(make):
    world = make(FakeDriverThatCrashesOnStart())
    deployment = world.deploy()
    world.settle(deployment, most=60)
    world.driver.__class__ = FakeDriver
    update_deployment(deployment=Deployment.objects.get(pk=deployment.pk), by=world.user, change=longer)
    world.settle(deployment)
    deployment.refresh_from_db()
    assert deployment.state == Deployment.State.SUCCEEDED
    assert deployment.serving_revision.number == 2


def test_scaling_out_and_in_again_keeps_the_revision(world):
    deployment = world.ready()
    scale_deployment(deployment=deployment, instance_count=3, by=world.user)
    world.settle(deployment)
    assert world.states(deployment) == ["Ready"] * 3
    scale_deployment(deployment=Deployment.objects.get(pk=deployment.pk), instance_count=1, by=world.user)
    world.settle(deployment)
    assert world.states(deployment) == ["Ready", "Stopped", "Stopped"]
    deployment.refresh_from_db()
    assert (deployment.state, deployment.serving_revision.number) == ("Succeeded", 1)


def test_a_surplus_instance_is_drained_before_it_is_stopped(world):
    deployment = world.ready(instance_count=2)
    scale_deployment(deployment=deployment, instance_count=1, by=world.user)
    world.gateway_works = False
    world.settle(deployment)
    assert world.states(deployment) == ["Draining", "Ready"]
    assert len(world.driver.instances) == 2
    world.gateway_works = True
    world.settle(deployment)
    assert world.states(deployment) == ["Ready", "Stopped"]


def test_count_and_revision_in_one_update_change_the_count_first(world):
    deployment = world.ready()
    update_deployment(deployment=deployment, by=world.user, change=longer, instance_count=2)
    world.settle(deployment)
    steps_taken = [step.name for step in world.operation(deployment).steps.all()]
    assert steps_taken.index("Scaling the serving revision") < steps_taken.index("Starting instances")
    counts = deployment.instances.values_list("revision_number", flat=True)
    assert sorted(counts) == [1, 1, 2, 2]


def test_an_edit_that_changes_nothing_starts_nothing(world):
    deployment = world.ready()
    assert update_deployment(deployment=deployment, by=world.user, change=lambda spec: spec) is None


def test_a_description_is_changed_without_provisioning(world):
    deployment = world.ready()
    assert update_deployment(deployment=deployment, by=world.user, description="better") is None
    deployment.refresh_from_db()
    assert deployment.description == "better"


def test_cancel_stops_the_operation_and_what_it_started(world):
    deployment = world.deploy()
    world.gateway_works = False
    world.settle(deployment, most=3)
    cancel_operation(deployment=deployment, by=world.user)
    world.gateway_works = True
    world.settle(deployment)
    deployment.refresh_from_db()
    assert deployment.state == Deployment.State.CANCELED
    assert world.operation(deployment).code == "OperationCanceled"


def test_nothing_running_cannot_be_cancelled(world):
    deployment = world.ready()
    with pytest.raises(Conflict):
        cancel_operation(deployment=deployment, by=world.user)


def test_a_lost_instance_is_started_again(make):
    world = make(FakeDriverThatLosesAnInstance())
    deployment = world.ready()
    world.driver.lose(deployment.instances.get().name)
    world.settle(deployment)
    assert deployment.pk not in watch.deployments_with_work()
    assert deployment.instances.filter(state="Ready").count() == 1


def test_a_deployment_with_traffic_is_not_deleted(world):
    deployment = world.ready()
    set_traffic(endpoint=world.endpoint, percents={"blue": 100}, by=world.user)
    with pytest.raises(InUse, match="100 %"):
        delete_deployment(deployment=deployment, by=world.user)


def test_a_deleted_deployment_drains_stops_and_leaves_its_history(world):
    deployment = world.ready()
    delete_deployment(deployment=deployment, by=world.user)
    world.settle(deployment)
    assert not Deployment.objects.filter(pk=deployment.pk).exists()
    assert not world.driver.instances
    row = Instance.objects.get()
    assert (row.state, row.deployment_name, row.deployment_id) == ("Stopped", "blue", None)
    assert Activity.objects.filter(verb="deployment deleted", target_name="churn/blue").exists()
    assert "blue" not in current_traffic(world.endpoint).percents


def test_deleting_an_endpoint_takes_everything_behind_it(world):
    for name in ("blue", "green"):
        world.ready(name)
    set_traffic(endpoint=world.endpoint, percents={"blue": 90, "green": 10}, by=world.user)
    world.publish()
    delete_endpoint(endpoint=Endpoint.objects.get(pk=world.endpoint.pk), by=world.user)
    watch.deployments_with_work()
    for _ in range(3):
        for deployment in Deployment.objects.all():
            world.settle(deployment)
        world.publish()
    assert not Endpoint.objects.exists()
    assert not world.driver.instances
    operation = Operation.objects.get(kind="DeleteEndpoint")
    assert operation.state == Operation.State.SUCCEEDED


def test_more_than_the_quota_is_refused_with_the_arithmetic(world, settings):
    settings.STUDIO_QUOTA_VCPU = 3
    with pytest.raises(OutOfQuota, match=r"3 × Local_1x1 need 4 vCPU"):
        world.deploy(instance_count=3)


def test_settled_deployments_are_left_alone(world):
    deployment = world.ready()
    assert watch.deployments_with_work() == []
    assert machine.reconcile(deployment.pk) is None


def test_a_gone_deployment_is_no_error(world):
    assert machine.reconcile(12345) is None
