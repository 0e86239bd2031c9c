"""The same script and model on the inference server and on its peers, one worker on one core: requests/s, p50, p99, memory.

`python -m bench.inference [--seconds 2] [--repeats 3] [--concurrency 1,16,64] [--only ours,azmlinfsrv] [--home DIR]`

Peers get virtual environments of their own below --home, made at run time. The load comes from `wrk`, or from a client of
this file's own where wrk is not installed (slower, so it flatters nobody). Servers stay up together and take turns, so a busy
machine hits all alike; figures are medians. The floor is the bare cost of calling run().
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from bench.inference_servers import FASTAPI, FEATURES, FLOOR, MODEL, PACKAGES, SCRIPT, Candidate, candidates

START_SECONDS = 60
LUA = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = io.open("{body}"):read("*a")\n'


@dataclass
class Cell:
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_us: float = 0.0  # of the server, a request: what a busy machine distorts least


# making


def prepare(home: Path, wanted: set[str]) -> set[str]:
    """Environments, model, script, bodies; returns the environments that could be made."""
    made = {name for name in sorted(wanted | {"ours"}) if _environment(home / name, PACKAGES[name])}
    for folder in ("model", "code"):
        (home / folder).mkdir(exist_ok=True)
    subprocess.run([_python(home, "ours"), "-c", MODEL, str(home / "model" / "model.joblib")], check=True)
    (home / "code" / "score.py").write_text(SCRIPT)
    (home / "code" / "app.py").write_text(FASTAPI)
    row = [round(0.1 * at - 1.5, 1) for at in range(FEATURES)]
    (home / "body.json").write_text(json.dumps({"data": [row]}))
    tensor = {"name": "predict", "shape": [1, FEATURES], "datatype": "FP64", "data": row}
    outputs = [{"name": "predict"}, {"name": "predict_proba"}]
    (home / "v2.json").write_text(json.dumps({"inputs": [tensor], "outputs": outputs}))
    for name in ("body.json", "v2.json"):
        (home / f"{name}.lua").write_text(LUA.format(body=home / name))
    return made


def _environment(folder: Path, packages: list[str]) -> bool:
    if (folder / "done").exists():
        return True
    uv = find_uv_bin()
    steps = [
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(folder / "bin" / "python"), *packages],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{folder.name} is left out, it does not install: {done.stderr.strip().splitlines()[-1:]}")
            return False
    (folder / "done").touch()
    return True


def _python(home: Path, environment: str) -> str:
    return str(home / environment / "bin" / "python")


def _mlserver_settings(home: Path, one: Candidate, ports: list[int]) -> None:
    folder = home / one.command[-1]
    folder.mkdir(exist_ok=True)
    http, grpc, metrics = ports
    server = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics, "parallel_workers": 0}
    (folder / "settings.json").write_text(json.dumps(server | {"debug": False}))
    model: dict[str, object] = {"name": "churn", "implementation": "mlserver_sklearn.SKLearnModel"}
    model["parameters"] = {"uri": str(home / "model" / "model.joblib")}
    if one.command[-1] == "batched":
        model |= {"max_batch_size": 64, "max_batch_time": 0.005}
    (folder / "model-settings.json").write_text(json.dumps(model))


# running


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


@contextlib.contextmanager
def running(home: Path, wanted: list[Candidate]) -> Iterator[list[Candidate]]:
    """Those that started, each pinned to the first core; all are stopped at the end."""
    try:
        yield [one for one in wanted if _start(home, one)]
    finally:
        for one in wanted:
            if one.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(one.process.pid, signal.SIGKILL)
                one.process.wait()


def _start(home: Path, one: Candidate) -> bool:
    ports = free_ports(3)
    one.port = ports[0]
    if one.environment == "mlserver":
        _mlserver_settings(home, one, ports)
    command = [_python(home, one.environment), *(part.format(port=one.port) for part in one.command)]
    own = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "AZUREML_MODEL_DIR": str(home / "model")}
    variables = {**os.environ, **own, **one.variables}
    log = (home / f"{one.name.replace(' ', '-')}.log").open("wb")
    began = time.monotonic()
    one.process = subprocess.Popen(
        command, cwd=home, env=variables, stdout=log, stderr=log, start_new_session=True, preexec_fn=_on_first_core
    )
    log.close()
    while time.monotonic() < began + START_SECONDS:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if asyncio.run(_ask(one.port, b"GET", one.ready, b""))[0] == 200:
                one.start_seconds = time.monotonic() - began
                status, answer = asyncio.run(_ask(one.port, b"POST", one.path, (home / one.body).read_bytes()))
                if status != 200:
                    print(f"{one.name} is left out, it answers {status}: {answer[:300]!r}")
                return status == 200
        if one.process.poll() is not None:
            break
        time.sleep(0.02)
    print(f"{one.name} is left out, it does not start; see {log.name}")
    return False


def _on_first_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _on_last_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def measure(home: Path, one: Candidate, concurrency: int, seconds: int) -> Cell:
    before = one.cpu_seconds
    cell = _load(home, one, concurrency, seconds)
    cell.cpu_us = (one.cpu_seconds - before) / max(1.0, cell.per_second * seconds) * 1e6
    return cell


def _load(home: Path, one: Candidate, concurrency: int, seconds: int) -> Cell:
    wrk = shutil.which("wrk")
    if wrk is None:
        return asyncio.run(_own_client(one, (home / one.body).read_bytes(), concurrency, seconds))
    url = f"http://127.0.0.1:{one.port}{one.path}"
    command = [wrk, "-t1", f"-c{concurrency}", f"-d{seconds}s", "--latency", "-s", str(home / f"{one.body}.lua"), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=_on_last_core).stdout
    p50, p99 = (_ms(found) for found in re.findall(r"(?:50|99)%\s+([\d.]+\w+)", text))
    failed = re.findall(r"Non-2xx or 3xx responses: (\d+)", text) + re.findall(
        r"(?:connect|read|write|timeout) (\d+)", text
    )
    return Cell(float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0]), p50, p99, sum(map(int, failed)))


def _ms(text: str) -> float:
    number, unit = re.findall(r"([\d.]+)(us|ms|s)", text)[0]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


async def _ask(port: int, method: bytes, path: str, body: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await _exchange(reader, writer, method, path, body)
    finally:
        writer.close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: bytes, path: str, body: bytes
) -> tuple[int, bytes]:
    kind = b"Content-Type: application/json\r\n" if body else b""
    head = b"%b %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (method, path.encode(), kind, len(body))
    writer.write(head + body)
    answered = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), START_SECONDS)
    length = re.findall(rb"content-length: (\d+)", answered.lower())
    content = await reader.readexactly(int(length[0])) if length else b""
    return int(answered.split(b" ", 2)[1]), content + (b"" if b"connection: close" not in answered.lower() else b"\0")


async def _own_client(one: Candidate, body: bytes, concurrency: int, seconds: int) -> Cell:
    taken: list[float] = []
    errors = 0
    ends_at = time.monotonic() + seconds

    async def client() -> None:
        nonlocal errors
        streams = None
        while time.monotonic() < ends_at:
            began = time.monotonic()
            try:
                streams = streams or await asyncio.open_connection("127.0.0.1", one.port)
                status, content = await _exchange(*streams, b"POST", one.path, body)
            except (OSError, asyncio.IncompleteReadError):
                errors, streams = errors + 1, None
                continue
            taken.append(time.monotonic() - began)
            errors += status != 200
            if content.endswith(b"\0"):
                streams[1].close()
                streams = None

    await asyncio.gather(*(client() for _ in range(concurrency)))
    taken.sort()
    p50, p99 = (taken[int(len(taken) * share)] * 1000 for share in (0.5, 0.99))
    return Cell(len(taken) / seconds, p50, p99, errors)


def floor_seconds(home: Path, seconds: float) -> float:
    """The bare cost of one run(), on the core of the servers."""
    command = [_python(home, "ours"), "-c", FLOOR, str(home / "code"), str(home / "body.json"), str(seconds)]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "AZUREML_MODEL_DIR": str(home / "model")}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True, preexec_fn=_on_first_core)
    return float(done.stdout)


# telling


def report(
    shown: list[Candidate], cells: dict[tuple[str, int], list[Cell]], floors: list[float], counts: list[int]
) -> None:
    def middle(name: str, concurrency: int, what: str) -> float:
        return statistics.median(float(getattr(cell, what)) for cell in cells[name, concurrency])

    def row(name: str, what: str, form: str) -> str:
        return " / ".join(format(middle(name, count, what), form) for count in counts)

    heads = " / ".join(map(str, counts))
    print(f"| server | requests/s at {heads} | p50 ms | p99 ms | CPU µs a request | errors | start s | MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for one in shown:
        name = one.name
        errors = sum(cell.errors for count in counts for cell in cells[name, count])
        times = f"{row(name, 'p50_ms', '.1f')} | {row(name, 'p99_ms', '.1f')} | {row(name, 'cpu_us', '.0f')}"
        held = f"{errors} | {one.start_seconds:.1f} | {one.resident_mib:.0f}"
        print(f"| {name} | {row(name, 'per_second', ',.0f')} | {times} | {held} |")
    floor = statistics.median(floors)
    print(f"\nFloor: run() alone takes {floor * 1e6:.0f} µs of CPU time.\n")
    ratios(f"times as many requests/s at {heads}", shown, lambda peer, own: own / peer, "per_second", middle, counts)
    ratios(f"times less CPU a request at {heads}", shown, lambda peer, own: peer / own, "cpu_us", middle, counts)
    script = next(one.name for one in shown if one.environment == "ours")
    shares = " / ".join(f"{floor * 1e6 / middle(script, count, 'cpu_us'):.0%}" for count in counts)
    print(f"{script}: the floor is {shares} of the CPU time of a request")


def ratios(
    title: str,
    shown: list[Candidate],
    ratio: Callable[[float, float], float],
    what: str,
    middle: Callable[[str, int, str], float],
    counts: list[int],
) -> None:
    ours = [one for one in shown if one.environment == "ours"]
    print(f"| {title} | " + " | ".join(one.name for one in ours) + " |")
    print("|---|" + "---|" * len(ours))
    for peer in [one for one in shown if one.environment != "ours"]:
        found = [
            " / ".join(f"{ratio(middle(peer.name, c, what), middle(one.name, c, what)):.1f}" for c in counts)
            for one in ours
        ]
        print(f"| {peer.name} | " + " | ".join(found) + " |")
    print()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2, help="for each cell of the table")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--concurrency", default="1,16,64")
    parser.add_argument("--only", default=",".join(PACKAGES), help="environments: %(default)s")
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "es-bench-inference")
    options = parser.parse_args()
    home: Path = options.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    counts = [int(text) for text in options.concurrency.split(",")]
    made = prepare(home, set(options.only.split(",")))
    cells: dict[tuple[str, int], list[Cell]] = defaultdict(list)
    floors: list[float] = []
    print(
        f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; client: {shutil.which('wrk') or 'own'}"
    )
    with running(home, [one for one in candidates() if one.environment in made]) as shown:
        for one in shown:
            measure(home, one, counts[-1], 1)
        for _ in range(options.repeats):
            floors.append(floor_seconds(home, options.seconds))
            for count in counts:
                for one in shown:
                    cells[one.name, count].append(measure(home, one, count, options.seconds))
        report(shown, cells, floors, counts)
    print(f"load average after: {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
