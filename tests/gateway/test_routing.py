"""Which deployment answers which request."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.gateway.world import World, key_of, replace, until

pytestmark = pytest.mark.envoy


def test_ten_thousand_requests_split_as_wanted(gateway: World) -> None:
    blue, green = gateway.instance("blue-0"), gateway.instance("green-0")
    deployments = (gateway.deployment("blue", blue), gateway.deployment("green", green))
    gateway.publish(gateway.endpoint("churn", *deployments, traffic={"blue": 90, "green": 10}))

    load = gateway.load("churn")
    asyncio.run(load.send(10_000))

    answered = load.by_deployment()
    assert load.failed == 0
    assert answered["blue"] + answered["green"] == 10_000
    assert answered["green"] / 100 == pytest.approx(10, abs=1.0)
    assert green.counts()["requests"] == answered["green"]


def test_three_deployments_share_as_wanted_and_none_gets_more_than_its_share(gateway: World) -> None:
    deployments = [gateway.deployment(name, gateway.instance(f"{name}-0")) for name in ("red", "green", "blue")]
    gateway.publish(gateway.endpoint("churn", *deployments, traffic={"red": 20, "green": 30, "blue": 50}))

    load = gateway.load("churn")
    asyncio.run(load.send(4000))

    shares = {name: count / 40 for name, count in load.by_deployment().items()}
    assert shares == pytest.approx({"red": 20, "green": 30, "blue": 50}, abs=3.0)


def test_all_or_nothing_is_exact(gateway: World) -> None:
    blue, green = gateway.instance("blue-0"), gateway.instance("green-0")
    deployments = (gateway.deployment("blue", blue), gateway.deployment("green", green))
    gateway.publish(gateway.endpoint("churn", *deployments, traffic={"blue": 0, "green": 100}))

    load = gateway.load("churn")
    asyncio.run(load.send(500))

    assert load.by_deployment() == {"green": 500}
    assert blue.counts()["requests"] == 0


def test_the_header_pins_a_deployment_even_without_traffic(gateway: World) -> None:
    deployments = [gateway.deployment(name, gateway.instance(f"{name}-0")) for name in ("blue", "green")]
    gateway.publish(gateway.endpoint("churn", *deployments, traffic={"blue": 100}))

    for _ in range(20):
        answer = gateway.call("churn", headers={"azureml-model-deployment": "green"})
        assert answer.json()["instance"] == "green-0"
        assert answer.headers["azureml-model-deployment"] == "green"


def test_an_unknown_deployment_in_the_header_is_not_found(gateway: World) -> None:
    gateway.publish(gateway.endpoint("churn", gateway.deployment("blue", gateway.instance("blue-0"))))

    answer = gateway.call("churn", headers={"azureml-model-deployment": "purple"})

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NotFound"
    assert "churn" in answer.json()["error"]["message"]


def test_an_endpoint_without_traffic_is_not_found_until_it_has_some(gateway: World) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"))
    gateway.publish(gateway.endpoint("churn", blue))
    assert gateway.call("churn").status_code == 404

    gateway.publish(gateway.endpoint("churn", blue, traffic={"blue": 100}))
    assert gateway.call("churn").status_code == 200


def test_an_unknown_endpoint_is_not_found(gateway: World) -> None:
    answer = gateway.call("nobody")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NotFound")


def test_path_and_host_addresses_reach_the_same_endpoint(gateway: World) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"))
    gateway.publish(gateway.endpoint("Churn-Model", blue, traffic={"blue": 100}, region="westeurope"))
    key = {"authorization": f"Bearer {key_of('Churn-Model')}"}

    by_path = gateway.call("churn-model", key=key_of("Churn-Model"))
    assert by_path.json()["path"] == "/score"
    with gateway.client(headers=key) as client:
        for host in (
            "churn-model.westeurope.inference.studio.test",
            "Churn-Model.WestEurope.Inference.studio.test:8080",
        ):
            by_host = client.post("/score", headers={"host": host})
            assert (by_host.status_code, by_host.json()["path"]) == (200, "/score")


@pytest.mark.parametrize(
    "host",
    [
        "churn.eastus.inference.studio.test",
        "churn.local.inference.elsewhere.test",
        "churn.local.studio.test",
        "churn",
        "churn.local",
        "xchurn.local.inference.studioxtest",
    ],
)
def test_a_host_that_is_not_the_endpoints_own_is_not_found(gateway: World, host: str) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"))
    gateway.publish(gateway.endpoint("churn", blue, traffic={"blue": 100}))
    with gateway.client() as client:
        headers = {"host": host, "authorization": f"Bearer {key_of('churn')}"}
        assert client.post("/score", headers=headers).status_code == 404


def test_everything_below_the_address_reaches_the_instance(gateway: World) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"))
    gateway.publish(gateway.endpoint("churn", blue, traffic={"blue": 100}))
    assert gateway.call("churn", "/swagger.json?version=3", method="GET").json()["path"] == "/swagger.json"
    assert gateway.call("churn", "/", method="GET").json()["path"] == "/"


def test_a_path_cannot_climb_out_of_its_endpoint(gateway: World) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"))
    gateway.publish(*(gateway.endpoint(name, blue, traffic={"blue": 100}) for name in ("open", "closed")))
    key = f"authorization: Bearer {key_of('open')}"
    assert _raw(gateway, "POST /endpoints/open/../closed/score HTTP/1.1", key) == 401
    assert _raw(gateway, "POST /endpoints/open/../open/score HTTP/1.1", key) == 200
    assert _raw(gateway, "POST /endpoints/open%2f..%2fclosed/score HTTP/1.1") == 400


def _raw(gateway: World, line: str, *headers: str) -> int:
    async def ask() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.options.http_port)
        writer.write("\r\n".join([line, "host: x", "content-length: 0", *headers, "", ""]).encode())
        status = int((await reader.readline()).split()[1])
        writer.close()
        return status

    return asyncio.run(ask())


def test_the_mirror_gets_its_share_and_nobody_sees_its_answers(gateway: World) -> None:
    blue, shadow = gateway.instance("blue-0"), gateway.instance("shadow-0")
    deployments = (gateway.deployment("blue", blue), gateway.deployment("shadow", shadow))
    gateway.publish(gateway.endpoint("churn", *deployments, traffic={"blue": 100}, mirror={"shadow": 20}))

    load = gateway.load("churn")
    asyncio.run(load.send(3000))

    assert load.by_deployment() == {"blue": 3000}
    assert shadow.counts()["requests"] == pytest.approx(600, abs=100)


def test_the_mirror_is_independent_of_the_split(gateway: World) -> None:
    """Both look at one random number per request; copies must come from both deployments alike."""
    instances = {name: gateway.instance(f"{name}-0") for name in ("blue", "green", "shadow")}
    deployments = [gateway.deployment(name, instance) for name, instance in instances.items()]
    traffic = {"blue": 50, "green": 50}
    gateway.publish(gateway.endpoint("churn", *deployments, traffic=traffic, mirror={"shadow": 50}))

    asyncio.run(gateway.load("churn").send(2000))
    log = gateway.options.access_log
    until(lambda: len(log.read_text().splitlines()) >= 2000, "the access log is written")

    assert instances["shadow"].counts()["requests"] == pytest.approx(1000, abs=120)
    assert instances["blue"].counts()["requests"] == pytest.approx(1000, abs=120)


def test_a_pinned_request_is_not_mirrored(gateway: World) -> None:
    blue, shadow = gateway.instance("blue-0"), gateway.instance("shadow-0")
    deployments = (gateway.deployment("blue", blue), gateway.deployment("shadow", shadow))
    gateway.publish(gateway.endpoint("churn", *deployments, traffic={"blue": 100}, mirror={"shadow": 50}))
    for _ in range(50):
        gateway.call("churn", headers={"azureml-model-deployment": "blue"})
    assert shadow.counts()["requests"] == 0


def test_a_hung_mirror_does_not_slow_the_callers(gateway: World) -> None:
    blue, shadow = gateway.instance("blue-0"), gateway.instance("shadow-0")
    deployments = (
        gateway.deployment("blue", blue),
        gateway.deployment("shadow", shadow, max_concurrent_requests=1),
    )
    shadow.process.send_signal(19)
    gateway.publish(gateway.endpoint("churn", *deployments, traffic={"blue": 100}, mirror={"shadow": 50}))
    load = gateway.load("churn")
    asyncio.run(asyncio.wait_for(load.send(1000), 15))
    shadow.process.send_signal(18)
    assert load.by_deployment() == {"blue": 1000}
    assert load.failed == 0


def test_each_deployment_of_a_split_keeps_its_own_timeout(gateway: World) -> None:
    instance = gateway.instance("both-0")
    deployments = (
        gateway.deployment("quick", instance, request_timeout_ms=100),
        gateway.deployment("slow", instance, request_timeout_ms=5000),
    )
    gateway.publish(gateway.endpoint("churn", *deployments, traffic={"quick": 50, "slow": 50}))
    load = gateway.load("churn", path="/score?seconds=0.4")
    asyncio.run(load.send(40))
    assert set(load.answers) == {(408, "quick"), (200, "slow")}


def test_counters_and_access_log_agree_with_the_caller(gateway: World) -> None:
    deployments = [gateway.deployment(name, gateway.instance(f"{name}-0")) for name in ("blue", "green")]
    endpoint = gateway.endpoint("churn", *deployments, traffic={"blue": 60, "green": 40})
    gateway.publish(endpoint, replace(endpoint, name="other"))

    load = gateway.load("churn")
    asyncio.run(load.send(300))
    gateway.call("churn", "/score?status=500", headers={"azureml-model-deployment": "green"})
    gateway.call("churn", key="wrong", headers={"x-request-id": "told-so"})

    counted = gateway.admin.request_counts()
    for (status, deployment), count in load.answers.items():
        assert counted["churn", deployment, status] == count
    assert counted["churn", "green", 424] == 1
    log = gateway.options.access_log
    until(lambda: len(log.read_text().splitlines()) == 302, "every request has its line")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sum(line["deployment"] == "blue" and line["status"] == 200 for line in lines) == load.by_deployment()["blue"]
    refused = next(line for line in lines if line["request_id"] == "told-so")
    assert (refused["status"], refused["key"], refused["details"]) == (401, None, "lua_response")
    failed = next(line for line in lines if line["status"] == 424)
    assert (failed["model_status"], failed["instance"], failed["key"]) == ("500", "green-0", "primary")
