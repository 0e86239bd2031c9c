"""@rawhttp: the request itself in, AMLResponse out, streams."""

import time

import pytest

from tests.inference_server.server import Server, eventually


@pytest.fixture(scope="module")
def raw():
    with Server("raw.py") as started:
        yield started.until_ready()


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_run_gets_the_live_request_for_every_method(raw, method):
    body = None if method == "GET" else b"\x00\xffbinary"
    reply = raw.ask(method, "/score?a=1", body, {"X-Mine": "yes", "Content-Type": "image/png"})
    assert reply.json == {
        "method": method,
        "path": "/score",
        "query": "a=1",
        "header": "yes",
        "bytes": len(body or b""),
        "type": "image/png",
    }


def test_an_image_comes_back_with_its_own_type_status_and_headers(raw):
    reply = raw.ask("POST", "/score?do=image", b"\x01\x02\x03")
    assert (reply.status, reply.body) == (201, b"\x03\x02\x01")
    assert reply.headers.get_all("Content-Type") == ["image/png"]
    assert reply.headers.get_all("X-Two") == ["a", "b"]
    assert reply.headers["x-ms-run-function-failed"] == "False"
    assert "x-ms-run-fn-exec-ms" in reply.headers


def test_a_status_of_500_or_more_marks_the_run_as_failed(raw):
    reply = raw.ask("POST", "/score?do=fail", b"")
    assert (reply.status, reply.body, reply.headers["x-ms-run-function-failed"]) == (503, b'"it broke"', "True")
    reply = raw.ask("POST", "/score?do=flag", b"")
    assert (reply.status, reply.json, reply.headers["x-ms-run-function-failed"]) == (200, {"a": 1}, "True")


def test_no_message_is_an_empty_object(raw):
    reply = raw.ask("POST", "/score?do=none", b"")
    assert (reply.status, reply.json, reply.headers["Content-Type"]) == (200, {}, "application/json")


def test_a_script_cannot_override_ids_and_length(raw):
    reply = raw.ask("POST", "/score?do=ids", b"", {"x-request-id": "mine"})
    assert reply.headers.get_all("x-request-id") == ["mine"]
    assert reply.headers.get_all("Content-Length") == ["1"]
    assert "x-studio-not-run" not in reply.headers  # run() has seen it: nobody may try it again


def test_a_generator_is_streamed_while_it_runs(raw):
    client = raw.client()
    client.request("POST", "/score?do=stream&n=5&pause=0.1", b"", {"x-request-id": "streamer"})
    answer = client.getresponse()
    assert answer.headers["Transfer-Encoding"] == "chunked"
    started_at = time.monotonic()
    assert answer.readline() == b"part 0\n"
    first_after = time.monotonic() - started_at
    assert answer.read() == b"".join(b"part %d\n" % at for at in range(1, 5))
    assert first_after < time.monotonic() - started_at - 0.2
    assert client.ask("GET", "/").status == 200
    client.close()
    raw.logged(r"POST /score\?do=stream&n=5&pause=0.1 200 \d+\.\d{3}ms N/A\trequest_id=streamer$")


def test_a_long_stream_waits_for_a_slow_reader_and_arrives_whole(raw):
    reply = raw.ask("GET", "/score?do=stream&n=20000")
    assert reply.body == b"".join(b"part %d\n" % at for at in range(20000))


def test_a_stream_that_breaks_cuts_the_connection(raw):
    with raw.raw_socket() as sock:
        sock.sendall(b"GET /score?do=broken-stream HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        try:
            while part := sock.recv(65536):
                received += part
        except ConnectionError:
            pass
    assert b"5\r\nfirst\r\n" in received
    assert not received.endswith(b"0\r\n\r\n")
    raw.logged("RuntimeError: in the middle")


def test_a_stream_ends_when_its_reader_leaves(raw):
    client = raw.client()
    client.request("GET", "/score?do=stream&n=100000&pause=0.01", headers={"x-request-id": "bored"})
    client.getresponse().readline()
    client.close()
    raw.logged(r"499 .*request_id=bored")
    eventually(lambda: raw.metric("inference_requests_in_flight") == 0, "the end of the stream")


def test_a_script_that_begins_to_stream_after_many_quick_calls_streams_too(serve):
    server = serve("streams_late.py").until_ready()
    client = server.client()
    for _ in range(100):
        assert client.ask("POST", "/score", "0").json == "quick"
    assert client.ask("POST", "/score", "1000").body == "".join(f"{at}," for at in range(1000)).encode()
    assert client.ask("POST", "/score", "0").json == "quick"
