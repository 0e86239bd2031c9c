"""What the gateway answers by itself: a status Azure's callers know, and JSON with code, message and request id."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.protos import Message, header

_AGAIN_SOON = ("retry-after", "1")
_BEARER = ("www-authenticate", "Bearer")
_BODY_TEXT = "%LOCAL_REPLY_BODY%"


def local_replies() -> Message:
    """The first matching entry answers. Response flags are Envoy's: UT timeout, UO overflow, UH no ready instance."""
    return {
        "mappers": [
            _on_flags(("UT", "SI"), 408, "RequestTimeout", "The deployment did not answer within its request timeout."),
            _on_flags(
                ("UO",),
                429,
                "TooManyRequests",
                "The instances of this deployment are busy and as many requests are waiting.",
                _AGAIN_SOON,
            ),
            # The flag of the rate limit is set after this reply is made, so it is known by its status.
            _on_status(429, 429, "RateLimited", "The endpoint's limit of requests per second is reached."),
            _on_flags(("UH",), 503, "NoReadyInstance", "No instance of the deployment is ready.", _AGAIN_SOON),
            _on_flags(("NC",), 503, "NoReadyInstance", "The deployment is not available yet.", _AGAIN_SOON),
            _on_flags(("UF",), 503, "NoReadyInstance", "No instance of the deployment could be reached.", _AGAIN_SOON),
            _on_flags(
                ("UC", "UR", "UPE"),
                424,
                "ModelError",
                "The instance ended the connection before it had answered.",
                ("ms-azureml-model-error-statuscode", "502"),
                ("ms-azureml-model-error-reason", "Bad Gateway"),
            ),
            _on_status(400, 400, "BadRequest", _BODY_TEXT),
            _on_status(401, 401, "Unauthorized", "The key or token is missing, wrong or expired.", _BEARER),
            _on_status(403, 401, "Unauthorized", "The token does not open this endpoint.", _BEARER),
            _on_status(404, 404, "NotFound", _BODY_TEXT),
            _on_status(413, 413, "PayloadTooLarge", "The request body is larger than the endpoint allows."),
        ],
        "body_format": _body("GatewayError", _BODY_TEXT),
    }


def _body(code: str, message: str) -> Message:
    return {"json_format": {"error": {"code": code, "message": message, "requestId": "%REQ(X-REQUEST-ID)%"}}}


def _mapper(condition: Message, status: int, code: str, message: str, headers: Sequence[tuple[str, str]]) -> Message:
    mapper: Message = {"filter": condition, "body_format_override": _body(code, message), "status_code": status}
    if headers:
        mapper["headers_to_add"] = [header(name, value) for name, value in headers]
    return mapper


def _on_flags(flags: Sequence[str], status: int, code: str, message: str, *headers: tuple[str, str]) -> Message:
    return _mapper({"response_flag_filter": {"flags": list(flags)}}, status, code, message, headers)


def _on_status(match: int, status: int, code: str, message: str, *headers: tuple[str, str]) -> Message:
    comparison = {"op": "EQ", "value": {"default_value": match, "runtime_key": f"studio.none.{match}"}}
    return _mapper({"status_code_filter": {"comparison": comparison}}, status, code, message, headers)
