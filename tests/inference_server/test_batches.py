"""Requests that wait share a call: never more than allowed, never waited for, and nobody gets another's answer."""

import asyncio
import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.inference_server.models.environment import ModelEnvironment
from tests.inference_server.server import Server, eventually

BURST = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


async def _one(path: str, body: bytes) -> tuple[int, Any]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.findall(r"Content-Length: (\d+)", head)[0]
    answer = await reader.readexactly(int(length))
    writer.close()
    return int(head.split()[1]), json.loads(answer)


def burst(server: Server, bodies: list[bytes]) -> list[tuple[int, Any]]:
    """Each body on a connection of its own, all at once; answers in the order of the bodies."""

    async def everyone() -> list[tuple[int, Any]]:
        return await asyncio.wait_for(asyncio.gather(*(_one(server.socket_path, body) for body in bodies)), 60)

    return asyncio.run(everyone())


@pytest.fixture(scope="module")
def batches() -> Iterator[Server]:
    with Server("batch.py") as server:
        yield server.until_ready()


wishes = st.sampled_from(["good", "good", "good", "fail", "poison", "swallow", "no json"])


@BURST
@given(kinds=st.lists(wishes, min_size=1, max_size=40))
def test_everyone_gets_their_own_answer_and_only_those_at_fault_fail(batches, kinds):
    bodies = [
        b"{" if kind == "no json" else json.dumps({"me": at, kind: True}).encode() for at, kind in enumerate(kinds)
    ]
    for at, (kind, (status, answer)) in enumerate(zip(kinds, burst(batches, bodies), strict=True)):
        if kind == "good":
            assert status == 200
            assert answer["me"] == at
        else:
            assert status == 500


def test_alone_nobody_waits_for_company(batches):
    before = batches.metric("inference_batches_total"), batches.metric("inference_batched_requests_total")
    assert batches.ask("POST", "/score", '{"me": 1}').json == {"me": 1, "size": 1}
    after = batches.metric("inference_batches_total"), batches.metric("inference_batched_requests_total")
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)


def test_what_waits_is_taken_together_up_to_the_limit(serve):
    server = serve("batch.py", STUDIO_MAX_BATCH="4").until_ready()
    busy = server.client()
    busy.request("POST", "/score", b'{"me": "busy", "sleep": 0.5}')
    eventually(lambda: server.metric("inference_requests_in_flight") == 1, "a busy instance")
    clients = [server.client() for _ in range(6)]

    def is_queued(count: int) -> bool:
        return server.metric("inference_requests_queued") == count

    for at, client in enumerate(clients):
        client.request("POST", "/score", json.dumps({"me": at}).encode())
        eventually(partial(is_queued, at + 1), "its place in the queue")
    answers = [json.loads(client.getresponse().read()) for client in clients]
    assert [answer["size"] for answer in answers] == [4, 4, 4, 4, 2, 2]
    assert [answer["me"] for answer in answers] == list(range(6))


def test_a_batch_of_one_is_one_by_one(serve):
    server = serve("batch.py", STUDIO_MAX_BATCH="1").until_ready()
    answers = burst(server, [json.dumps({"me": at}).encode() for at in range(20)])
    assert {answer["size"] for _, answer in answers} == {1}


def test_a_batch_that_takes_too_long_is_interrupted_once_for_all(serve):
    server = serve("batch.py", SCORING_TIMEOUT_MS="400").until_ready()
    answers = burst(server, [json.dumps({"me": at, "sleep": 30}).encode() for at in range(3)])
    assert {status for status, _ in answers} == {500}
    assert {answer["message"] for _, answer in answers} == {"Scoring timeout after 400 ms"}
    assert burst(server, [b'{"me": 1}'])[0][0] == 200


def test_a_coroutine_run_batch_is_not_used(serve, tmp_path):
    text = "def init(): ...\ndef run(data): return data\nasync def run_batch(items): return items\n"
    (tmp_path / "main.py").write_text(text)
    server = serve(None, AML_APP_ROOT=str(tmp_path)).until_ready()
    assert server.ask("POST", "/score", "plain").json == "plain"
    server.logged(r"run_batch\(\) is not used")


@pytest.fixture(scope="module")
def boosting(model_environment: ModelEnvironment) -> Iterator[Server]:
    folder = str(model_environment.models / "boosting")
    with Server(None, "--model_dir", folder, python=model_environment.python, AML_APP_ROOT=folder) as server:
        yield server.until_ready()


numbers = st.floats(-3, 3, width=32)
rows = st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=1, max_size=4)
bad_rows = st.sampled_from([[[1, 2]], [["x", 1, 2, 3]], [[None, 1, 2, 3]], [], 7])


@pytest.mark.network
@BURST
@given(asked=st.lists(st.one_of(rows, rows, bad_rows), min_size=2, max_size=24))
def test_a_model_answers_a_crowd_as_it_answers_each_alone(boosting, asked):
    bodies = [json.dumps({"data": content}).encode() for content in asked]
    together = burst(boosting, bodies)
    for content, body, (status, answer) in zip(asked, bodies, together, strict=True):
        alone = boosting.ask("POST", "/score", body)
        assert status == alone.status, (content, answer, alone.body)
        if status == 200:
            assert answer["predictions"] == alone.json["predictions"]
            for got, want in zip(answer["probabilities"], alone.json["probabilities"], strict=True):
                assert got == pytest.approx(want, abs=1e-9)
        else:
            assert status == 400
            assert answer == alone.json


@pytest.mark.network
def test_a_crowd_shares_the_models_calls(boosting):
    before = boosting.metric("inference_batches_total"), boosting.metric("inference_batched_requests_total")
    burst(boosting, [b'{"data": [[1, 2, 3, 4]]}'] * 200)
    calls = boosting.metric("inference_batches_total") - before[0]
    assert boosting.metric("inference_batched_requests_total") - before[1] == 200
    assert calls < 150
