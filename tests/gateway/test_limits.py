"""What the gateway refuses, and how it says so."""

from __future__ import annotations

import concurrent.futures
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from tests.gateway.world import Upstream, World, until

pytestmark = pytest.mark.envoy


def _error(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert error["message"]
    assert error["requestId"] == answer.headers["x-request-id"]
    return answer.status_code, error["code"]


def test_an_answer_that_takes_too_long_is_408(gateway: World) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"), request_timeout_ms=300)
    gateway.publish(gateway.endpoint("churn", blue, traffic={"blue": 100}))
    started = time.monotonic()
    answer = gateway.call("churn", "/score?seconds=5")
    assert 0.25 < time.monotonic() - started < 3
    assert _error(answer) == (408, "RequestTimeout")


def test_a_body_above_the_limit_is_413_and_one_at_the_limit_is_not(gateway: World) -> None:
    blue = gateway.instance("blue-0")
    deployment = gateway.deployment("blue", blue)
    gateway.publish(
        gateway.endpoint("small", deployment, traffic={"blue": 100}, max_request_bytes=1000),
        gateway.endpoint("large", deployment, traffic={"blue": 100}, max_request_bytes=30_000_000),
    )
    assert gateway.call("small", content=b"x" * 1000).json()["bytes"] == 1000
    assert _error(gateway.call("small", content=b"x" * 1001)) == (413, "PayloadTooLarge")
    assert gateway.call("large", content=b"x" * 20_000_000).json()["bytes"] == 20_000_000


def test_a_chunked_body_above_the_limit_does_not_get_through(gateway: World) -> None:
    blue = gateway.instance("blue-0")
    deployment = gateway.deployment("blue", blue)
    gateway.publish(gateway.endpoint("small", deployment, traffic={"blue": 100}, max_request_bytes=100_000))

    def chunks(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield b"x" * 10_000

    assert gateway.call("small", content=chunks(10)).json()["bytes"] == 100_000
    assert _error(gateway.call("small", content=chunks(500))) == (413, "PayloadTooLarge")


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
def test_a_model_that_answers_with_an_error_is_424_with_its_status_in_headers(gateway: World, status: int) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"))
    gateway.publish(gateway.endpoint("churn", blue, traffic={"blue": 100}))
    answer = gateway.call("churn", f"/score?status={status}&body=why&header=x-ms-run-function-failed:True")
    assert (answer.status_code, answer.text) == (424, "why")
    assert answer.headers["ms-azureml-model-error-statuscode"] == str(status)
    assert answer.headers["ms-azureml-model-error-reason"]
    assert answer.headers["x-ms-run-function-failed"] == "True"
    assert answer.headers["azureml-model-deployment"] == "blue"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_success_of_any_kind_is_passed_on(gateway: World, status: int) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"))
    gateway.publish(gateway.endpoint("churn", blue, traffic={"blue": 100}))
    answer = gateway.call("churn", f"/score?status={status}" + ("&body=" if status == 204 else ""))
    assert answer.status_code == status
    assert "ms-azureml-model-error-statuscode" not in answer.headers


def test_an_instance_that_ends_the_connection_is_a_model_error(gateway: World) -> None:
    blue = gateway.instance("blue-0")
    gateway.publish(gateway.endpoint("churn", gateway.deployment("blue", blue), traffic={"blue": 100}))
    answer = gateway.call("churn", "/score?cut")
    assert _error(answer) == (424, "ModelError")
    assert answer.headers["ms-azureml-model-error-statuscode"] == "502"
    assert blue.counts()["requests"] == 1  # it may have run, so it was not tried again


def test_a_refusal_before_user_code_keeps_its_status_and_is_tried_elsewhere(gateway: World) -> None:
    blue = gateway.instance("blue-0")
    gateway.publish(gateway.endpoint("churn", gateway.deployment("blue", blue), traffic={"blue": 100}))
    answer = gateway.call("churn", "/score?status=429&header=x-studio-not-run:1&header=retry-after:1")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "x-studio-not-run" not in answer.headers
    assert blue.counts()["requests"] == 4


def test_twice_the_concurrency_is_admitted_and_the_rest_is_429(gateway: World) -> None:
    instances = [gateway.instance(f"blue-{number}") for number in range(2)]
    blue = gateway.deployment("blue", *instances, max_concurrent_requests=2, request_timeout_ms=60_000)
    gateway.publish(gateway.endpoint("churn", blue, traffic={"blue": 100}))
    until(lambda: gateway.admin.deployment_health()["churn__blue"].healthy == 2, "both are ready")

    release = gateway.home / "release"
    with concurrent.futures.ThreadPoolExecutor(20) as callers:
        calls = [callers.submit(gateway.call, "churn", f"/score?until={release}") for _ in range(20)]
        until(lambda: sum(call.done() for call in calls) == 12, "twelve are refused")
        release.touch()
    answers = [call.result() for call in calls]

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {200: 8, 429: 12}
    assert [instance.counts()["most_in_flight"] for instance in instances] == [2, 2]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert _error(refused) == (429, "TooManyRequests")
    assert refused.headers["retry-after"] == "1"


def test_more_requests_per_second_than_allowed_are_429(gateway: World) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"))
    gateway.publish(gateway.endpoint("churn", blue, traffic={"blue": 100}, rate_limit_per_second=5))
    with concurrent.futures.ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(lambda _: gateway.call("churn"), range(40)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert any(answer.status_code == 200 for answer in answers)
    assert _error(refused[0]) == (429, "RateLimited")
    assert int(refused[0].headers["retry-after"]) >= 1


def test_without_a_ready_instance_it_is_503_and_nothing_reaches_one(gateway: World) -> None:
    instance = gateway.instance("blue-0", ready=False)
    gateway.publish(gateway.endpoint("churn", gateway.deployment("blue", instance), traffic={"blue": 100}))
    answer = gateway.call("churn")
    assert _error(answer) == (503, "NoReadyInstance")
    assert answer.headers["retry-after"] == "1"
    assert instance.counts()["requests"] == 0

    instance.set_ready(True)
    until(lambda: gateway.call("churn").status_code == 200, "the instance gets requests once it is ready")


def test_a_deployment_without_instances_is_503(gateway: World) -> None:
    gateway.publish(gateway.endpoint("churn", gateway.deployment("blue"), traffic={"blue": 100}))
    assert _error(gateway.call("churn")) == (503, "NoReadyInstance")


def test_an_instance_that_is_no_longer_ready_gets_nothing(gateway: World) -> None:
    instances = [gateway.instance(f"blue-{number}") for number in range(2)]
    gateway.publish(gateway.endpoint("churn", gateway.deployment("blue", *instances), traffic={"blue": 100}))
    until(lambda: gateway.admin.deployment_health()["churn__blue"].healthy == 2, "both are ready")

    instances[0].set_ready(False)
    until(lambda: gateway.admin.deployment_health()["churn__blue"].healthy == 1, "one is out")
    seen = {gateway.call("churn").json()["instance"] for _ in range(20)}
    assert seen == {"blue-1"}


def test_a_dead_instance_costs_no_request_that_another_could_serve(gateway: World) -> None:
    instances = [gateway.instance(f"blue-{number}") for number in range(2)]
    gateway.publish(gateway.endpoint("churn", gateway.deployment("blue", *instances), traffic={"blue": 100}))
    until(lambda: gateway.admin.deployment_health()["churn__blue"].healthy == 2, "both are ready")
    instances[0].kill()
    assert Counter(gateway.call("churn").status_code for _ in range(50)) == {200: 50}


def test_one_instance_gets_work_while_the_other_is_busy(gateway: World) -> None:
    instances = [gateway.instance(f"blue-{number}") for number in range(2)]
    blue = gateway.deployment("blue", *instances, max_concurrent_requests=4, request_timeout_ms=60_000)
    gateway.publish(gateway.endpoint("churn", blue, traffic={"blue": 100}))
    until(lambda: gateway.admin.deployment_health()["churn__blue"].healthy == 2, "both are ready")
    release = gateway.home / "release"
    with concurrent.futures.ThreadPoolExecutor(8) as callers:
        for number in range(1, 9):
            callers.submit(gateway.call, "churn", f"/score?until={release}")
            until(partial(_are_answering, instances, number), f"{number} requests are being answered")
        release.touch()
    assert [instance.counts()["most_in_flight"] for instance in instances] == [4, 4]


def _are_answering(instances: list[Upstream], count: int) -> bool:
    return sum(instance.counts()["in_flight"] for instance in instances) == count
