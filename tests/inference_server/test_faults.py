"""What wears a server down: leaks, huge bodies, crowds of slow clients."""

import json
import resource
import socket
import time

import pytest

from tests.inference_server.server import PATIENCE_SECONDS, eventually

LEAKY = """
import os
kept = []
def init(): ...
def run(data):
    kept.append(bytearray(os.urandom(1 << 20) * int(data)))
    return os.getpid()
"""

LARGE_AND_SLOW = """
import time
kept = []
def init(): ...
def run(data):
    kept.append(b"x" * (200 << 20))
    time.sleep(1.5)
    return "done"
"""


@pytest.fixture
def leaky(tmp_path):
    (tmp_path / "main.py").write_text(LEAKY)
    return {"AML_APP_ROOT": str(tmp_path)}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_leaking_worker_is_replaced_between_requests_and_nobody_is_failed(serve, leaky, workers):
    server = serve(None, "--worker_count", workers, STUDIO_WORKER_MEMORY_BYTES=str(150 << 20), **leaky).until_ready()
    client = server.client()
    first = client.ask("POST", "/score", "1").json
    client.close()
    refused = 0

    def was_replaced() -> bool:
        nonlocal refused
        reply = server.ask("POST", "/score", "10")
        if reply.status != 200:
            refused += 1
            assert (reply.status, reply.headers["x-studio-not-run"]) == (503, "1")
            return False
        return reply.json != first and server.metric("inference_worker_restarts_total") > 0

    eventually(was_replaced, "another worker")
    server.logged(r"This worker holds \d+ bytes, more than STUDIO_WORKER_MEMORY_BYTES \(157286400\)")
    server.logged(r"Worker \d+ ended: it had reached its memory ceiling; replacing it in")


def test_a_request_in_work_ends_before_its_worker_is_replaced(serve, tmp_path):
    (tmp_path / "main.py").write_text(LARGE_AND_SLOW)
    server = serve(None, AML_APP_ROOT=str(tmp_path), STUDIO_WORKER_MEMORY_BYTES=str(150 << 20)).until_ready()
    reply = server.ask("POST", "/score", "x")
    assert (reply.status, reply.json) == (200, "done")
    server.logged("ended: it had reached its memory ceiling")
    eventually(lambda: server.ask("GET", "/ready").status == 200, "the replacement")


def test_a_ceiling_below_what_init_needs_is_not_applied(serve):
    server = serve("score.py", STUDIO_WORKER_MEMORY_BYTES="1000").until_ready()
    server.logged("After init.. this worker holds .* the ceiling is not applied")
    pid = server.do("pid").json
    time.sleep(1.2)  # two looks at the memory
    assert server.do("pid").json == pid


def test_a_body_of_200_megabytes_arrives_and_its_memory_is_given_back(serve, tmp_path):
    (tmp_path / "main.py").write_text("def init(): ...\ndef run(data):\n    return len(data)\n")
    server = serve(None, AML_APP_ROOT=str(tmp_path)).until_ready()
    before = server.metric('inference_worker_resident_bytes{worker="0"}')
    assert server.ask("POST", "/score", b"x" * 200_000_000).json == 200_000_000
    after = server.metric('inference_worker_resident_bytes{worker="0"}')
    assert after - before < 100_000_000
    assert server.ask("POST", "/score", "abc").json == 3


def test_ten_thousand_slow_clients_keep_nobody_out(serve):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 10_000 if hard == resource.RLIM_INFINITY else min(10_000, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 500, hard))
    server = serve("score.py", STUDIO_HEADER_TIMEOUT_SECONDS="4").until_ready()
    slow = []
    try:
        for _ in range(count):
            one = socket.socket(socket.AF_UNIX)
            slow.append(one)
            one.connect(server.socket_path)  # waits while the queue of the socket is full
            one.settimeout(PATIENCE_SECONDS)
            one.send(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Le")
        longest = 0.0
        for at in range(20):
            began = time.monotonic()
            assert server.do("echo", at=at).json == {"at": at}
            longest = max(longest, time.monotonic() - began)
        assert longest < 5
        eventually(lambda: server.metric("inference_connections") < 10, "the slow ones shown out")
        assert slow[-1].recv(100).startswith(b"HTTP/1.1 408")
    finally:
        for one in slow:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert server.ask("POST", "/score", json.dumps({"do": "echo"})).status == 200
    assert server.metric("inference_worker_restarts_total") == 0
