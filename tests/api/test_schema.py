"""The OpenAPI document, and the page that shows it."""

import json

import pytest

from tests.api.conftest import caller_of
from tests.factories import (
    make_code_version,
    make_deployment,
    make_endpoint,
    make_environment_version,
    make_model_version,
    signed_in,
)


@pytest.fixture
def document(cast):
    return json.loads(signed_in(cast.bob).get("/api/schema").content)


def test_the_document_names_every_operation_once(document):
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    assert {"PutOnlineEndpoints", "PatchOnlineEndpointsDeployments", "OnlineEndpointsListKeys"} <= set(names)


def test_every_operation_may_be_refused_in_arms_words(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert "default" in operation["responses"], (method, path)


def test_the_page_is_for_people_who_have_signed_in(client, cast):
    assert client.get("/api/docs").status_code == 302
    page = signed_in(cast.bob).get("/api/docs")
    assert page.status_code == 200
    # the content policy of every page lets no script run that stands in it
    assert b"<script>" not in page.content
    assert b"<style>" not in page.content
    script = signed_in(cast.bob).get("/api/docs?script=")
    assert script["Content-Type"].startswith("application/javascript")
    assert b"/api/schema" in script.content


def required_are_there(document, shape, body, path=""):
    """Every name that the document promises is in the answer, and no other is."""
    schema = document["components"]["schemas"][shape]
    for name in schema.get("required", []):
        assert name in body, f"{path}.{name} of {shape} is missing"
    for name, value in body.items():
        assert name in schema["properties"], f"{path}.{name} is not in {shape}"
        reference = json.dumps(schema["properties"][name])
        inner = reference.partition("#/components/schemas/")[2].partition('"')[0]
        if inner and isinstance(value, dict):
            required_are_there(document, inner, value, f"{path}.{name}")


def test_answers_are_what_the_document_promises(cast, document):
    workspace = cast.workspace
    alice = caller_of(cast.alice, workspace)
    model, code = make_model_version(workspace), make_code_version(workspace)
    environment = make_environment_version(workspace)
    endpoint = make_endpoint(workspace, "churn")
    make_deployment(endpoint, "blue", model_version=model, code_version=code, environment_version=environment)
    for shape, address in {
        "EndpointBody": "/onlineEndpoints/churn",
        "DeploymentBody": "/onlineEndpoints/churn/deployments/blue",
        "ModelVersionBody": "/models/churn/versions/1",
        "EnvironmentVersionBody": "/environments/churn/versions/1",
        "CodeVersionBody": "/codes/churn/versions/1",
        "ContainerBody": "/models/churn",
    }.items():
        required_are_there(document, shape, alice.get(address).json())
