"""What bench/inference.py compares: environments, the one model and script, and how each server is started."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[1]
FEATURES = 30
SKLEARN = "scikit-learn==1.9.1"
PACKAGES = {
    "ours": [
        SKLEARN,
        "skl2onnx==1.20.0",
        "onnxruntime==1.31.1",
        "-r",
        str(REPOSITORY / "inference_server/requirements.txt"),
    ],
    "azmlinfsrv": [SKLEARN, "azureml-inference-server-http==1.5.1"],
    "fastapi": [SKLEARN, "fastapi==0.165.0", "uvicorn==0.54.0", "httptools", "uvloop"],
    "mlserver": [SKLEARN, "mlserver==1.7.1", "mlserver-sklearn==1.7.1"],
}
MODEL = f"""
import joblib, numpy, sys
from sklearn.linear_model import LogisticRegression
X = numpy.random.default_rng(0).normal(size=(2000, {FEATURES}))
joblib.dump(LogisticRegression().fit(X, X[:, 0] + X[:, 1] > 0), sys.argv[1])
"""
SCRIPT = """
import json
import os

import joblib


def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.joblib"))


def run(raw_data):
    rows = json.loads(raw_data)["data"]
    return {"predictions": model.predict(rows).tolist(), "probabilities": model.predict_proba(rows).tolist()}
"""
FASTAPI = """
import score
from fastapi import FastAPI, Request

score.init()
app = FastAPI()


@app.get("/")
async def healthy():
    return "Healthy"


@app.post("/score")
async def answer(request: Request):
    return score.run(await request.body())
"""
MLSERVER = "from mlserver.cli import main; main()"
FLOOR = """
import sys, time
sys.path.insert(0, sys.argv[1])
import score
score.init()
body = open(sys.argv[2]).read()
ends_at, count, began = time.perf_counter() + float(sys.argv[3]), 0, time.process_time()
while time.perf_counter() < ends_at:
    score.run(body)
    count += 1
print((time.process_time() - began) / count)
"""


@dataclass
class Candidate:
    """One server: how it is started, and what it is sent."""

    name: str
    environment: str
    command: list[str]
    path: str = "/score"
    ready: str = "/"
    body: str = "body.json"
    variables: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    start_seconds: float = 0.0

    @property
    def _processes(self) -> list[psutil.Process]:
        assert self.process is not None
        whole = psutil.Process(self.process.pid)
        return [whole, *whole.children(recursive=True)]

    @property
    def resident_mib(self) -> float:
        """Of the process and all below it."""
        return float(sum(one.memory_info().rss for one in self._processes)) / 2**20

    @property
    def cpu_seconds(self) -> float:
        """Used so far by the process and all below it."""
        return float(sum(one.cpu_times().user + one.cpu_times().system for one in self._processes))


def candidates() -> list[Candidate]:
    server = [str(REPOSITORY / "inference_server" / "__main__.py"), "--model_dir", "model", "--host", "127.0.0.1"]
    azml = ["-m", "azureml_inference_server_http", "--entry_script", "code/score.py", "--model_dir", "model"]
    uvicorn = ["-m", "uvicorn", "--app-dir", "code", "app:app", "--host", "127.0.0.1", "--log-level", "warning"]
    gthread = {"GUNICORN_CMD_ARGS": "--worker-class gthread --threads 16"}
    v2, live = "/v2/models/churn/infer", "/v2/models/churn/ready"
    mlserver = {"ready": live, "path": v2, "body": "v2.json"}
    return [
        Candidate("azmlinfsrv sync", "azmlinfsrv", [*azml, "--port", "{port}"]),
        Candidate("azmlinfsrv gthread ×16", "azmlinfsrv", [*azml, "--port", "{port}"], variables=gthread),
        Candidate("FastAPI + uvicorn", "fastapi", [*uvicorn, "--port", "{port}"]),
        Candidate("MLServer", "mlserver", ["-c", MLSERVER, "start", "plain"], **mlserver),  # type: ignore[arg-type]
        Candidate("MLServer, batching", "mlserver", ["-c", MLSERVER, "start", "batched"], **mlserver),  # type: ignore[arg-type]
        Candidate(
            "ours, script", "ours", [*server, "--entry_script", "code/score.py", "--port", "{port}"], ready="/ready"
        ),
        Candidate(
            "ours, no code, as it is",
            "ours",
            [*server, "--port", "{port}"],
            ready="/ready",
            variables={"STUDIO_FAST_PATH": "false", "AML_APP_ROOT": "model"},
        ),
        Candidate(
            "ours, no code", "ours", [*server, "--port", "{port}"], ready="/ready", variables={"AML_APP_ROOT": "model"}
        ),
    ]
