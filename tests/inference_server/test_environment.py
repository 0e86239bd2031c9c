"""sys.path, threads of BLAS, swagger, concurrency by threads."""

import json
import shutil
import subprocess
import sys
from functools import partial

import pytest

from tests.inference_server.server import MAIN, eventually


def test_the_servers_directory_is_last_on_the_path_and_its_modules_hide_nothing(tmp_path):
    """A user's log.py and script.py are found; a package of the user called inference_server does not break the server."""
    runtime = tmp_path / "runtime"
    shutil.copytree(MAIN.parent, runtime / "inference_server", ignore=shutil.ignore_patterns("__pycache__"))
    code = tmp_path / "code"
    (code / "inference_server").mkdir(parents=True)
    (code / "inference_server" / "__init__.py").write_text("WHOSE = 'the user'\n")
    (code / "log.py").write_text("NAME = 'the log of the user'\n")
    (code / "score.py").write_text(
        "import json, sys, log, orjson\n"
        "def init():\n    print(json.dumps([sys.path, log.NAME]))\n    sys.exit('enough')\n"
        "def run(data):\n    return data\n"
    )
    command = [sys.executable, str(runtime / "inference_server" / "__main__.py"), "--entry_script", "score.py"]
    done = subprocess.run(
        [*command, "--socket", str(tmp_path / "s")], cwd=code, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 3, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if "azmlinfsrv.print - " in line)
    path, name = json.loads(line.split(" - ", 1)[1])
    assert name == "the log of the user"
    assert path[-2:] == [str(code), str(runtime)]
    assert str(runtime / "inference_server") not in path


@pytest.mark.parametrize(
    ("flags", "given", "threads"),
    [
        ([], {"STUDIO_CPU_LIMIT": "4"}, "4"),
        ([], {"STUDIO_CPU_LIMIT": "0.5"}, "1"),
        (["--worker_count", "2"], {"STUDIO_CPU_LIMIT": "3.5"}, "1"),
        ([], {"STUDIO_CPU_LIMIT": "4", "OMP_NUM_THREADS": "3"}, "3"),
        ([], {}, None),
    ],
)
def test_blas_gets_the_instances_share(serve, flags, given, threads):
    server = serve("score.py", *flags, **given).until_ready()
    assert server.do("environment", name="OMP_NUM_THREADS").json == ({} if threads is None else threads)
    assert server.do("environment", name="OPENBLAS_NUM_THREADS").json == ({} if threads is None else threads)


def test_the_model_directory_reaches_the_script(serve, tmp_path):
    server = serve("score.py", "--model_dir", str(tmp_path)).until_ready()
    assert server.do("environment", name="AZUREML_MODEL_DIR").json == str(tmp_path)


def test_more_than_one_request_at_once_run_in_threads(serve):
    server = serve("threads.py", "--max_concurrent", "4", SCORING_TIMEOUT_MS="1000").until_ready()
    clients = [server.client() for _ in range(4)]
    for client in clients:
        client.request("POST", "/score", b'{"meet": true}')
    names = {client.getresponse().read() for client in clients}
    assert len(names) == 4
    for _ in range(2):
        reply = server.ask("POST", "/score", '{"spin": true}')
        assert (reply.status, reply.json) == (500, {"message": "Scoring timeout after 1000 ms"})
    assert server.ask("POST", "/score", "{}").status == 200
    assert server.metric("inference_worker_restarts_total") == 0


def test_workers_share_out_the_requests_at_once(serve):
    """Four at once over four workers is one each: on the main thread, as a script that is not thread-safe needs it."""
    server = serve("score.py", "--max_concurrent", "4", "--worker_count", "4").until_ready()
    assert server.do("thread").json is True


def test_several_workers_work_side_by_side(serve):
    server = serve("score.py", "--worker_count", "2").until_ready()
    eventually(lambda: server.log.count("ready for serving") == 2, "both workers")
    clients = [server.client() for _ in range(2)]

    def grew(before: float) -> bool:
        return server.metric("inference_requests_in_flight") == before + 1

    for client in clients:
        before = server.metric("inference_requests_in_flight")
        client.request("POST", "/score", b'{"do": "sleep", "seconds": 1}')
        eventually(partial(grew, before), "run() in work")
    pids = {client.getresponse().read() for client in clients}
    assert len(pids) == 2


def test_swagger_is_generated_for_three_versions(serve):
    server = serve("score.py", SERVICE_NAME="churn", SERVICE_VERSION="7", SERVICE_PATH_PREFIX="a/b").until_ready()
    two, three, newest = (server.ask("GET", f"/swagger.json?version={v}").json for v in ("2", "3.0", "3.1"))
    assert (two["swagger"], three["openapi"], newest["openapi"]) == ("2.0", "3.0.3", "3.1.0")
    assert two["info"]["title"] == "churn"
    assert list(two["paths"]) == ["/a/b/", "/a/b/swagger.json", "/a/b/score"]
    assert server.ask("GET", "/swagger.json").json == two
    reply = server.ask("GET", "/swagger.json?version=4")
    assert (reply.status, reply.json["message"]) == (
        404,
        "Swagger version [4] is not valid. Supported versions: [2, 3, 3.1].",
    )


def test_a_swagger_file_of_the_user_wins(serve, tmp_path):
    (tmp_path / "swagger3.json").write_text('{"openapi": "mine"}')
    (tmp_path / "swagger2.json").write_text("broken")
    (tmp_path / "main.py").write_text("def init():\n    pass\n\ndef run(data):\n    return data\n")
    server = serve(None, AML_APP_ROOT=str(tmp_path)).until_ready()
    assert server.ask("GET", "/swagger.json?version=3").json == {"openapi": "mine"}
    assert server.ask("GET", "/swagger.json?version=2").json["swagger"] == "2.0"
    server.logged(r"swagger2\.json is not used as API document")


def test_threads_may_stream_and_a_leaving_reader_ends_it(serve):
    server = serve("raw.py", "--max_concurrent", "2").until_ready()
    assert server.ask("GET", "/score?do=stream&n=3000").body.endswith(b"part 2999\n")
    client = server.client()
    client.request("GET", "/score?do=stream&n=100000&pause=0.01", headers={"x-request-id": "bored"})
    client.getresponse().readline()
    client.close()
    server.logged(r"499 .*request_id=bored")
    eventually(lambda: server.metric("inference_requests_in_flight") == 0, "the end of the stream")
