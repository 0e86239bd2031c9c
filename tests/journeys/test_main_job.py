"""Two versions of a trained model behind one address."""

import httpx
import pytest

from bench.load import Load

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

REQUEST = {"data": [[12, 29.85, 358.20, 1, 0], [45, 89.10, 4011.50, 2, 1]]}


@pytest.fixture
def address(studio):
    return studio.credentials["sample_scoring_uri"]


@pytest.fixture
def key(studio):
    return studio.credentials["sample_key"]


def score(studio, key, endpoint="churn", **headers):
    return studio.client.post(
        f"{studio.gateway_url}/endpoints/{endpoint}/score",
        json=REQUEST,
        headers={"Authorization": f"Bearer {key}", **headers},
    )


def test_the_sample_answers_predictions_and_probabilities_over_tls(studio, address, key):
    answer = studio.client.post(address, json=REQUEST, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    assert set(answer.json()) == {"predictions", "probabilities"}
    assert len(answer.json()["predictions"]) == 2
    assert address.startswith("https://")
    assert answer.headers["azureml-model-deployment"] in ("blue", "green")


def test_ten_thousand_requests_split_90_to_10_within_a_point(studio, key):
    with Load(f"{studio.gateway_url}/endpoints/churn/score", key, REQUEST, threads=6, most=10_000) as load:
        pass
    assert load.tally.failures == []
    share = load.tally.deployments["green"] / load.tally.total * 100
    assert load.tally.total == 10_000
    assert abs(share - 10) <= 1, f"green got {share:.2f} %"


@pytest.mark.parametrize("name", ["blue", "green"])
def test_a_header_pins_the_deployment(studio, key, name):
    answers = [score(studio, key, **{"azureml-model-deployment": name}) for _ in range(20)]
    assert {answer.headers["azureml-model-deployment"] for answer in answers} == {name}


def test_an_unknown_deployment_is_404(studio, key):
    assert score(studio, key, **{"azureml-model-deployment": "purple"}).status_code == 404


def test_a_wrong_key_and_no_key_are_401(studio):
    assert score(studio, "wrong").status_code == 401
    assert httpx.post(f"{studio.gateway_url}/endpoints/churn/score", json=REQUEST).status_code == 401


def test_the_key_of_one_endpoint_does_not_open_another(studio, inside, key):
    other = inside.run("""
        endpoint = create_endpoint(workspace=workspace, name="other", by=user)
        operation = create_deployment(
            endpoint=endpoint, name="blue", wanted=spec_of(deployment("blue").serving_revision), by=user)
        result = [str(operation.id), endpoint.primary_key]
    """)
    assert inside.wait_for(other[0])["state"] == "Succeeded"
    pinned = {"azureml-model-deployment": "blue"}
    assert score(studio, key, endpoint="other", **pinned).status_code == 401
    assert score(studio, other[1], endpoint="other", **pinned).status_code == 200
    assert score(studio, other[1], **pinned).status_code == 401


def test_no_key_stands_in_clear_in_any_file_but_the_credentials(studio, inside, key):
    keys = inside.run("result = [k for e in Endpoint.objects.all() for k in (e.primary_key, e.secondary_key)]")
    secrets = [text.encode() for text in (*keys, studio.credentials["password"], studio.credentials["token"])]
    found = []
    for path in studio.home.rglob("*"):
        if (
            not path.is_file()
            or path.name == "credentials.json"
            or "environments" in path.parts
            or "cache" in path.parts
        ):
            continue
        content = path.read_bytes()
        found += [str(path) for secret in secrets if secret in content]
    assert found == []


def test_a_rollout_under_load_fails_no_request(studio, inside, key):
    with Load(f"{studio.gateway_url}/endpoints/churn/score", key, REQUEST, threads=4) as load:
        for percent in (0, 50, 100, 30, 70):
            inside.run(f"""
                set_traffic(endpoint=deployment("blue").endpoint, by=user,
                            percents={{"blue": 100 - {percent}, "green": {percent}}})
            """)
        grown = inside.finish("result = scale_deployment(deployment=deployment('green'), instance_count=3, by=user)")
        shrunk = inside.finish("result = scale_deployment(deployment=deployment('green'), instance_count=1, by=user)")
        changed = inside.finish("""
            result = update_deployment(deployment=deployment("green"), by=user,
                                       change=lambda spec: replace(spec, request_timeout_ms=9000))
        """)
        inside.run("set_traffic(endpoint=deployment('blue').endpoint, by=user, percents={'blue': 100})")
        removed = inside.finish("result = delete_deployment(deployment=deployment('green'), by=user)")
        added = inside.finish("""
            result = create_deployment(endpoint=deployment("blue").endpoint, name="green", by=user,
                                       wanted=spec_of(deployment("blue").serving_revision))
        """)
    assert [told["state"] for told in (grown, shrunk, changed, removed, added)] == ["Succeeded"] * 5
    assert load.tally.failures == []
    assert load.tally.total > 200
