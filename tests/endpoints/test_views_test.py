"""The Test tab, against a real listener in the gateway's place."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.urls import reverse

from endpoints import scoring
from endpoints.services import token_issuer
from tests.endpoints.pages import PART, address, churn, text
from tests.factories import make_deployment, make_endpoint, make_model_version, signed_in


class Gateway(ThreadingHTTPServer):
    """Answers what it is told and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.status, self.body = 200, b'{"predictions": [0, 1], "probabilities": [[0.9, 0.1], [0.2, 0.8]]}'
        self.headers = {"azureml-model-deployment": "green", "x-request-id": "4711"}


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append({"path": self.path, "headers": dict(self.headers.items()), "body": body})
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gateway(settings) -> Iterator[Gateway]:
    server = Gateway()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    settings.GATEWAY_PORT = server.server_address[1]
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_answer_is_shown_with_status_latency_deployment_and_id(cast, gateway):
    endpoint = churn(cast)
    response = signed_in(cast.dana).post(address("test", endpoint), {"body": '{"data": [[1, 2]]}', "deployment": ""})
    page = text(response)
    assert "200 OK" in page
    assert "4711" in page
    assert "predictions" in page
    assert response.context["answer"].deployment == "green"
    assert response.context["answer"].latency_ms > 0
    asked = gateway.asked[0]
    assert asked["path"] == "/endpoints/churn/score"
    assert asked["headers"]["Authorization"] == f"Bearer {endpoint.primary_key}"
    assert scoring.PIN_HEADER not in {name.lower() for name in asked["headers"]}
    assert json.loads(asked["body"]) == {"data": [[1, 2]]}


def test_htmx_gets_only_the_answer_and_the_key_never_reaches_the_browser(cast, gateway):
    endpoint = churn(cast)
    given = {"body": "{}", "deployment": "blue"}
    part = text(signed_in(cast.dana).post(address("test", endpoint), given, headers=PART))
    assert part.strip().startswith("<section")
    assert endpoint.primary_key not in part
    assert "$KEY" in part
    assert gateway.asked[0]["headers"]["azureml-model-deployment"] == "blue"


def test_an_error_of_the_model_is_explained(cast, gateway):
    gateway.status, gateway.body = 424, b'{"error": {"message": "run() raised"}}'
    gateway.headers |= {"ms-azureml-model-error-statuscode": "500"}
    page = text(signed_in(cast.dana).post(address("test", churn(cast)), {"body": "{}"}))
    assert "The model answered with an error" in page
    assert "The model answered 500." in page
    assert "run() raised" in page
    assert reverse("deployments:logs", args=["risk", "churn", "green"]) in page


def test_an_answer_that_is_html_is_escaped(cast, gateway):
    gateway.body = b"<script>alert(1)</script>"
    assert "<script>alert" not in text(signed_in(cast.dana).post(address("test", churn(cast)), {"body": "{}"}))


def test_an_answer_encoded_twice_is_pointed_out(cast, gateway):
    gateway.body = json.dumps(json.dumps({"predictions": [1]})).encode()
    assert "callers decode twice" in text(signed_in(cast.dana).post(address("test", churn(cast)), {"body": "{}"}))


def test_a_huge_answer_is_cut(cast, gateway):
    gateway.body = b"x" * (scoring.MOST_BODY_BYTES + 10)
    response = signed_in(cast.dana).post(address("test", churn(cast)), {"body": "{}"})
    assert response.context["answer"].is_cut
    assert "Only the first megabyte" in text(response)


def test_a_gateway_that_does_not_answer_is_a_sentence(cast, gateway, settings):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as unused:
        settings.GATEWAY_PORT = unused.server_address[1]
    response = signed_in(cast.dana).post(address("test", churn(cast)), {"body": '{"kept": 1}'})
    assert response.status_code == 200
    assert "The gateway does not answer" in text(response)
    assert "kept" in text(response)


def test_what_is_not_json_is_not_sent_and_stays_in_the_editor(cast, gateway):
    endpoint = churn(cast)
    given = {"body": '{"data": [[1, 2]', "deployment": "blue"}
    response = signed_in(cast.dana).post(address("test", endpoint), given)
    assert response.status_code == 422
    assert "line 1, column" in response.context["form"].errors["body"][0]
    assert "{&quot;data&quot;: [[1, 2]" in text(response)
    part = text(signed_in(cast.dana).post(address("test", endpoint), given, headers=PART))
    assert 'id="id_body_error" hx-swap-oob="innerHTML"' in part
    assert not gateway.asked


@pytest.mark.parametrize("body", ["", "   ", "[" * 100_000, "NaN,"])
def test_nonsense_is_refused_at_the_editor(cast, gateway, body):
    response = signed_in(cast.dana).post(address("test", churn(cast)), {"body": body})
    assert response.status_code == 422
    assert "body" in response.context["form"].errors


def test_a_deployment_that_does_not_exist_cannot_be_pinned(cast, gateway):
    response = signed_in(cast.dana).post(address("test", churn(cast)), {"body": "{}", "deployment": "red"})
    assert "deployment" in response.context["form"].errors
    assert not gateway.asked


def test_a_token_is_used_where_the_endpoint_takes_tokens(cast, gateway):
    signed_in(cast.dana).post(address("test", churn(cast, auth_mode="aml_token")), {"body": "{}"})
    kind, token = gateway.asked[0]["headers"]["Authorization"].split()
    assert kind == "Bearer"
    assert token_issuer().verify(token) == "churn"


def test_the_editor_begins_with_the_sample_of_the_serving_model(cast):
    endpoint = make_endpoint(cast.workspace, "sampled")
    model = make_model_version(cast.workspace, tags={"sample_request": '{"data": [[12, 29.85]]}'})
    make_deployment(endpoint, "blue", model_version=model)
    page = text(signed_in(cast.dana).get(address("test", endpoint), {"deployment": "blue"}))
    assert "29.85" in page
    assert '<option value="blue" selected' in page
