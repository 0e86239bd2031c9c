"""A script that cannot be used: exit code 3, and a text that names file, line and remedy."""

import signal

import pytest


@pytest.mark.parametrize(
    ("script", "texts"),
    [
        ("broken_syntax.py", ["broken_syntax.py", "line 5", "SyntaxError", "Remedy: correct line 5"]),
        ("broken_import.py", ["line 1", "No module named 'a_package_nobody_has'", "Remedy: add the package"]),
        ("broken_top_level.py", ["broken_top_level.py", "line 2", "in helper", "KeyError: 'missing'"]),
        ("broken_init.py", ["line 5", "in init", "nothing.pkl", "Remedy: compare the path", "model.bin  (3 bytes)"]),
        ("broken_init_exit.py", ["User's init function failed", "SystemExit: 0"]),
        ("broken_init_crash.py", ["SIGSEGV", "in init"]),
        ("broken_no_init.py", ["does not have a init() function defined", "Remedy: add `def init():`"]),
        ("broken_no_run.py", ["does not have a run() function defined", "Remedy: add `def run(raw_data):`"]),
        ("broken_star_args.py", ["run() cannot accept positional-only arguments, *args, or **kwargs."]),
        ("broken_no_argument.py", ["run() needs to accept an argument for input data."]),
        ("broken_only_headers.py", ['run() needs to accept an argument other than "request_headers".']),
        ("broken_two_decorators.py", ["both @rawhttp and @input_schema"]),
        ("there_is_none.py", ["there_is_none.py does not exist", "Remedy: give its path"]),
        ("nested/imports_sibling.py", ["lies_in_nested lies beside the script", "AZUREML_SOURCE_DIRECTORY"]),
    ],
)
def test_a_broken_script_ends_the_server_with_code_3_and_says_why(serve, tmp_path, script, texts):
    (tmp_path / "model.bin").write_bytes(b"abc")
    server = serve(script, "--model_dir", str(tmp_path))
    assert server.exit_code() == 3, server.log
    for text in texts:
        assert text in server.log


@pytest.mark.parametrize("preload", ["true", "false"])
def test_preloading_does_not_change_how_a_broken_script_ends(serve, preload):
    server = serve("broken_init.py", "--worker_count", "2", WORKER_PRELOAD=preload, AZUREML_MODEL_DIR="/nowhere")
    assert server.exit_code() == 3
    assert "AZUREML_MODEL_DIR is /nowhere, which is not a directory." in server.log


def test_a_large_model_directory_is_listed_in_200_lines_at_most(serve, tmp_path):
    for at in range(300):
        (tmp_path / f"{at}.bin").write_bytes(b"")
    server = serve("broken_init.py", "--model_dir", str(tmp_path))
    server.exit_code()
    listed = server.log.split("Content of the model directory")[1].split("Encountered Exception")[0]
    assert 195 <= len(listed.splitlines()) <= 201
    assert "the rest is left out" in listed


def test_the_traceback_begins_in_the_script(serve):
    server = serve("broken_top_level.py")
    server.exit_code()
    assert "importlib" not in server.log
    assert "inference_server/script.py" not in server.log


@pytest.mark.parametrize("flags", [["--port", "0"], ["--worker_count", "x"], ["--nonsense"]])
def test_a_bad_flag_prints_the_help_and_ends_with_code_1(serve, flags):
    server = serve("score.py", *flags)
    assert server.exit_code() == 1
    assert "usage: inference_server" in server.log


def test_a_bad_environment_value_is_a_configuration_error(serve):
    server = serve("score.py", SCORING_TIMEOUT_MS="soon")
    assert server.exit_code() == 3
    assert "SCORING_TIMEOUT_MS is 'soon', which is not a number." in server.log


def test_a_configuration_file_fills_what_the_environment_leaves_open(serve, tmp_path):
    file = tmp_path / "c.json"
    file.write_text('{"SCORING_TIMEOUT_MS": 1234, "WORKER_COUNT": 2, "TYPO": 1}')
    server = serve("score.py", "--config_file", str(file), WORKER_COUNT="1").until_ready()
    assert "Worker Count: 1\n" in server.log
    assert "Scoring Timeout (ms): 1234\n" in server.log
    server.logged("unknown key 'TYPO'")


def test_while_init_runs_the_instance_is_alive_but_not_ready(serve, tmp_path):
    go = tmp_path / "go"
    server = serve("slow_init.py", GO_FILE=str(go))
    server.logged("Invoking user's init function")
    assert server.ask("GET", "/").status == 200
    assert server.ask("GET", "/ready").status == 503
    assert server.metric("inference_ready") == 0
    reply = server.ask("POST", "/score", b"x" * 100_000, {"x-request-id": "early"})
    assert (reply.status, reply.headers["Retry-After"], reply.headers["x-request-id"]) == (503, "1", "early")
    assert reply.headers["x-studio-not-run"] == "1"
    go.touch()
    assert server.until_ready().ask("POST", "/score", "x").json == "ready at last"


def test_sigterm_during_init_ends_the_server_at_once(serve):
    server = serve("slow_init.py", GO_FILE="/nowhere/at/all")
    server.logged("Invoking user's init function")
    server.process.send_signal(signal.SIGTERM)
    assert server.exit_code(10) == 0
