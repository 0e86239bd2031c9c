"""Environments that come with the studio. Data only.

`image` is kept for people who know Azure's curated images; nothing is pulled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class CuratedEnvironment:
    """`name` and `version` as registered; `definition` is a conda file or a pip list, as `kind` says."""

    name: str
    version: str
    description: str
    kind: Literal["conda", "pip"]
    definition: str
    image: str = ""


def _conda(name: str, *packages: str) -> str:
    lines = [f"name: {name}", "channels:", "  - conda-forge", "dependencies:", "  - python=3.11", "  - pip", "  - pip:"]
    return "\n".join([*lines, *(f"      - {package}" for package in packages), ""])


CURATED: tuple[CuratedEnvironment, ...] = (
    CuratedEnvironment(
        name="minimal",
        version="1",
        description="Python and nothing else, for scoring scripts that need only the standard library.",
        kind="conda",
        definition="name: minimal\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.11\n",
        image="mcr.microsoft.com/azureml/minimal-ubuntu22.04-py311-cpu-inference",
    ),
    CuratedEnvironment(
        name="sklearn-1.5",
        version="1",
        description="scikit-learn 1.5 with pandas and NumPy, for models saved with joblib or pickle.",
        kind="conda",
        definition=_conda("sklearn-1.5", "scikit-learn==1.5.2", "pandas==2.2.3", "numpy==1.26.4", "joblib==1.4.2"),
        image="mcr.microsoft.com/azureml/curated/sklearn-1.5",
    ),
    CuratedEnvironment(
        name="xgboost-2.1",
        version="1",
        description="XGBoost and LightGBM beside scikit-learn 1.5.",
        kind="conda",
        definition=_conda(
            "xgboost-2.1",
            "xgboost-cpu==2.1.3",
            "lightgbm==4.5.0",
            "scikit-learn==1.5.2",
            "pandas==2.2.3",
            "numpy==1.26.4",
            "joblib==1.4.2",
        ),
    ),
    CuratedEnvironment(
        name="onnxruntime-1.20",
        version="1",
        description="ONNX Runtime on the processor, for models exported to ONNX.",
        kind="conda",
        definition=_conda("onnxruntime-1.20", "onnxruntime==1.20.1", "onnx==1.17.0", "numpy==1.26.4"),
    ),
    CuratedEnvironment(
        name="mlflow-2.19",
        version="1",
        description="MLflow 2.19 with scikit-learn 1.5, for models logged with MLflow.",
        kind="conda",
        definition=_conda("mlflow-2.19", "mlflow==2.19.0", "scikit-learn==1.5.2", "pandas==2.2.3", "numpy==1.26.4"),
        image="mcr.microsoft.com/azureml/curated/mlflow-py310-inference",
    ),
)
