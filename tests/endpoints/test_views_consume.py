"""The Consume tab: credentials on demand, commands that run."""

import ast
import shlex
from typing import Any

import pytest
from django.contrib.messages import get_messages

from endpoints.services import token_issuer
from endpoints.views import snippets
from tests.endpoints.pages import address, churn, text
from tests.factories import make_member, make_user, signed_in
from workspaces.models import Activity, Role


def test_keys_are_not_in_the_page_until_asked_for(cast):
    endpoint = churn(cast)
    for name in ("detail", "traffic", "test", "consume", "settings"):
        page = text(signed_in(cast.alice).get(address(name, endpoint)))
        assert endpoint.primary_key not in page
        assert endpoint.secondary_key not in page


def test_showing_the_keys_is_recorded_and_not_cached(cast):
    endpoint = churn(cast)
    response = signed_in(cast.alice).post(address("reveal-keys", endpoint))
    page = text(response)
    assert endpoint.primary_key in page
    assert endpoint.secondary_key in page
    assert "no-store" in response["Cache-Control"]
    activity = Activity.objects.get(verb="keys shown")
    assert (activity.by, activity.target_name) == (cast.alice, "churn")


def test_an_operator_without_the_right_to_read_keys_does_not_see_them(cast):
    endpoint = churn(cast)
    erin = make_user("erin")
    make_member(cast.workspace, erin, Role.OPERATOR)
    assert signed_in(erin).post(address("reveal-keys", endpoint)).status_code == 403
    assert "a permission of its own" in text(signed_in(erin).get(address("consume", endpoint)))


def test_a_reader_with_the_right_to_read_keys_sees_them(cast):
    endpoint = churn(cast)
    erin = make_user("erin")
    make_member(cast.workspace, erin, Role.READER, can_read_keys=True)
    assert endpoint.primary_key in text(signed_in(erin).post(address("reveal-keys", endpoint)))


def test_regenerating_replaces_one_key(cast):
    endpoint = churn(cast)
    before = (endpoint.primary_key, endpoint.secondary_key)
    assert signed_in(cast.alice).post(address("regenerate-key", endpoint), {"which": "secondary"}).status_code == 302
    endpoint.refresh_from_db()
    assert endpoint.primary_key == before[0]
    assert endpoint.secondary_key != before[1]


@pytest.mark.parametrize("which", ["", "third"])
def test_regenerating_an_unknown_key_is_explained(cast, which):
    response = signed_in(cast.alice).post(address("regenerate-key", churn(cast)), {"which": which})
    assert "is not a key" in str(next(iter(get_messages(response.wsgi_request))))


def test_a_token_is_fetched_shown_once_and_recorded(cast):
    endpoint = churn(cast, auth_mode="aml_token")
    response = signed_in(cast.alice).post(address("fetch-token", endpoint))
    token = response.context["token"].token
    assert token_issuer().verify(token) == "churn"
    assert text(response).count(token) >= 3  # shown, and in both commands
    assert "no-store" in response["Cache-Control"]
    assert Activity.objects.filter(verb="token fetched", by=cast.alice).exists()


def test_an_endpoint_with_keys_has_no_token(cast):
    response = signed_in(cast.alice).post(address("fetch-token", churn(cast)))
    assert "takes keys" in str(next(iter(get_messages(response.wsgi_request))))


def test_the_curl_command_is_what_a_shell_reads(cast, settings):
    endpoint = churn(cast)
    command = snippets.curl(endpoint, body='{"name": "O\'Brien $HOME"}', credential="a'b", deployment="green")
    words = shlex.split(command)
    assert words[0] == "curl"
    assert words[words.index("--cacert") + 1] == str(snippets.ca_file())
    assert "Authorization: Bearer a'b" in words
    assert "azureml-model-deployment: green" in words
    assert words[words.index("-d") + 1] == '{"name": "O\'Brien $HOME"}'
    assert words[-1] == "https://localhost:8443/endpoints/churn/score"


@pytest.mark.parametrize("credential", ["", "key-with-'quotes'"])
def test_the_python_script_is_python_and_imports_what_it_uses(cast, credential):
    script = snippets.python(churn(cast), body='{"data": [[1]]}', credential=credential)
    tree = ast.parse(script)
    imported = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & {"json", "os", "ssl", "urllib"}
    assert imported == used


def test_the_certificate_can_be_downloaded(cast, settings, tmp_path):
    settings.STUDIO_CA_FILE = tmp_path / "ca.crt"
    client = signed_in(cast.bob)
    endpoint = churn(cast)
    assert client.get(address("certificate", endpoint)).status_code == 404
    settings.STUDIO_CA_FILE.write_text("-----BEGIN CERTIFICATE-----\n")
    response: Any = client.get(address("certificate", endpoint))
    assert b"".join(response.streaming_content).startswith(b"-----BEGIN")
    assert "ca.pem" in response["Content-Disposition"]
