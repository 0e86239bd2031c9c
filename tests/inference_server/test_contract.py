"""What run() is given and what callers get back."""

import json
import re
import uuid

import pytest

SCRIPT_FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
SERVER_FAILED = "An unexpected internal error occurred. Check the logs for more info."
DEFAULT_JSON = {"Content-Type": "application/json"}


def test_the_root_says_healthy(server):
    reply = server.ask("GET", "/")
    assert (reply.status, reply.body) == (200, b"Healthy")
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"


def test_head_of_the_root_has_the_length_and_no_body(server):
    reply = server.ask("HEAD", "/")
    assert (reply.status, reply.body, reply.headers["Content-Length"]) == (200, b"", "7")


def test_run_gets_the_body_as_text_whatever_its_content_type(server):
    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        reply = server.ask("POST", "/score", '{"grüße": "日本 🎈"}', {"Content-Type": kind})
        assert reply.json == {"grüße": "日本 🎈"}


def test_a_body_that_is_not_utf8_is_the_callers_fault(server):
    reply = server.ask("POST", "/score", b"\xff\xfe")
    assert reply.status == 400
    assert reply.json["message"].startswith("Input cannot be decoded as UTF-8: ")
    assert reply.headers["x-ms-run-function-failed"] == "False"


def test_a_query_string_becomes_a_json_text(server):
    reply = server.ask("GET", "/score?do=%22echo%22&a=1&a=2&b=word&c=%5B1%5D&d=")
    assert reply.json == {"a": [1, 2], "b": "word", "c": [1], "d": ""}


@pytest.mark.parametrize(
    ("wish", "body"),
    [
        ({"do": "nothing"}, "{}"),
        ({"do": "text", "value": '{"a": 1}'}, '"{\\"a\\": 1}"'),
        ({"do": "not_a_number"}, "[NaN, Infinity, null]"),
        ({"do": "int_keys"}, '{"1": "one", "null": 2}'),
    ],
)
def test_results_are_written_as_json_dumps_writes_them(server, wish, body):
    reply = server.ask("POST", "/score", json.dumps(wish))
    assert (reply.status, reply.body.decode()) == (200, body)
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["x-ms-run-function-failed"] == "False"
    assert re.fullmatch(r"\d+\.\d{3}", reply.headers["x-ms-run-fn-exec-ms"])


def test_an_exception_in_run_is_a_500_with_its_traceback_only_in_the_log(server):
    reply = server.do("raise", text="the reason")
    assert (reply.status, reply.json) == (500, {"message": SCRIPT_FAILED})
    assert reply.headers["x-ms-run-function-failed"] == "True"
    assert "x-ms-run-fn-exec-ms" not in reply.headers
    server.logged(r"score\.py\", line \d+, in do_raise")
    server.logged("ValueError: the reason")


def test_sys_exit_in_run_is_a_500_and_the_worker_goes_on(server):
    before = server.do("pid").json
    reply = server.do("exit")
    assert (reply.status, reply.json) == (500, {"message": SCRIPT_FAILED})
    assert server.do("pid").json == before


def test_a_result_that_json_does_not_know_is_an_internal_500(server):
    reply = server.do("bytes")
    assert (reply.status, reply.json) == (500, {"message": SERVER_FAILED})
    assert reply.headers["x-ms-run-function-failed"] == "False"
    server.logged("Object of type bytes is not JSON serializable")


def test_run_is_on_the_main_thread_and_may_use_asyncio(server):
    for _ in range(100):  # enough of them for the engine to call run() within its loop
        assert server.do("thread").json is True
    assert server.do("asyncio").json == "awaited"


def test_options_is_empty_and_head_is_refused(server):
    reply = server.ask("OPTIONS", "/score")
    assert (reply.status, reply.body) == (200, b"")
    assert server.ask("HEAD", "/score").status == 405


@pytest.mark.parametrize(
    ("method", "path", "status"), [("PUT", "/score", 405), ("GET", "/score/", 404), ("POST", "/", 405)]
)
def test_other_routes_answer_with_a_json_message(server, method, path, status):
    reply = server.ask(method, path)
    assert reply.status == status
    assert reply.json["message"].startswith("The ")
    assert ("Allow" in reply.headers) == (status == 405)


def test_a_missing_request_id_is_made_up(server):
    headers = server.do("echo").headers
    assert uuid.UUID(headers["x-request-id"]).version == 4
    assert headers["x-ms-request-id"] == headers["x-request-id"]
    assert "x-ms-client-request-id" not in headers
    assert "x-ms-server-version" in headers


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        ({"x-request-id": "r"}, ("r", "r", None)),
        ({"x-request-id": "r", "x-ms-client-request-id": "c"}, ("r", "c", "c")),
        ({"x-request-id": "r", "x-ms-request-id": "m"}, ("r", "m", "m")),
        ({"x-request-id": "r", "x-ms-request-id": "m", "x-ms-client-request-id": "c"}, ("r", "m", "c")),
    ],
)
def test_ids_come_back(server, sent, back):
    headers = server.do("raise", headers=sent, text="x").headers
    assert (headers["x-request-id"], headers["x-ms-request-id"], headers["x-ms-client-request-id"]) == back


def test_trace_id_comes_back(server):
    assert server.do("echo", headers={"TraceId": "abc"}).headers["TraceId"] == "abc"


def test_an_id_over_100_characters_is_431(server):
    assert server.do("echo", headers={"x-request-id": "r" * 100}).status == 200
    reply = server.do("echo", headers={"x-request-id": "r" * 101})
    assert (reply.status, reply.json["message"]) == (431, "x-request-id must not exceed 100 characters")
    assert "x-request-id" not in reply.headers
    reply = server.do("echo", headers={"x-request-id": "r", "x-ms-client-request-id": "c" * 101})
    assert reply.status == 431
    assert reply.json["message"] == "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"
    assert reply.headers["x-request-id"] == "r"


def test_request_headers_arrive_in_title_case_and_defaults_hold(serve):
    server = serve("headers.py").until_ready()
    reply = server.ask("POST", "/score", "body", {"x-mine": "1"}).json
    assert (reply["data"], reply["extra"], reply["headers"]["X-Mine"]) == ("body", 5, "1")


def test_main_is_imported_when_no_script_is_named(serve):
    server = serve(None).until_ready()
    assert server.ask("POST", "/score", "x").json == "from main"


def test_the_entry_script_may_come_from_the_environment(serve):
    server = serve(None, AZUREML_ENTRY_SCRIPT="headers.py").until_ready()
    assert server.ask("POST", "/score", "x").json["extra"] == 5


def test_modules_of_the_code_folder_and_of_the_source_directory_can_be_imported(serve):
    assert serve("imports_sibling.py").until_ready().ask("POST", "/score", "x").json == "the sibling"
    nested = serve("nested/imports_sibling.py", AZUREML_SOURCE_DIRECTORY="nested").until_ready()
    assert nested.ask("POST", "/score", "x").json == "lies_in_nested"


def test_a_coroutine_run_overlaps_with_itself(serve):
    server = serve("coroutine.py", SCORING_TIMEOUT_MS="1000").until_ready()
    clients = [server.client() for _ in range(8)]
    for client in clients:
        client.request("POST", "/score", b'{"sleep": 0.3}')
    assert max(json.loads(client.getresponse().read())["most"] for client in clients) == 8
    reply = server.ask("POST", "/score", '{"sleep": 60}')
    assert (reply.status, reply.json["message"]) == (500, "Scoring timeout after 1000 ms")


def test_schema_parameters_come_from_a_json_object(serve):
    server = serve("schema.py").until_ready()
    reply = server.ask("POST", "/score", '{"first": 1, "second": {"name": "y"}, "unknown": 0}', DEFAULT_JSON)
    assert reply.json == [1, {"name": "y"}]
    for body, kind, status, text in [
        ("{}", "text/plain", 415, "Expects Content-Type to be application/json"),
        ("", "application/json", 400, "POST body is empty. Expecting a JSON dictionary."),
        ("{", "application/json", 400, "POST body could not be decoded as JSON: "),
        ("[1]", "application/json", 400, "POST body should be a JSON dictionary."),
        ('{"first": 1}', "application/json", 400, "A value is not provided for the 'second' parameter."),
    ]:
        reply = server.ask("POST", "/score", body, {"Content-Type": kind})
        assert (reply.status, reply.json["message"][: len(text)]) == (status, text)
    document = server.ask("GET", "/swagger.json?version=3").json
    assert document["components"]["schemas"]["ServiceInput"]["properties"]["first"]["type"] == "integer"
