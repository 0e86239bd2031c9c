"""Deployments over the API."""

import pytest

from deployments.models import Deployment, Revision
from endpoints.models import TrafficVersion
from tests.api.conftest import caller_of
from tests.factories import (
    make_code_version,
    make_deployment,
    make_endpoint,
    make_environment_version,
    make_files,
    make_instance_type,
    make_model_version,
)
from workspaces.models import Operation

D = "/onlineEndpoints/churn/deployments"


@pytest.fixture
def parts(cast):
    workspace = cast.workspace
    make_instance_type()
    return (
        make_model_version(workspace),
        make_code_version(workspace, files=make_files(score_py="def init(): ...")),
        make_environment_version(workspace),
    )


@pytest.fixture
def endpoint(cast):
    return make_endpoint(cast.workspace, "churn")


@pytest.fixture
def body(alice, parts, endpoint):
    def make(capacity=1, **properties):
        values = {
            "endpointComputeType": "Managed",
            "instanceType": "local_test",
            "model": f"{alice.base}/models/churn/versions/1",
            "environmentId": f"{alice.base}/environments/churn/versions/1",
            "codeConfiguration": {"codeId": f"{alice.base}/codes/churn/versions/1", "scoringScript": "score.py"},
            "environmentVariables": {"A": "secret value"},
            "scaleSettings": {"scaleType": "Default"},
            "requestSettings": {"requestTimeout": "PT3S", "maxConcurrentRequestsPerInstance": 4},
            "livenessProbe": {"period": "PT20S", "failureThreshold": 5},
        }
        return {
            "location": "local",
            "sku": {"name": "Default", "capacity": capacity},
            "properties": {**values, **properties},
        }

    return make


def served(name="blue", **overrides):
    """As if the operation had been carried out."""
    Operation.objects.update(state="Succeeded")
    deployment = Deployment.objects.get(name=name)
    values = {"state": "Succeeded", "serving_revision": deployment.wanted_revision, **overrides}
    Deployment.objects.filter(pk=deployment.pk).update(**values)


def error(answer):
    found = answer.json()["error"]
    return answer.status_code, found["code"], found["target"]


def test_a_new_deployment_is_201_with_its_operation_and_azures_defaults(alice, body):
    answer = alice.put(f"{D}/blue", body())
    assert answer.status_code == 201, answer.json()
    assert f"/mfeOperationsStatus/{Operation.objects.get().pk}" in answer["Azure-AsyncOperation"]
    found = answer.json()
    assert found["id"].endswith("/onlineEndpoints/churn/deployments/blue")
    assert found["sku"] == {"name": "Default", "capacity": 1}
    properties = found["properties"]
    assert properties["provisioningState"] == "Creating"
    assert properties["instanceType"] == "Local_Test"
    assert properties["model"] == f"{alice.base}/models/churn/versions/1"
    assert properties["requestSettings"] == {
        "requestTimeout": "PT3S",
        "maxQueueWait": "PT0.5S",
        "maxConcurrentRequestsPerInstance": 4,
    }
    assert properties["livenessProbe"]["period"] == "PT20S"
    assert properties["readinessProbe"] == {
        "initialDelay": "PT10S",
        "period": "PT10S",
        "timeout": "PT2S",
        "successThreshold": 1,
        "failureThreshold": 30,
    }


def test_the_same_put_again_follows_the_running_operation_and_then_changes_nothing(alice, body):
    first = alice.put(f"{D}/blue", body())
    second = alice.put(f"{D}/blue", body())
    assert (second.status_code, second["Azure-AsyncOperation"]) == (200, first["Azure-AsyncOperation"])
    assert error(alice.put(f"{D}/blue", body(capacity=2)))[:2] == (409, "OperationInProgress")
    served()
    third = alice.put(f"{D}/blue", body())
    assert third.status_code == 200
    assert "Azure-AsyncOperation" not in third
    assert (Revision.objects.count(), Operation.objects.count()) == (1, 1)


def test_a_changed_count_scales_and_a_changed_setting_is_a_new_revision(alice, body):
    alice.put(f"{D}/blue", body())
    served()
    assert alice.put(f"{D}/blue", body(capacity=3)).json()["properties"]["provisioningState"] == "Scaling"
    assert Revision.objects.count() == 1
    served()
    changed = body(capacity=3, requestSettings={"requestTimeout": "PT9S"})
    assert alice.put(f"{D}/blue", changed).json()["properties"]["provisioningState"] == "Updating"
    assert Revision.objects.count() == 2


def test_a_put_replaces_but_keeps_the_queue_wait_that_clients_lose(alice, body):
    alice.put(f"{D}/blue", body(requestSettings={"maxQueueWait": "PT0.2S"}))
    served()
    alice.put(f"{D}/blue", body(requestSettings={}, environmentVariables={}))
    newest = Revision.objects.latest("number")
    assert (newest.max_queue_wait_ms, newest.request_timeout_ms, newest.environment_variables) == (200, 5000, {})


def test_a_patch_scales_without_saying_the_rest(alice, body):
    alice.put(f"{D}/blue", body())
    served()
    found = alice.patch(f"{D}/blue", {"sku": {"capacity": 2}}).json()
    assert found["sku"]["capacity"] == 2
    assert found["properties"]["requestSettings"]["requestTimeout"] == "PT3S"
    assert Revision.objects.count() == 1


@pytest.mark.parametrize(
    ("properties", "code", "target"),
    [
        ({"endpointComputeType": "Kubernetes"}, "NotSupported", "properties.endpointComputeType"),
        ({"scaleSettings": {"scaleType": "TargetUtilization"}}, "NotSupported", "properties.scaleSettings.scaleType"),
        ({"modelMountPath": "/m"}, "NotSupported", "properties.modelMountPath"),
        ({"egressPublicNetworkAccess": "Disabled"}, "NotSupported", "properties.egressPublicNetworkAccess"),
        ({"dataCollector": {"collections": {}}}, "NotSupported", "properties.dataCollector"),
        ({"requestSettings": {"requestTimeout": "3"}}, "BadArgument", "properties.requestSettings.requestTimeout"),
        ({"readinessProbe": {"period": "PT0.5S"}}, "BadArgument", "properties.readinessProbe.period"),
        ({"instanceType": "Standard_Nothing"}, "BadArgument", "properties.instanceType"),
        ({"model": "azureml:nothing:1"}, "BadArgument", "properties.model"),
        ({"environmentId": None}, "BadArgument", "properties.environmentId"),
        ({"extra": 1}, "BadArgument", "properties.extra"),
    ],
)
def test_what_cannot_be_honoured_is_named_by_its_path(alice, body, properties, code, target):
    assert error(alice.put(f"{D}/blue", body(**properties))) == (400, code, target)
    assert not Deployment.objects.exists()


@pytest.mark.parametrize("capacity", [0, 51, "many"])
def test_a_count_out_of_range_is_400(alice, body, capacity):
    assert error(alice.put(f"{D}/blue", body(capacity=capacity))) == (400, "BadArgument", "sku.capacity")


def test_a_deployment_behind_no_endpoint_is_404_that_names_it(alice, body):
    answer = alice.put("/onlineEndpoints/nothing/deployments/blue", body())
    assert answer.status_code == 404
    assert "'nothing'" in answer.json()["error"]["message"]
    assert alice.get(f"{D}/blue").status_code == 404


def test_values_of_variables_are_for_those_who_may_change_them(cast, alice, bob, body):
    alice.put(f"{D}/blue", body())
    assert alice.get(f"{D}/blue").json()["properties"]["environmentVariables"] == {"A": "secret value"}
    assert bob.get(f"{D}/blue").json()["properties"]["environmentVariables"] == {"A": None}
    reading = caller_of(cast.alice, cast.workspace, can_write=False)
    assert "secret value" not in reading.get(D).content.decode()


def test_of_two_writers_with_the_same_etag_the_second_gets_412(alice, body):
    alice.put(f"{D}/blue", body())
    served()
    etag = alice.get(f"{D}/blue")["ETag"]
    assert alice.put(f"{D}/blue", body(capacity=2), If_Match=etag).status_code == 200
    assert alice.put(f"{D}/blue", body(capacity=3), If_Match=etag).status_code == 412


def test_deletion_is_refused_with_traffic_202_without_and_204_when_gone(alice, dana, endpoint):
    make_deployment(endpoint, "blue")
    TrafficVersion.objects.update(percents={"blue": 100})
    assert error(alice.delete(f"{D}/blue"))[:2] == (409, "ResourceInUse")
    TrafficVersion.objects.update(percents={})
    assert dana.delete(f"{D}/blue").status_code == 403
    answer = alice.delete(f"{D}/blue")
    assert (answer.status_code, answer.content) == (202, b"")
    assert alice.delete(f"{D}/nothing").status_code == 204


def test_a_running_operation_can_be_cancelled(alice, body):
    alice.put(f"{D}/blue", body())
    assert alice.post(f"{D}/blue/cancel").status_code == 202
    assert Operation.objects.get().cancel_requested_at is not None
    served()
    assert alice.post(f"{D}/blue/cancel").status_code == 409


def test_a_failed_operation_says_what_why_and_what_next(alice, body):
    answer = alice.put(f"{D}/blue", body())
    Operation.objects.update(
        state="Failed",
        code="ResourceNotReady",
        message="It broke.",
        cause="A typo.",
        hint="Mend it.",
        log_lines=["line 3"],
    )
    status = alice.get(answer["Azure-AsyncOperation"].removeprefix("http://testserver")).json()
    assert (status["status"], status["error"]["code"]) == ("Failed", "ResourceNotReady")
    assert status["error"]["message"] == "It broke. A typo. Mend it.\nline 3"


def test_logs_of_a_deployment_without_instances_are_empty_and_other_containers_are_refused(alice, endpoint):
    make_deployment(endpoint, "blue", instances=0)
    assert alice.post(f"{D}/blue/getLogs", {"tail": 50}).json() == {"content": ""}
    assert error(alice.post(f"{D}/blue/getLogs", {"containerType": "Sidecar"})) == (400, "BadArgument", "containerType")
    assert error(alice.post(f"{D}/blue/getLogs", {"tail": 0})) == (400, "BadArgument", "tail")


def test_the_list_has_each_and_costs_the_same_for_many(cast, alice, endpoint, django_assert_max_num_queries):
    for name in ("blue", "green", "red"):
        make_deployment(endpoint, name)
    with django_assert_max_num_queries(12):
        found = alice.get(D).json()["value"]
    assert [row["name"] for row in found] == ["blue", "green", "red"]
    assert alice.get(f"{D}/blue/skus").json()["value"][0]["capacity"]["maximum"] == 50
