import time

from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse


def init():
    pass


@rawhttp
def run(request):
    assert isinstance(request, AMLRequest)
    wish = request.args.get("do", "show")
    if wish == "show":
        return {
            "method": request.method,
            "path": request.path,
            "query": request.query_string.decode(),
            "header": request.headers.get("X-Mine"),
            "bytes": len(request.get_data()),
            "type": request.content_type,
        }
    if wish == "image":
        return AMLResponse(request.get_data()[::-1], 201, {"Content-Type": "image/png", "X-Two": "a, b"})
    if wish == "fail":
        return AMLResponse("it broke", 503, json_str=True)
    if wish == "flag":
        return AMLResponse({"a": 1}, 200, json_str=True, run_function_failed=True)
    if wish == "none":
        return AMLResponse(None, 200)
    if wish == "ids":
        return AMLResponse("x", 200, {"x-request-id": "forged", "Content-Length": "99", "x-studio-not-run": "1"})
    if wish == "stream":
        return AMLResponse(parts(int(request.args["n"]), float(request.args.get("pause", 0))), 200)
    if wish == "broken-stream":
        return AMLResponse(broken(), 200)
    return AMLResponse("?", 404)


def parts(count, pause):
    for at in range(count):
        time.sleep(pause)
        yield f"part {at}\n"


def broken():
    yield "first"
    raise RuntimeError("in the middle")
