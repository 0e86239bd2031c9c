"""Endpoints over the API."""

import pytest

from endpoints.models import Endpoint, TrafficVersion
from tests.factories import make_deployment, make_endpoint
from workspaces.models import Activity, Operation

E = "/onlineEndpoints/churn"
BODY = {"location": "local", "tags": {"team": "risk"}, "identity": {"type": "SystemAssigned"}}
PROPERTIES = {"authMode": "Key", "description": "d", "properties": {"a": "b"}, "publicNetworkAccess": "Enabled"}


def body(**properties):
    return {**BODY, "properties": {**PROPERTIES, **properties}}


@pytest.fixture
def endpoint(cast):
    made = make_endpoint(cast.workspace, "churn", percents={"blue": 100}, created_by=cast.alice)
    make_deployment(made, "blue")
    make_deployment(made, "green")
    return made


def error(answer):
    return answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["target"]


def test_a_new_endpoint_is_201_with_the_addresses_of_its_operation(alice):
    answer = alice.put(E, body())
    assert answer.status_code == 201
    operation = Operation.objects.get()
    for header, word in (("Azure-AsyncOperation", "mfeOperationsStatus"), ("Location", "mfeOperationResults")):
        assert answer[header].startswith("http://testserver/subscriptions/")
        assert f"/{word}/{operation.pk}?api-version=" in answer[header]
    assert answer["Retry-After"] == "1"
    found = answer.json()
    assert found["id"] == f"{alice.base}/onlineEndpoints/churn"
    assert found["tags"] == {"team": "risk"}
    assert found["properties"]["properties"] == {"a": "b"}
    assert found["properties"]["provisioningState"] == "Creating"
    assert found["properties"]["scoringUri"].endswith("/endpoints/churn/score")
    assert found["systemData"]["createdBy"] == "alice"


def test_the_operation_is_followed_to_its_end(alice):
    answer = alice.put(E, body())
    status, result = (answer[name].removeprefix("http://testserver") for name in ("Azure-AsyncOperation", "Location"))
    first = alice.get(status)
    assert (first.json()["status"], first["Retry-After"]) == ("InProgress", "1")
    assert alice.get(result).status_code == 202
    from endpoints.services import note_published

    endpoint = Endpoint.objects.get()
    note_published(versions={endpoint.pk: 1}, gone=[])
    last = alice.get(status)
    assert last.json()["status"] == "Succeeded"
    assert "Retry-After" not in last
    assert alice.get(result).status_code == 200
    assert alice.get(E).json()["properties"]["provisioningState"] == "Succeeded"


def test_an_operation_of_another_workspace_is_404(alice, charlie):
    status = alice.put(E, body())["Azure-AsyncOperation"].removeprefix("http://testserver")
    assert charlie.get(status).status_code == 404


def test_a_put_replaces_and_says_the_traffic_is_updating_until_it_is_in_force(alice, endpoint):
    answer = alice.put(E, body(traffic={"BLUE": 90, "green": 10}, description=None))
    assert answer.status_code == 200
    found = answer.json()["properties"]
    assert found["traffic"] == {"blue": 90, "green": 10}
    assert (found["provisioningState"], answer["Retry-After"]) == ("Updating", "1")
    assert found["description"] == ""
    Endpoint.objects.update(routed_version=2)
    assert alice.get(E).json()["properties"]["provisioningState"] == "Succeeded"


def test_a_put_twice_is_one_change(alice, endpoint):
    first = alice.put(E, body(traffic={"blue": 50, "green": 50}))
    activities = Activity.objects.count()
    second = alice.put(E, body(traffic={"blue": 50, "green": 50}))
    assert (first["ETag"], Activity.objects.count()) == (second["ETag"], activities)
    assert TrafficVersion.objects.count() == 2


def test_traffic_left_out_stays_and_an_empty_map_stops_it(alice, endpoint):
    assert alice.put(E, body()).json()["properties"]["traffic"] == {"blue": 100}
    assert alice.put(E, body(traffic={})).json()["properties"]["traffic"] == {}


def test_a_patch_changes_what_it_names(alice, endpoint):
    alice.put(E, body(traffic={"blue": 100}))
    found = alice.patch(E, {"properties": {"mirrorTraffic": {"green": 20}}}).json()
    assert found["properties"]["mirrorTraffic"] == {"green": 20}
    assert (found["properties"]["traffic"], found["tags"]) == ({"blue": 100}, {"team": "risk"})
    assert alice.patch(E, {"tags": {"new": "1"}}).json()["tags"] == {"new": "1"}


@pytest.mark.parametrize(
    ("traffic", "words"),
    [({"blue": 90}, "sum to 90"), ({"purple": 100}, "no deployment 'purple'"), ({"blue": 101}, "less than or equal")],
)
def test_traffic_that_breaks_a_rule_is_refused_at_once(alice, endpoint, traffic, words):
    answer = alice.put(E, body(traffic=traffic, description="changed"))
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert Endpoint.objects.get().description == ""


@pytest.mark.parametrize(
    ("properties", "code", "target"),
    [
        ({"authMode": "AADToken"}, "NotSupported", "properties.authMode"),
        ({"authMode": "sesame"}, "BadArgument", "properties.authMode"),
        ({"publicNetworkAccess": "Disabled"}, "NotSupported", "properties.publicNetworkAccess"),
        ({"compute": "aks"}, "NotSupported", "properties.compute"),
        ({"colour": "red"}, "BadArgument", "properties.colour"),
        ({"traffic": {"blue": "many"}}, "BadArgument", "properties.traffic.blue"),
    ],
)
def test_what_cannot_be_honoured_is_named_by_its_path(alice, properties, code, target):
    assert error(alice.put(E, body(**properties))) == (400, code, target)
    assert not Endpoint.objects.exists()


def test_an_identity_of_its_own_and_another_location_are_not_supported(alice):
    answer = alice.put(E, {**body(), "identity": {"type": "UserAssigned"}})
    assert error(answer) == (400, "NotSupported", "identity.type")
    assert error(alice.put(E, {**body(), "location": "westeurope"})) == (400, "NotSupported", "location")


@pytest.mark.parametrize("content", [b"{", b"[]", b'"text"', b"null", b"{}"])
def test_a_body_that_is_none_is_400(alice, content):
    assert alice.put(E, content).status_code == 400


def test_what_answers_hold_may_be_sent_back(alice, endpoint):
    found = alice.get(E).json()
    found["properties"]["properties"] = {"createdBy": "x", "createdAt": "y", "kept": "z"}
    assert alice.put(E, found).json()["properties"]["properties"] == {"kept": "z"}


def test_of_two_writers_with_the_same_etag_the_second_gets_412(alice, endpoint):
    etag = alice.get(E)["ETag"]
    assert alice.put(E, body(description="one"), If_Match=etag).status_code == 200
    answer = alice.put(E, body(description="two"), If_Match=etag)
    assert (answer.status_code, answer.json()["error"]["code"]) == (412, "PreconditionFailed")
    assert Endpoint.objects.get().description == "one"
    assert alice.put(E, body(), If_None_Match="*").status_code == 412


def test_the_list_goes_on_by_next_link_and_filters_by_tags(cast, alice):
    for number in range(5):
        make_endpoint(cast.workspace, f"many{number}", tags={"n": str(number)})
    first = alice.get("/onlineEndpoints?count=2&api-version=2022-05-01").json()
    assert [row["name"] for row in first["value"]] == ["many0", "many1"]
    assert "api-version=2022-05-01" in first["nextLink"]
    second = alice.get(first["nextLink"].removeprefix("http://testserver")).json()
    assert [row["name"] for row in second["value"]] == ["many2", "many3"]
    assert [row["name"] for row in alice.get("/onlineEndpoints?$top=1&$skip=4").json()["value"]] == ["many4"]
    assert [row["name"] for row in alice.get("/onlineEndpoints?tags=n=3").json()["value"]] == ["many3"]
    assert alice.get("/onlineEndpoints?count=x").status_code == 400


def test_a_list_of_many_costs_as_many_queries_as_of_one(cast, alice, django_assert_num_queries):
    alice.get("/onlineEndpoints")
    make_endpoint(cast.workspace)
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as one:
        alice.get("/onlineEndpoints")
    for _ in range(20):
        make_endpoint(cast.workspace)
    with django_assert_num_queries(len(one)):
        assert len(alice.get("/onlineEndpoints").json()["value"]) == 21


def test_keys_are_for_those_who_may_read_them(alice, bob, dana, endpoint):
    assert alice.post(f"{E}/listKeys").json() == {
        "primaryKey": "primary-key-of-churn",
        "secondaryKey": "secondary-key-of-churn",
    }
    assert {bob.post(f"{E}/listKeys").status_code, dana.post(f"{E}/listKeys").status_code} == {403}


def test_regenerating_with_the_current_key_makes_a_new_one(alice, endpoint):
    answer = alice.post(f"{E}/regenerateKeys", {"keyType": "Primary", "keyValue": "primary-key-of-churn"})
    assert answer.status_code == 200
    keys = alice.post(f"{E}/listKeys").json()
    assert keys["primaryKey"] != "primary-key-of-churn"
    assert keys["secondaryKey"] == "secondary-key-of-churn"
    alice.post(f"{E}/regenerateKeys", {"keyType": "Secondary", "keyValue": "a-key-of-my-own-choice"})
    assert alice.post(f"{E}/listKeys").json()["secondaryKey"] == "a-key-of-my-own-choice"


def test_a_token_for_an_endpoint_with_keys_is_refused(alice, endpoint):
    assert alice.post(f"{E}/token").status_code == 400


def test_deletion_is_202_then_409_and_204_for_what_is_gone(alice, dana, endpoint):
    assert dana.delete(E).status_code == 403
    answer = alice.delete(E)
    assert (answer.status_code, answer.content) == (202, b"")
    assert "mfeOperationsStatus" in answer["Azure-AsyncOperation"]
    assert alice.delete(E).status_code == 409
    assert alice.put(E, body()).status_code == 409
    assert alice.delete("/onlineEndpoints/nothing").status_code == 204


def test_a_name_taken_elsewhere_is_409(alice, cast):
    make_endpoint(type(cast.workspace).objects.get(name="elsewhere"), "churn")
    assert alice.put(E, body()).status_code == 409
    assert alice.get(E).status_code == 404
