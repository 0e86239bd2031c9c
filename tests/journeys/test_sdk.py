"""The official client against a whole studio, over TLS, with nothing about it changed."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.inside import until
from tests.journeys.sdk import BY_ENVIRONMENT, EXPLICIT, Sdk, install
from tests.stack import REPOSITORY, Studio

pytestmark = [pytest.mark.stack, pytest.mark.network, pytest.mark.timeout(600)]

SCRIPT = """
import json, os, pickle


def init():
    global model
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.pkl"), "rb") as file:
        model = pickle.load(file)


def run(raw):
    return [model["factor"] * number for number in json.loads(raw)["data"]]
"""
CONDA = "name: small\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.11\n  - pip\n"

WORDS = """
def code(folder="onlinescoring"):
    return CodeConfiguration(code=folder, scoring_script="score.py")

def wanted(name, endpoint="factor", **changes):
    values = dict(model=model, environment=environment, code_configuration=code(), instance_type="Local_0.5x0.5",
                  instance_count=1, readiness_probe=ProbeSettings(initial_delay=1, period=1))
    return ManagedOnlineDeployment(name=name, endpoint_name=endpoint, **{**values, **changes})

def deploy(*args, **changes):
    return ml.online_deployments.begin_create_or_update(wanted(*args, **changes)).result()

def allocate(traffic, mirror=None):
    endpoint = ml.online_endpoints.get("factor")
    endpoint.traffic, endpoint.mirror_traffic = traffic, mirror or {}
    return ml.online_endpoints.begin_create_or_update(endpoint).result()
"""


@pytest.fixture(scope="module")
def studio():
    with Studio.start() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made: Path = tmp_path_factory.mktemp("sdk")
    (made / "onlinescoring").mkdir()
    (made / "onlinescoring" / "score.py").write_text(SCRIPT)
    (made / "broken").mkdir()
    (made / "broken" / "score.py").write_text("import nothing_such\n" + SCRIPT)
    (made / "conda.yaml").write_text(CONDA)
    (made / "model.pkl").write_bytes(pickle.dumps({"factor": 3}))
    (made / "request.json").write_text('{"data": [1, 2]}')
    return made


@pytest.fixture(scope="module")
def python(folder) -> Path:
    return install(Path(sys.executable).with_name("uv"), folder)


@pytest.fixture(scope="module")
def sdk(studio, python, folder):
    """With blue behind the endpoint `factor` made of registered things, and green made of what it was given inline."""
    client = Sdk(studio, python, folder, EXPLICIT)
    client.run(WORDS)
    client.run("""
        model = ml.models.create_or_update(Model(path="model.pkl", name="factor", type=AssetTypes.CUSTOM_MODEL, tags={"a": "b"}))
        environment = ml.environments.create_or_update(Environment(
            name="small", conda_file="conda.yaml", image="mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04:latest"))
        ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(
            name="factor", auth_mode="key", description="multiplies", tags={"team": "risk"})).result()
        deploy("blue")
        deploy("green", model=Model(path="model.pkl"), environment=Environment(conda_file="conda.yaml", image="x/y:1"),
               environment_variables={"A": "b"}, request_settings=OnlineRequestSettings(request_timeout_ms=9000))
        allocate({"blue": 100})
    """)
    yield client
    client.close()


def states(sdk):
    return sdk.run("result = {d.name: d.provisioning_state for d in ml.online_deployments.list('factor')}")


def test_a_client_whose_construction_is_not_changed_finds_the_studio(studio, python, folder):
    client = Sdk(studio, python, folder, BY_ENVIRONMENT)
    try:
        assert client.run("result = ml.workspaces.get(os.environ['WORKSPACE']).location") == "local"
        name = 'Model(path="onlinescoring", name="by-environment")'
        assert client.run(f"result = ml.models.create_or_update({name}).version") == "1"
    finally:
        client.close()


def test_both_deployments_answer_and_one_can_be_asked_for(sdk):
    assert set(states(sdk).values()) == {"Succeeded"}
    invoke = "result = ml.online_endpoints.invoke('factor', request_file='request.json'"
    assert sdk.run(f"{invoke})") == "[3,6]"
    assert sdk.run(f"{invoke}, deployment_name='green')") == "[3,6]"


def test_what_was_asked_for_is_what_is_read_back(sdk):
    found = sdk.run("""
        d = ml.online_deployments.get("green", "factor")
        result = [d.environment_variables, d.request_settings.request_timeout_ms, d.instance_count, d.instance_type]
    """)
    assert found == [{"A": "b"}, 9000, 1, "Local_0.5x0.5"]
    endpoint = sdk.run(
        "e = ml.online_endpoints.get('factor'); result = [e.description, e.tags, e.auth_mode, e.scoring_uri]"
    )
    assert endpoint[:3] == ["multiplies", {"team": "risk"}, "key"]
    assert endpoint[3].endswith("/endpoints/factor/score")


def test_traffic_is_split_and_mirrored_and_a_wrong_sum_is_refused(sdk):
    assert sdk.run("result = allocate({'blue': 90, 'green': 10}).traffic") == {"blue": 90, "green": 10}
    assert "sum to 90" in sdk.refused("allocate({'blue': 90})")
    assert sdk.run("result = allocate({'blue': 100}, {'green': 10}).mirror_traffic") == {"green": 10}
    assert sdk.run("e = allocate({'blue': 100}); result = [e.traffic, e.mirror_traffic]") == [{"blue": 100}, {}]


def test_keys_are_read_and_made_anew(studio, sdk):
    keys = "k = ml.online_endpoints.get_keys('factor'); result = [k.primary_key, k.secondary_key]"
    before = sdk.run(keys)
    sdk.run("ml.online_endpoints.begin_regenerate_keys('factor', key_type='secondary').result()")
    after = sdk.run(keys)
    assert after[0] == before[0]
    assert after[1] != before[1]

    def status(key):
        address = f"{studio.gateway_url}/endpoints/factor/score"
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        return studio.client.post(address, content='{"data": [1]}', headers=headers).status_code

    until(lambda: (status(before[1]), status(after[1])), lambda seen: seen == (401, 200), 10.0)


def test_logs_of_both_containers_are_read(sdk):
    assert "score.py" in sdk.run("result = ml.online_deployments.get_logs('blue', 'factor', lines=200)")
    started = sdk.run(
        "result = ml.online_deployments.get_logs('blue', 'factor', lines=50, container_type='storage-initializer')"
    )
    assert "Started" in started


def test_a_count_and_a_setting_change_in_one_update(sdk):
    found = sdk.run("""
        d = ml.online_deployments.get("blue", "factor")
        d.instance_count, d.request_settings.request_timeout_ms = 2, 8000
        d = ml.online_deployments.begin_create_or_update(d).result()
        result = [d.instance_count, d.request_settings.request_timeout_ms, d.provisioning_state]
    """)
    assert found == [2, 8000, "Succeeded"]


def test_a_broken_script_fails_with_its_line_and_what_to_do(sdk):
    words = sdk.refused("deploy('red', code_configuration=code('broken'))")
    assert words.startswith("HttpResponseError: (ResourceNotReady) score.py, line 1 imports 'nothing_such'")
    assert "Register a new version of the environment" in words
    assert states(sdk)["red"] == "Failed"
    assert sdk.run("ml.online_deployments.begin_delete('red', 'factor').result(); result = 1") == 1
    assert "red" not in states(sdk)


def test_a_deployment_with_traffic_is_not_deleted(sdk):
    assert "has 100 % of the traffic" in sdk.refused("ml.online_deployments.begin_delete('blue', 'factor').result()")


def test_what_is_not_collected_here_is_refused(sdk):
    collector = "DataCollector(collections={'model_inputs': DeploymentCollection(enabled='true')})"
    assert "(NotSupported)" in sdk.refused(f"deploy('collecting', data_collector={collector})")


def test_the_same_files_are_not_sent_twice(studio, sdk):
    def sent():
        return studio.log("web-access").count('"PUT /blobstore/')

    register = "ml.models.create_or_update(Model(path='onlinescoring', name='folder'))"
    sdk.run(register)
    before = sent()
    sdk.run(register)
    sdk.run("deploy('blue', instance_count=2, request_settings=OnlineRequestSettings(request_timeout_ms=8000))")
    assert sent() == before


def test_versions_are_listed_archived_restored_and_downloaded(sdk, folder):
    sdk.run("for _ in range(2): ml.models.create_or_update(Model(path='onlinescoring', name='listed'))")
    names = "result = [m.version for m in ml.models.list(name='listed')]"
    assert sdk.run(names) == ["2", "1"]
    sdk.run("ml.models.archive('listed', version='1')")
    assert sdk.run(names) == ["2"]
    sdk.run("ml.models.restore('listed', version='1')")
    assert sdk.run(names) == ["2", "1"]
    assert sdk.run("result = ml.models.get('listed', label='latest').version") == "2"
    sdk.run(
        "ml.models.download('listed', '2', download_path='down'); ml.models.download('factor', '1', download_path='down')"
    )
    assert (folder / "down" / "listed" / "onlinescoring" / "score.py").read_text() == SCRIPT
    assert pickle.loads((folder / "down" / "factor" / "model.pkl").read_bytes()) == {"factor": 3}


def test_an_environment_with_other_content_becomes_the_next_version(sdk):
    other = "Environment(name='small', conda_file={'name': 'other', 'dependencies': ['python=3.11']}, image='x:1')"
    assert sdk.run(f"result = ml.environments.create_or_update({other}).version") == "2"
    assert "small" in sdk.run("result = [e.name for e in ml.environments.list()]")


def test_an_endpoint_with_tokens_gives_one_and_is_deleted(sdk):
    sdk.run("""
        ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="tokens", auth_mode="aml_token")).result()
    """)
    kind, until_utc = sdk.run("t = ml.online_endpoints.get_keys('tokens'); result = [t.token_type, t.expiry_time_utc]")
    assert kind == "Bearer"
    assert until_utc > 1_700_000_000
    sdk.run("ml.online_endpoints.begin_delete('tokens').result()")
    assert "tokens" not in sdk.run("result = [e.name for e in ml.online_endpoints.list()]")
    assert "ResourceNotFound" in sdk.refused("ml.online_endpoints.get('tokens')")


def blocks(page: str, language: str) -> str:
    """What a how-to tells to type, as one text."""
    text = (REPOSITORY / "docs" / "howto" / page).read_text()
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def desk(studio, folder) -> Path:
    """A folder in which the how-tos find what they speak of."""
    (folder / "var").symlink_to(studio.home)
    return folder


def typed(script: str, desk: Path, python: Path) -> str:
    """What comes out when it is typed in. Raises AssertionError with what was said instead."""
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=desk,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert ran.returncode == 0, f"{ran.stdout[-1500:]}\n{ran.stderr[-1500:]}"
    return ran.stdout


def test_the_page_about_the_sdk_works_as_it_is_written(desk, python):
    (desk / "howto.py").write_text(blocks("use-the-azure-sdk.md", "python"))
    said = typed(f"{blocks('use-the-azure-sdk.md', 'bash')}\npython howto.py", desk, python)
    assert "[3,6]" in said


def test_the_page_about_the_rest_api_works_as_it_is_written(desk, python):
    said = typed(blocks("call-the-rest-api.md", "bash"), desk, python)
    assert "fraud" in said
    assert "/models/by-curl/versions/1" in said
