"""HTTP itself: keep-alive, pipelining, chunks, limits, silence."""

import asyncio
import http.client
import json
import re
import time

from tests.inference_server.server import eventually


def read_until_closed(sock) -> bytes:
    received = b""
    while part := sock.recv(65536):
        received += part
    return received


def test_200_clients_at_once_each_get_their_own_answers(server):
    async def client(number: int) -> None:
        reader, writer = await asyncio.open_unix_connection(server.socket_path)
        for turn in range(10):
            body = json.dumps({"me": number, "turn": turn}).encode()
            head = f"POST /score HTTP/1.1\r\nHost: x\r\nx-request-id: {number}-{turn}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert answer.startswith("HTTP/1.1 200 OK\r\n")
            assert f"x-request-id: {number}-{turn}\r\n" in answer
            length = int(re.findall(r"Content-Length: (\d+)", answer)[0])
            assert json.loads(await reader.readexactly(length)) == {"me": number, "turn": turn}
        writer.close()

    async def everyone() -> None:
        await asyncio.wait_for(asyncio.gather(*(client(number) for number in range(200))), 30)

    asyncio.run(everyone())


def test_pipelined_requests_are_answered_in_order(server):
    with server.raw_socket() as sock:
        requests = b""
        for at in range(100):
            body = json.dumps({"at": at}).encode()
            requests += b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            requests += b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        sock.sendall(requests + b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = read_until_closed(sock)
    found = re.findall(rb'\r\n\r\n(\{"at":\d+\}|Healthy)', received)
    assert found == [part for at in range(100) for part in (b'{"at":%d}' % at, b"Healthy")]
    assert received.count(b"HTTP/1.1 404") == 1


def test_a_chunked_body_in_small_pieces_arrives_whole(server):
    with server.raw_socket() as sock:
        sock.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        text = json.dumps({"a": "x" * 50}).encode()
        for at in range(len(text)):
            sock.sendall(b"1\r\n" + text[at : at + 1] + b"\r\n")
        sock.sendall(b"0\r\n\r\n")
        assert read_until_closed(sock).endswith(text.replace(b": ", b":"))


def test_expect_100_continue_is_answered_before_the_body(server):
    with server.raw_socket() as sock:
        sock.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{}")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_http_1_0_closes_unless_asked_to_stay(server):
    with server.raw_socket() as sock:
        sock.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert b"Connection: keep-alive" in sock.recv(1000)
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"Connection: close" in read_until_closed(sock)


def test_nonsense_is_a_400_and_the_end_of_the_connection(server):
    for nonsense in (b"\x16\x03\x01\x02\x00", b"POST /score HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"HELLO\r\n\r\n"):
        with server.raw_socket() as sock:
            sock.sendall(nonsense)
            assert read_until_closed(sock).startswith(b"HTTP/1.1 400 Bad Request")


def test_conflicting_lengths_are_refused(server):
    with server.raw_socket() as sock:
        sock.sendall(
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        assert read_until_closed(sock).startswith(b"HTTP/1.1 400")


def test_endless_headers_are_refused(server):
    with server.raw_socket() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n" + b"".join(b"h%d: %b\r\n" % (at, b"v" * 1000) for at in range(100)))
        assert read_until_closed(sock).startswith(b"HTTP/1.1 431")


def test_a_body_of_20_megabytes_goes_there_and_back(server):
    text = "ü" * 10_000_000
    reply = server.do("echo", text=text)
    assert reply.json == {"text": text}


def test_a_body_over_the_limit_is_413_with_or_without_a_length(serve):
    server = serve("score.py", STUDIO_MAX_BODY_BYTES="1000").until_ready()
    reply = server.ask("POST", "/score", b"x" * 1001)
    assert reply.status == 413
    assert "1000" in reply.json["message"]
    with server.raw_socket() as sock:
        sock.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 2000)
        assert read_until_closed(sock).startswith(b"HTTP/1.1 413")
    assert server.do("echo").status == 200


def test_silent_clients_are_shown_out_and_hold_nobody_up(serve):
    server = serve("score.py", STUDIO_HEADER_TIMEOUT_SECONDS="0.5", STUDIO_BODY_TIMEOUT_SECONDS="0.5").until_ready()
    silent, half, no_body = server.raw_socket(), server.raw_socket(), server.raw_socket()
    half.sendall(b"POST /score HTTP/1.1\r\nHost")
    no_body.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123")
    assert server.do("echo").status == 200
    assert read_until_closed(silent) == b""
    assert read_until_closed(half).startswith(b"HTTP/1.1 408")
    assert read_until_closed(no_body).startswith(b"HTTP/1.1 408")
    for sock in (silent, half, no_body):
        sock.close()


def test_an_idle_connection_is_closed_after_its_keep_alive_time(serve):
    server = serve("score.py", STUDIO_KEEP_ALIVE_SECONDS="0.3").until_ready()
    with server.raw_socket() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        assert sock.recv(1000) == b""


def test_cors_names_an_allowed_origin_only(serve):
    server = serve("score.py", "--access_control_allow_origins", "http://a.example, http://b.example").until_ready()
    reply = server.do("echo", headers={"Origin": "http://b.example"})
    assert (reply.headers["Access-Control-Allow-Origin"], reply.headers["Vary"]) == ("http://b.example", "Origin")
    assert "Access-Control-Allow-Origin" not in server.do("echo", headers={"Origin": "http://evil.example"}).headers
    asks = {"Origin": "http://a.example", "Access-Control-Request-Method": "POST"}
    assert server.ask("OPTIONS", "/score", headers=asks).headers["Access-Control-Allow-Methods"] == "GET, POST"


def test_a_tcp_port_and_a_health_port_work_too(serve, free_ports):
    main, health = free_ports(2)
    server = serve("score.py", "--host", "127.0.0.1", "--health_port", str(health), port=main)

    def get(port: int, path: str) -> int:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            client.request("GET", path)
            return client.getresponse().status
        except OSError:
            return 0
        finally:
            client.close()

    eventually(lambda: get(main, "/ready") == 200, server.log)
    assert [get(health, path) for path in ("/", "/ready", "/metrics", "/score")] == [200, 200, 200, 503]


def test_long_waits_do_not_delay_a_quick_answer_for_long(server):
    """The slices of the engine let the loop hear a new client between two calls of run()."""
    clients = [server.client() for _ in range(20)]
    for client in clients:
        client.request("POST", "/score", b'{"do": "sleep", "seconds": 0.02}')
    started_at = time.monotonic()
    assert server.ask("GET", "/").status == 200
    assert time.monotonic() - started_at < 0.3
    assert {client.getresponse().status for client in clients} == {200}


def test_an_offer_to_upgrade_is_ignored(server):
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    with server.raw_socket() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + offer + b"\r\n")
        assert sock.recv(1000).endswith(b"Healthy")
        sock.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\n" + offer + b"Content-Length: 9\r\n\r\n" + b'{"a": 12}')
        assert sock.recv(1000).endswith(b'{"a":12}')
        sock.sendall(b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_until_closed(sock).startswith(b"HTTP/1.1 405")
