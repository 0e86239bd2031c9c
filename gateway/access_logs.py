"""What is written and counted about every scoring request."""

from __future__ import annotations

from gateway.options import GatewayOptions
from gateway.protos import Message, typed

_ENDPOINT = "%METADATA(ROUTE:studio:endpoint)%"
_DEPLOYMENT = "%METADATA(ROUTE:studio:deployment)%"
_TOTAL_US = "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%"

LINE = {
    "at": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
    "endpoint": _ENDPOINT,
    "deployment": _DEPLOYMENT,
    "route": "%ROUTE_NAME%",
    "instance": "%UPSTREAM_HOST_NAME%",
    "method": "%REQ(:METHOD)%",
    "path": "%PATH(NQ:ORIG_OR_PATH)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "model_status": "%RESP(MS-AZUREML-MODEL-ERROR-STATUSCODE)%",
    "total_us": _TOTAL_US,
    "upstream_us": "%COMMON_DURATION(US_TX_BEG:US_RX_BEG:us)%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "client_request_id": "%REQ(X-MS-CLIENT-REQUEST-ID)%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "user_agent": "%REQ(USER-AGENT)%",
    "key": "%DYNAMIC_METADATA(studio:key)%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
}


def access_logs(options: GatewayOptions) -> list[Message]:
    """One JSON line a request, and counters and a latency histogram by endpoint and deployment."""
    return [
        {
            "name": "envoy.access_loggers.file",
            "typed_config": typed(
                "envoy.extensions.access_loggers.file.v3.FileAccessLog",
                path=str(options.access_log),
                log_format={"json_format": LINE},
            ),
        },
        {"name": "envoy.access_loggers.stats", "typed_config": _counters()},
    ]


def _counters() -> Message:
    deployment = [
        {"name": "endpoint", "value_format": _ENDPOINT},
        {"name": "deployment", "value_format": _DEPLOYMENT},
    ]
    with_status = [*deployment, {"name": "status", "value_format": "%RESPONSE_CODE%"}]
    return typed(
        "envoy.extensions.access_loggers.stats.v3.Config",
        stats_scope={"prefix": "studio"},
        counters=[
            {"stat": {"name": "requests", "tags": with_status}, "value_fixed": 1},
            {"stat": {"name": "bytes_in", "tags": deployment}, "value_format": "%BYTES_RECEIVED%"},
            {"stat": {"name": "bytes_out", "tags": deployment}, "value_format": "%BYTES_SENT%"},
        ],
        histograms=[
            {"stat": {"name": "latency", "tags": deployment}, "unit": "Microseconds", "value_format": _TOTAL_US}
        ],
    )
