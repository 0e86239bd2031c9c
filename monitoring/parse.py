"""What others say about themselves, as counters by name. Pure: text in, numbers out.

The name of a counter is `endpoint/deployment/measure/detail`; names of endpoints and deployments hold no slash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Counters = dict[str, int]

_REQUESTS = re.compile(r"studio\.requests\.endpoint\.(?P<ep>.+)\.deployment\.(?P<dep>.+)\.status\.(?P<detail>\d+)")
_BYTES = re.compile(r"studio\.(?P<measure>bytes_in|bytes_out)\.endpoint\.(?P<ep>.+)\.deployment\.(?P<dep>.+)")
_LATENCY = re.compile(r"studio\.latency\.endpoint\.(?P<ep>.+)\.deployment\.(?P<dep>.+)")
_CLUSTER = re.compile(
    r"cluster\.(?P<ep>[^._]+)__(?P<dep>[^._]+)(?P<mirror>__mirror)?\.upstream_rq_(?P<what>total|retry|pending_overflow)"
)
_CLUSTER_MEASURES = {"retry": "retries", "pending_overflow": "refused"}
# A metric without labels, as Prometheus writes it.
_PLAIN_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*) (?P<value>[-+.\deE]+)$", re.MULTILINE)

ENVOY_FILTER = (
    r"^(studio\.(requests|bytes_in|bytes_out|latency)\."
    r"|cluster\.[^.]+__[^.]+\.upstream_rq_(total|retry|pending_overflow)$)"
)


def counter_name(endpoint: str, deployment: str, measure: str, detail: object = "") -> str:
    """Measures: status, latency (lower bound of a bin in µs), bytes_in, bytes_out, mirrored, retries, refused."""
    return f"{endpoint}/{deployment}/{measure}/{detail}"


def envoy_counters(document: Mapping[str, Any]) -> Counters:
    """Every counter that is not 0, from `/stats?format=json&histogram_buckets=detailed`."""
    found: Counters = {}
    for entry in document["stats"]:
        if "histograms" in entry:
            for histogram in entry["histograms"].get("details", []):
                found |= _bins(histogram)
        elif name := _counter(entry["name"]):
            if entry["value"]:
                found[name] = int(entry["value"])
    return found


def _counter(name: str) -> str:
    """Our name for one of Envoy's, "" for what is not looked at."""
    if match := _REQUESTS.fullmatch(name):
        return counter_name(match["ep"], match["dep"], "status", match["detail"])
    if match := _BYTES.fullmatch(name):
        return counter_name(match["ep"], match["dep"], match["measure"])
    if not (match := _CLUSTER.fullmatch(name)):
        return ""
    if match["mirror"]:
        return counter_name(match["ep"], match["dep"], "mirrored") if match["what"] == "total" else ""
    measure = _CLUSTER_MEASURES.get(match["what"], "")
    return counter_name(match["ep"], match["dep"], measure) if measure else ""


def _bins(histogram: Mapping[str, Any]) -> Counters:
    """Envoy's own bins: two significant digits of the value in µs, so a bin is 1 to 10 % wide."""
    match = _LATENCY.fullmatch(histogram["name"])
    if not match:
        return {}
    found: Counters = {}
    for part in histogram.get("totals", []):
        name = counter_name(match["ep"], match["dep"], "latency", round(part["lower_bound"]))
        found[name] = found.get(name, 0) + int(part["count"])
    return found


def plain_metrics(text: str) -> dict[str, float]:
    """Metrics without labels of a page in Prometheus' text form, by name."""
    return {match["name"]: float(match["value"]) for match in _PLAIN_SAMPLE.finditer(text)}
