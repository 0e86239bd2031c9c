"""Send a request through the gateway on behalf of a person. The credential never leaves the server."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import httpx
from django.conf import settings

from endpoints.models import AuthMode, Endpoint
from endpoints.pretty import pretty_json
from endpoints.services import issue_token
from studio.lib.errors import StudioError

PIN_HEADER = "azureml-model-deployment"
MODEL_STATUS_HEADER = "ms-azureml-model-error-statuscode"
# longer than the longest request timeout a deployment may have: the gateway's own 408 arrives first
TIMEOUT_SECONDS = 190.0
CONNECT_SECONDS = 3.0
MOST_BODY_BYTES = 1_000_000


class GatewayUnreachable(StudioError):
    """The gateway does not answer."""

    code = "GatewayUnreachable"
    http_status = 503
    hint = "See the health page of the studio; scoring is back as soon as the gateway is."


@dataclass(frozen=True)
class Answer:
    """What came back. `deployment` "" when the gateway answered itself; `is_cut`: only the first part of the body is kept."""

    status: int
    reason: str
    latency_ms: float
    deployment: str
    request_id: str
    headers: tuple[tuple[str, str], ...]
    body: str
    is_json: bool
    is_cut: bool = False

    @property
    def is_good(self) -> bool:
        return self.status < 400

    @property
    def is_double_encoded(self) -> bool:
        """The script returned text that is JSON once more, so callers have to decode twice."""
        if not self.is_json or not self.body.startswith('"'):
            return False
        try:
            return isinstance(json.loads(json.loads(self.body)), dict | list)
        except ValueError:
            return False

    @property
    def model_status(self) -> str:
        """The status the model itself answered with, when the gateway turned it into 424."""
        return dict(self.headers).get(MODEL_STATUS_HEADER, "")


def score(*, endpoint: Endpoint, body: str, deployment: str = "") -> Answer:
    """POST `body` (JSON text) to the endpoint through the gateway; `deployment` pins one of its deployments.

    Raises GatewayUnreachable with a sentence that says what failed. Every status is an Answer.
    """
    credential = endpoint.primary_key if endpoint.auth_mode == AuthMode.KEY else issue_token(endpoint=endpoint).token
    headers = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json"}
    if deployment:
        headers[PIN_HEADER] = deployment
    timeout = httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS)
    url = f"{_gateway()}/endpoints/{endpoint.name}/score"
    started = time.perf_counter()
    try:
        with (
            httpx.Client(timeout=timeout, trust_env=False) as client,
            client.stream("POST", url, content=body.encode(), headers=headers) as response,
        ):
            content, is_cut = _read(response)
    except httpx.ConnectError as error:
        raise GatewayUnreachable(f"The gateway does not answer at {_gateway()} ({error}).") from None
    except httpx.TimeoutException:
        seconds = time.perf_counter() - started
        raise GatewayUnreachable(f"The gateway gave no answer within {seconds:.0f} s.") from None
    except httpx.HTTPError as error:
        raise GatewayUnreachable(f"The connection to the gateway broke off: {type(error).__name__}.") from None
    return _answer(response, content, is_cut, (time.perf_counter() - started) * 1000)


def _gateway() -> str:
    """The gateway's plain port, as it is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(settings.STUDIO_BIND, settings.STUDIO_BIND)
    return f"http://{host}:{settings.GATEWAY_PORT}"


def _read(response: httpx.Response) -> tuple[bytes, bool]:
    content = b""
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MOST_BODY_BYTES:
            return content[:MOST_BODY_BYTES], True
    return content, False


def _answer(response: httpx.Response, content: bytes, is_cut: bool, latency_ms: float) -> Answer:
    text = content.decode("utf-8", errors="replace")
    is_json = False
    if not is_cut:
        try:
            text, is_json = pretty_json(json.loads(text)), True
        except (ValueError, RecursionError):
            pass
    return Answer(
        status=response.status_code,
        reason=response.reason_phrase,
        latency_ms=latency_ms,
        deployment=response.headers.get(PIN_HEADER, ""),
        request_id=response.headers.get("x-request-id", ""),
        headers=tuple(response.headers.multi_items()),
        body=text,
        is_json=is_json,
        is_cut=is_cut,
    )
