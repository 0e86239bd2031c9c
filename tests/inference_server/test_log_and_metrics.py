"""What the server writes and counts."""

import json
import re
import time

from tests.inference_server.server import eventually

LINE_START = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} I \[\d+\] "


def test_each_request_leaves_one_line_with_its_id(server):
    server.ask("GET", "/score?do=%22echo%22&a=%2Fb", headers={"x-request-id": "line-1"})
    line = LINE_START + r"azmlinfsrv - GET /score\?do=%22echo%22&a=%2Fb 200 \d+\.\d{3}ms 6?\d?\d\trequest_id=line-1$"
    server.logged(line)
    assert len(re.findall("request_id=line-1$", server.log, re.MULTILINE)) == 1


def test_the_line_is_in_the_log_within_a_fifth_of_a_second(server):
    server.do("echo", headers={"x-request-id": "line-2"})
    answered_at = time.monotonic()
    server.logged("request_id=line-2")
    assert time.monotonic() - answered_at < 0.2


def test_print_and_logging_in_run_carry_the_request_id(server):
    server.do("print", headers={"x-request-id": "line-3"}, text="größe")
    server.logged(LINE_START + r"azmlinfsrv\.print - größe\trequest_id=line-3$")
    server.logged(LINE_START.replace(" I ", " W ") + r"mine - logged größe\trequest_id=line-3$")


def test_health_checks_leave_no_line(server):
    server.ask("GET", "/")
    server.do("echo", headers={"x-request-id": "line-4"})
    server.logged("line-4")
    assert "GET / " not in server.log


def test_the_id_can_be_left_out(serve):
    server = serve("score.py", STUDIO_LOG_REQUEST_ID="false").until_ready()
    server.do("print", text="plain")
    server.logged(r"azmlinfsrv\.print - plain$")
    server.logged(r"azmlinfsrv - POST /score 200 \d+\.\d{3}ms 2$")


def test_a_logging_json_of_the_user_decides_the_format(serve, tmp_path):
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"own": {"format": "OWN|%(name)s|%(levelname)s|%(message)s"}},
        "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "own", "stream": "ext://sys.stdout"}},
        "root": {"level": "INFO", "handlers": ["out"]},
    }
    (tmp_path / "logging.json").write_text(json.dumps(config))
    (tmp_path / "main.py").write_text("def init():\n    print('hello')\n\ndef run(data):\n    return data\n")
    server = serve(None, AML_APP_ROOT=str(tmp_path)).until_ready()
    server.ask("POST", "/score", "x")
    server.logged(r"^OWN\|azmlinfsrv\.print\|INFO\|hello$")
    server.logged(r"^OWN\|azmlinfsrv\|INFO\|POST /score 200 ")


def test_soft_errors_are_counted_also_when_the_script_encoded_them(server):
    before = server.metric("inference_soft_errors_total")
    server.do("soft")
    server.do("soft", encoded=True)
    server.do("text", value='no {"error"} here')
    assert server.metric("inference_soft_errors_total") == before + 2


def test_runs_are_counted_timed_and_sorted_into_buckets(serve):
    server = serve("score.py").until_ready()
    for seconds in (0.0, 0.03, 0.3):
        server.do("sleep", seconds=seconds)
    server.do("raise", text="x")
    server.ask("POST", "/score", b"\xff")
    assert server.metric("inference_run_seconds_count") == 4
    assert 0.33 < server.metric("inference_run_seconds_sum") < 2
    assert server.metric('inference_run_seconds_bucket{le="0.025"}') == 2
    assert server.metric('inference_run_seconds_bucket{le="+Inf"}') == 4
    assert server.metric("inference_run_failures_total") == 1
    assert [server.metric(f'inference_answers_total{{class="{one}xx"}}') for one in (2, 4, 5)] == [3, 1, 1]
    assert server.metric('inference_worker_resident_bytes{worker="0"}') > 5_000_000


def test_counters_survive_the_worker(serve):
    import os
    import signal

    server = serve("score.py").until_ready()
    os.kill(server.do("pid").json[0], signal.SIGKILL)
    eventually(lambda: server.metric("inference_worker_restarts_total") == 1, "the restart")
    assert server.metric("inference_run_seconds_count") == 1
