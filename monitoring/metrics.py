"""The charts of an endpoint: which figures each one shows, and the sentence that says what is to be seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from endpoints.models import Endpoint
from monitoring import rollup, series
from monitoring.charts import Chart, Line, Mark, Number, shares_text
from monitoring.events import events
from monitoring.rollup import InstanceTally, Tally
from monitoring.series import InstanceSeries, TrafficSeries
from monitoring.windows import Window
from studio.lib.formats import bytes_text, deployment_colours, duration_text

PERCENTILES = (
    ("P50", 50, "dot", False),
    ("P90", 90, "dashdot", True),
    ("P95", 95, "solid", False),
    ("P99", 99, "dash", True),
)
# Layers of one colour are told apart by these, in the order of their statuses.
_PATTERNS = ("", "/", "x", "-", "+", "|")


def endpoint_charts(endpoint: Endpoint, window: Window) -> list[Chart]:
    """Every chart of the Metrics tab, in order."""
    traffic, used = series.traffic(endpoint, window), series.instances(endpoint, window)
    marks = [Mark(event.at, event.kind, event.text) for event in events(endpoint, window)]
    known = list(endpoint.deployments.order_by("created_at").values_list("name", flat=True))
    gone = [name for name in {**traffic.by_deployment, **used.by_deployment} if name not in known]
    names = {name: f"var(--dep-{colour})" for name, colour in deployment_colours(known + gone).items()}
    return [
        _requests(traffic, names, marks),
        _latency(traffic, names, marks),
        _errors(traffic, used, names, marks),
        _instances(used, names, marks),
        _network(traffic, names, marks),
        _cpu(used, names, marks),
        _memory(used, names, marks),
    ]


def _rates(tallies: Sequence[Tally], count: Callable[[Tally], int]) -> list[Number]:
    return [tally.per_minute(count(tally)) for tally in tallies]


def _requests(traffic: TrafficSeries, names: Mapping[str, str], marks: Sequence[Mark]) -> Chart:
    lines = [
        Line(name, _rates(tallies, lambda tally: tally.requests), names[name])
        for name, tallies in traffic.by_deployment.items()
    ]
    rest = [
        max(whole.requests - sum(t[at].requests for t in traffic.by_deployment.values()), 0)
        for at, whole in enumerate(traffic.whole)
    ]
    if any(rest):
        values = [tally.per_minute(count) for tally, count in zip(traffic.whole, rest, strict=True)]
        lines.append(Line("no deployment", values, "var(--ink-3)"))
    whole = traffic.sum
    counts = {name: traffic.sum_of(name).requests for name in traffic.by_deployment}
    sentence = f"No request in {traffic.window.words}."
    if whole.requests:
        sentence = f"{whole.requests:,} requests in {traffic.window.words}: {shares_text(counts) or 'none reached a deployment'}."
    sentence += _unmeasured(traffic)
    return Chart("requests", "Requests per minute", "per min", "bars", sentence, traffic.window, lines, marks)


def _unmeasured(traffic: TrafficSeries) -> str:
    """Requests of a time in which nobody was looking: on no curve, but in every sum."""
    count = sum(tally.requests for tally in traffic.whole if not tally.measured_seconds)
    return f" {count:,} of them came while nothing was measured; the curve has a gap there." if count else ""


def _latency(traffic: TrafficSeries, names: Mapping[str, str], marks: Sequence[Mark]) -> Chart:
    lines = [
        Line(
            f"{name} {label}",
            [rollup.percentile_ms(tally.latencies, percent) if tally.measured_seconds else None for tally in tallies],
            names[name],
            dash=dash,
            is_hidden=hidden,
        )
        for name, tallies in traffic.by_deployment.items()
        for label, percent, dash, hidden in PERCENTILES
    ]
    parts = []
    for name in traffic.by_deployment:
        bins = traffic.sum_of(name).latencies
        found = [rollup.percentile_ms(bins, percent) for percent in (50, 95, 99)]
        if bins:
            texts = [_ms_text(value or 0) for value in found]
            parts.append(f"{name} P50 {texts[0]}, P95 {texts[1]}, P99 {texts[2]}")
    sentence = f"Latency in {traffic.window.words}: {'; '.join(parts)}." if parts else "No answer to measure yet."
    return Chart("latency", "Latency", "ms", "lines", sentence, traffic.window, lines, marks)


def _ms_text(value_ms: float) -> str:
    return f"{value_ms:.1f} ms" if value_ms < 10 else duration_text(value_ms / 1000)


def _errors(traffic: TrafficSeries, used: InstanceSeries, names: Mapping[str, str], marks: Sequence[Mark]) -> Chart:
    lines, parts = [], []
    for name, tallies in traffic.by_deployment.items():
        for number, status in enumerate(sorted({s for tally in tallies for s in tally.statuses if s >= 400})):
            values = _rates(tallies, partial(_with_status, status))
            lines.append(Line(f"{name} {status}", values, names[name], pattern=_PATTERNS[number % len(_PATTERNS)]))
        soft = [step.soft_errors for step in used.together(name)]
        if any(soft):
            values = [tally.per_minute(count) for tally, count in zip(tallies, soft, strict=True)]
            lines.append(Line(f"{name} soft", values, names[name], pattern="."))
        tally = traffic.sum_of(name)
        if tally.requests:
            said = f", and {sum(soft):,} soft ones" if any(soft) else ""
            ratio = 100 * tally.errors / tally.requests
            parts.append(f"{name} {tally.errors:,} of {tally.requests:,} ({ratio:.2f} %){said}")
    whole = traffic.sum
    sentence = f"{whole.errors:,} errors in {traffic.window.words}: {'; '.join(parts)}." if parts else "No request yet."
    return Chart("errors", "Errors per minute", "per min", "bars", sentence, traffic.window, lines, marks)


def _with_status(status: int, tally: Tally) -> int:
    return tally.statuses.get(status, 0)


def _instances(used: InstanceSeries, names: Mapping[str, str], marks: Sequence[Mark]) -> Chart:
    lines = []
    for name in used.by_deployment:
        steps = used.together(name)
        longest = [
            max((i[at].measured_seconds for i in used.by_deployment[name].values()), default=0.0)
            for at in range(len(steps))
        ]
        for label, dash, states in (("ready", "solid", {"Ready"}), ("not ready", "dot", None)):
            values = [_average(step, seconds, states) for step, seconds in zip(steps, longest, strict=True)]
            if states or any(values):
                lines.append(Line(f"{name} {label}", values, names[name], dash=dash))
    now = [f"{line.name} {last:.0f}" for line in lines if (last := _last(line.values)) is not None]
    sentence = f"Last measured: {', '.join(now)}." if now else "No instance was running."
    return Chart("instances", "Instances", "instances", "stairs", sentence, used.window, lines, marks)


def _average(step: InstanceTally, seconds: float, states: set[str] | None) -> Number:
    if not seconds:
        return None
    counted = sum(t for state, t in step.state_seconds.items() if (state in states if states else state != "Ready"))
    return counted / seconds


def _last(values: Sequence[Number]) -> Number:
    return next((value for value in reversed(values) if value is not None), None)


def _cpu(used: InstanceSeries, names: Mapping[str, str], marks: Sequence[Mark]) -> Chart:
    return _use(used, names, marks, "cpu", "CPU", lambda tally: tally.cpu_percent)


def _memory(used: InstanceSeries, names: Mapping[str, str], marks: Sequence[Mark]) -> Chart:
    return _use(used, names, marks, "memory", "Memory", lambda tally: tally.memory_percent)


def _use(
    used: InstanceSeries,
    names: Mapping[str, str],
    marks: Sequence[Mark],
    name: str,
    title: str,
    percent: Callable[[InstanceTally], Number],
) -> Chart:
    """Of what the instances may use: all of a deployment together, and the busiest one where there are several."""
    lines, parts = [], []
    for deployment, by_instance in used.by_deployment.items():
        average = [percent(step) for step in used.together(deployment)]
        lines.append(Line(deployment, average, names[deployment]))
        busiest = [_most(map(percent, step)) for step in zip(*by_instance.values(), strict=True)]
        if len(by_instance) > 1 and busiest != average:
            lines.append(Line(f"{deployment} busiest", busiest, names[deployment], dash="dot"))
        measured = [value for value in average if value is not None]
        if measured:
            parts.append(
                f"{deployment} {sum(measured) / len(measured):.0f} % on average, at most {max(measured):.0f} %"
            )
    sentence = f"{title} used in {used.window.words}: {'; '.join(parts)}." if parts else "No instance was measured."
    return Chart(name, f"{title} used", "%", "lines", sentence, used.window, lines, marks)


def _most(values: object) -> Number:
    measured = [value for value in values if value is not None]  # type: ignore[attr-defined]
    return max(measured, default=None)


def _network(traffic: TrafficSeries, names: Mapping[str, str], marks: Sequence[Mark]) -> Chart:
    lines = []
    for name, tallies in traffic.by_deployment.items():
        for label, key, dash in (("in", "bytes_in", "dot"), ("out", "bytes_out", "solid")):
            values = [
                tally.others.get(key, 0) / tally.measured_seconds / 1000 if tally.measured_seconds else None
                for tally in tallies
            ]
            lines.append(Line(f"{name} {label}", values, names[name], dash=dash))
    whole = traffic.sum.others
    received, sent = bytes_text(whole.get("bytes_in", 0)), bytes_text(whole.get("bytes_out", 0))
    sentence = f"{received} of requests and {sent} of answers in {traffic.window.words}."
    return Chart("network", "Network", "kB/s", "lines", sentence, traffic.window, lines, marks, digits=2)
