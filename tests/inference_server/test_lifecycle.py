"""Timeouts, crashes, hangs, drain: what happens to a worker and to those who wait for it."""

import http.client
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.inference_server.server import eventually


def test_a_python_loop_is_interrupted_by_the_scoring_timeout(serve):
    server = serve("score.py", SCORING_TIMEOUT_MS="300").until_ready()
    before = server.do("pid").json
    for what in ({"do": "spin"}, {"do": "sleep", "seconds": 60}, {"do": "stubborn_sleep", "seconds": 60}):
        started_at = time.monotonic()
        reply = server.do(**{"what": what.pop("do"), **what})
        assert (reply.status, reply.json) == (500, {"message": "Scoring timeout after 300 ms"})
        assert reply.headers["x-ms-run-function-failed"] == "True"
        assert 0.29 < time.monotonic() - started_at < 5
    assert server.do("pid").json == before
    assert server.metric("inference_run_timeouts_total") == 3


def test_quick_requests_after_a_slow_one_are_not_hit_by_its_alarm(serve):
    server = serve("score.py", SCORING_TIMEOUT_MS="200").until_ready()
    client = server.client()
    ends_at = time.monotonic() + 1.0
    while time.monotonic() < ends_at:
        assert client.ask("POST", "/score", '{"do": "sleep", "seconds": 0.03}').status == 200


def test_a_hang_in_c_that_keeps_the_interpreter_is_ended_by_the_supervisor(serve):
    server = serve("score.py", SCORING_TIMEOUT_MS="300").until_ready()
    first = server.do("pid").json
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        server.do("hold_interpreter", headers={"x-request-id": "the-culprit"})
    server.logged(r"cannot be interrupted.*request_id=the-culprit")
    server.logged(r"score\.py\", line \d+ in do_hold_interpreter")
    eventually(lambda: server.ask("GET", "/ready").status == 200, "a new worker")
    assert server.do("pid").json != first
    assert server.metric("inference_worker_restarts_total") == 1


def test_a_hang_in_c_that_lets_others_run_still_gets_its_answer(serve):
    server = serve("score.py", SCORING_TIMEOUT_MS="300").until_ready()
    first = server.do("pid").json
    reply = server.do("deadlock_in_c")
    assert (reply.status, reply.json) == (500, {"message": "Scoring timeout after 300 ms"})
    eventually(lambda: server.metric("inference_worker_restarts_total") == 1, "a replacement")
    eventually(lambda: server.ask("GET", "/ready").status == 200, "a new worker")
    assert server.do("pid").json != first


@pytest.mark.parametrize("what", ["crash", "kill -9"])
def test_a_dead_worker_is_replaced(serve, what):
    server = serve("score.py").until_ready()
    first = server.do("pid").json[0]
    if what == "crash":
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            server.do("crash", headers={"x-request-id": "fatal"})
        server.logged(r"ended: signal SIGSEGV while it ran a request.*request_id=fatal")
    else:
        os.kill(first, signal.SIGKILL)
        server.logged("ended: signal SIGKILL")
    eventually(lambda: server.ask("GET", "/ready").status == 200, "a new worker")
    assert server.do("pid").json[0] != first


def test_the_other_worker_answers_while_one_is_replaced(serve):
    server = serve("score.py", "--worker_count", "2").until_ready()
    eventually(lambda: server.metric('inference_worker_ready{worker="1"}') == 1, "the second worker")
    eventually(lambda: server.metric('inference_worker_ready{worker="0"}') == 1, "the first worker")
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    for _ in range(50):
        assert server.do("echo").status == 200


def test_health_checks_are_answered_while_run_is_busy(serve):
    server = serve("score.py").until_ready()
    client = server.client()
    client.request("POST", "/score", b'{"do": "sleep", "seconds": 2}')
    eventually(lambda: server.metric("inference_requests_in_flight") == 1, "run() in work")
    started_at = time.monotonic()
    assert server.ask("GET", "/ready").status == 200
    assert time.monotonic() - started_at < 1
    assert client.getresponse().status == 200


def test_a_full_queue_answers_429_and_says_when_to_come_back(serve):
    server = serve("score.py", STUDIO_MAX_QUEUE="2").until_ready()
    busy = [server.client() for _ in range(3)]
    for client in busy:
        client.request("POST", "/score", b'{"do": "sleep", "seconds": 0.8}')

    def is_full() -> bool:
        return (server.metric("inference_requests_in_flight"), server.metric("inference_requests_queued")) == (1, 2)

    eventually(is_full, "a full queue")
    reply = server.do("echo")
    assert (reply.status, reply.headers["Retry-After"], reply.headers["x-studio-not-run"]) == (429, "1", "1")
    assert [client.getresponse().status for client in busy] == [200, 200, 200]
    assert server.do("echo").status == 200
    assert server.metric("inference_rejected_total") == 1


def test_a_request_whose_client_left_is_not_run(serve):
    server = serve("score.py").until_ready()
    busy, leaver = server.client(), server.client()
    busy.request("POST", "/score", b'{"do": "sleep", "seconds": 0.5}')
    eventually(lambda: server.metric("inference_requests_in_flight") == 1, "run() in work")
    leaver.request("POST", "/score", b'{"do": "print", "text": "nobody waits"}', {"x-request-id": "leaver"})
    eventually(lambda: server.metric("inference_requests_queued") == 1, "the second in the queue")
    leaver.close()
    assert busy.getresponse().status == 200
    server.logged(r"POST /score 499 .*request_id=leaver")
    assert "nobody waits" not in server.log
    assert server.metric("inference_disconnected_total") == 1


@pytest.mark.parametrize("flags", [[], ["--worker_count", "2"], ["--max_concurrent", "2"]])
def test_sigterm_turns_readiness_off_first_and_lets_requests_finish(serve, flags):
    server = serve("score.py", *flags, STUDIO_LAME_DUCK_SECONDS="0.7").until_ready()
    client, idle = server.client(), server.client()
    assert idle.ask("GET", "/").status == 200
    client.request("POST", "/score", b'{"do": "sleep", "seconds": 1.5}')
    eventually(lambda: server.metric("inference_requests_in_flight") == 1, "run() in work")
    server.process.send_signal(signal.SIGTERM)
    eventually(lambda: server.ask("GET", "/ready").status == 503, "unready")
    reply = idle.ask("GET", "/")
    assert (reply.status, reply.headers["Connection"]) == (200, "close")
    answer = client.getresponse()
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    assert server.exit_code() == 0
    assert not Path(server.socket_path).exists()
    assert "POST /score 200" in server.log


def test_no_request_fails_while_one_server_takes_over_from_another(serve):
    """A client that opens a connection for each request, as long as the socket is there, never sees a failure."""
    server = serve("score.py").until_ready()
    served, failed = [], []

    def ask_on() -> None:
        while True:
            try:
                served.append(server.do("echo").status)
            except (FileNotFoundError, ConnectionRefusedError):
                return
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=ask_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(served) > 100, "some load")
    server.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join(20)
    assert server.exit_code() == 0
    assert not failed
    assert set(served) == {200}


def test_workers_stop_when_the_supervisor_is_killed(serve):
    server = serve("score.py").until_ready()
    worker = server.do("pid").json[0]
    server.process.kill()
    server.process.wait(10)

    def is_gone() -> bool:
        stat = Path(f"/proc/{worker}/stat")
        return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"

    eventually(is_gone, "the worker's end")


def test_a_second_server_on_the_socket_waits_and_then_names_it(serve):
    server = serve("score.py").until_ready()
    rival = serve("score.py", "--socket", server.socket_path)
    assert rival.exit_code() == 1
    assert f"Cannot listen on {server.socket_path}: another server listens there." in rival.log
    assert server.do("echo").status == 200


def test_a_stale_socket_file_is_replaced(serve):
    server = serve("score.py").until_ready()
    os.kill(server.do("pid").json[0], signal.SIGSTOP)
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    server.process.kill()
    server.process.wait(10)
    assert Path(server.socket_path).exists()
    successor = serve("score.py", "--socket", server.socket_path)
    successor.logged("ready for serving")
    eventually(lambda: server.ask("GET", "/ready").status == 200, "the successor")
    assert server.do("echo").status == 200


def test_preloaded_workers_share_one_init_and_are_replaced_from_it(serve):
    server = serve("score.py", "--worker_count", "2", WORKER_PRELOAD="true").until_ready()
    pid, started_in = server.do("pid").json
    assert pid != started_in
    assert server.log.count("init was here") == 1
    os.kill(pid, signal.SIGKILL)
    server.logged("ended: signal SIGKILL")
    eventually(lambda: server.log.count("ready for serving") == 3, "the replacement")
    assert server.until_ready().do("pid").json[1] == started_in
    server.process.send_signal(signal.SIGTERM)
    assert server.exit_code() == 0


def test_preloading_steps_back_when_init_leaves_threads(serve):
    server = serve("starts_thread.py", WORKER_PRELOAD="true").until_ready()
    pid, started_in = server.ask("POST", "/score", "x").json
    assert pid == started_in
    server.logged("init\\(\\) left 1 threads running")


def test_a_worker_without_a_sign_of_life_is_replaced_but_a_slow_one_is_not(serve):
    server = serve("score.py", WORKER_TIMEOUT="1").until_ready()
    client = server.client()
    before = client.ask("POST", "/score", '{"do": "pid"}').json
    assert client.ask("POST", "/score", '{"do": "sleep", "seconds": 2.5}').status == 200
    for _ in range(100):  # quick calls bring the engine to call run() within its loop
        client.ask("POST", "/score", "{}")
    assert client.ask("POST", "/score", '{"do": "sleep", "seconds": 2.5}').status == 200
    assert client.ask("POST", "/score", '{"do": "pid"}').json == before
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        client.ask("POST", "/score", '{"do": "hold_interpreter"}')
    server.logged(r"no sign of life for .*WORKER_TIMEOUT")
    eventually(lambda: server.ask("GET", "/ready").status == 200, "a new worker")


def test_a_hang_in_one_thread_fails_that_request_and_sends_the_others_away(serve):
    server = serve("score.py", "--max_concurrent", "2", SCORING_TIMEOUT_MS="600").until_ready()
    hung, other = server.client(), server.client()
    hung.request("POST", "/score", b'{"do": "deadlock_in_c"}')
    eventually(lambda: server.metric("inference_requests_in_flight") == 1, "the hang")
    answer = hung.getresponse()
    assert (answer.status, b"Scoring timeout" in answer.read()) == (500, True)
    server.logged("this worker is replaced")
    eventually(lambda: server.metric("inference_worker_restarts_total") == 1, "a replacement")
    eventually(lambda: server.ask("GET", "/ready").status == 200, "a new worker")
    assert other.ask("POST", "/score", "{}").status == 200


def test_what_waits_behind_a_hang_is_sent_away_untouched_and_what_runs_is_not_tried_again(serve):
    server = serve("score.py", SCORING_TIMEOUT_MS="400").until_ready()
    hung, waiting = server.client(), server.client()
    hung.request("POST", "/score", b'{"do": "deadlock_in_c"}')
    eventually(lambda: server.metric("inference_requests_in_flight") == 1, "the hang")
    waiting.request("POST", "/score", b"{}")
    answer = waiting.getresponse()
    assert (answer.status, answer.headers["x-studio-not-run"]) == (503, "1")
    assert "x-studio-not-run" not in hung.getresponse().headers


def test_interrupt_from_the_keyboard_stops_like_sigterm(serve):
    server = serve("score.py", "--worker_count", "2").until_ready()
    for pid in [*server.worker_pids(), server.process.pid]:  # a terminal signals the whole group
        os.kill(pid, signal.SIGINT)
    assert server.exit_code(10) == 0
    assert "ended: signal" not in server.log
