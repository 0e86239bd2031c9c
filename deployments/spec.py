"""What a deployment may ask for, and the arithmetic of probes and quota. Pure: no database, no clock."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal

from studio.lib.errors import BadRequest

INSTANCE_COUNT_MAXIMUM = 50
REQUEST_TIMEOUT_MS_MAXIMUM = 180_000
DEPLOYMENTS_PER_ENDPOINT = 20
_VARIABLE_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
# set by the studio; a user's value would be silently lost
RESERVED_VARIABLES = frozenset({"AZUREML_MODEL_DIR", "AZUREML_ENTRY_SCRIPT", "AML_APP_ROOT", "STUDIO_CPU_LIMIT"})

# Files that the inference server serves without a script; its docs/reference lists them, and a test holds the two together.
SERVED_SUFFIXES = frozenset((".pkl", ".pickle", ".joblib", ".onnx", ".ubj", ".xgb", ".bst", ".lgb", ".lgbm"))
SERVED_NAMES = frozenset(("MLmodel", "model.json", "model.txt"))


class SpecInvalid(BadRequest):
    """The deployment asks for something that is not allowed."""


@dataclass(frozen=True)
class Probe:
    """When an instance counts as ready or alive. Seconds and counts; Azure's defaults."""

    initial_delay: int = 10
    period: int = 10
    timeout: int = 2
    success_threshold: int = 1
    failure_threshold: int = 30

    @classmethod
    def from_mapping(cls, values: Mapping[str, int], *, field: str = "readiness_probe") -> Probe:
        """Raises SpecInvalid for an unknown name or a value that is not a whole number of at least 1."""
        known = {part.name for part in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise SpecInvalid(f"A probe has no '{name}' (it has {', '.join(sorted(known))}).", field=field)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 86_400:
                raise SpecInvalid(f"{name} is {value!r}; use a whole number from 1 to 86400.", field=field)
        return cls(**values)

    def as_dict(self) -> dict[str, int]:
        return {part.name: getattr(self, part.name) for part in fields(self)}

    @property
    def deadline_seconds(self) -> int:
        """How long an instance may take from its start until it is judged failed."""
        return self.initial_delay + self.period * self.failure_threshold


def check_instance_count(count: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= INSTANCE_COUNT_MAXIMUM:
        raise SpecInvalid(
            f"The instance count is {count!r}; use 1 to {INSTANCE_COUNT_MAXIMUM}.", field="instance_count"
        )
    return count


def check_request_settings(*, request_timeout_ms: int, max_concurrent: int, max_queue_wait_ms: int) -> None:
    """Raises SpecInvalid when a value is out of Azure's range."""
    if not 1 <= request_timeout_ms <= REQUEST_TIMEOUT_MS_MAXIMUM:
        raise SpecInvalid(
            f"The request timeout is {request_timeout_ms} ms; use 1 to {REQUEST_TIMEOUT_MS_MAXIMUM}.",
            field="request_timeout_ms",
        )
    if not 1 <= max_concurrent <= 1000:
        raise SpecInvalid(
            f"{max_concurrent} concurrent requests per instance; use 1 to 1000.",
            field="max_concurrent_requests_per_instance",
        )
    if not 0 <= max_queue_wait_ms <= REQUEST_TIMEOUT_MS_MAXIMUM:
        raise SpecInvalid(f"The queue wait is {max_queue_wait_ms} ms; use 0 to 180000.", field="max_queue_wait_ms")


def check_environment_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Raises SpecInvalid for a name that is not one, a reserved name, or a value with a NUL character."""
    for name, value in variables.items():
        if not _VARIABLE_NAME.match(name):
            raise SpecInvalid(f"'{name}' is not a name for an environment variable.", field="environment_variables")
        if name in RESERVED_VARIABLES:
            raise SpecInvalid(f"{name} is set by the studio and cannot be changed.", field="environment_variables")
        if not isinstance(value, str) or "\0" in value or len(value) > 32_768:
            raise SpecInvalid(
                f"The value of {name} is not text of up to 32768 characters.", field="environment_variables"
            )
    return dict(variables)


def parse_variables(text: str) -> dict[str, str]:
    """NAME=value lines; empty lines and lines starting with # are left out. Raises SpecInvalid naming the line."""
    variables: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise SpecInvalid(f"Line {number} has no '=': use NAME=value.", field="environment_variables")
        variables[name.strip()] = value.strip()
    return check_environment_variables(variables)


def check_scoring_script(script: str, *, paths: list[str] | None) -> str:
    """The script's path inside the code folder, normalised. `paths` None: there is no code."""
    if paths is None:
        if script:
            raise SpecInvalid("A scoring script needs the code it lies in.", field="code")
        return ""
    script = script.strip().removeprefix("./")
    if not script:
        raise SpecInvalid("Name the scoring script in the code folder.", field="scoring_script")
    if script in paths:
        return script
    nested = [path for path in paths if path.split("/", 1)[-1] == script]
    if len(nested) == 1:
        return nested[0]
    scripts = ", ".join(sorted(path for path in paths if path.endswith(".py"))[:10]) or "no Python file"
    raise SpecInvalid(f"There is no '{script}' in the code folder (it has {scripts}).", field="scoring_script")


def served_model(paths: Iterable[str]) -> str:
    """The one file of a model, by its path in the model's folder, for which the inference server can generate scoring.

    An MLmodel file goes first, then what lies nearest to the top; among several, the one called `model`. Raises SpecInvalid.
    """
    known = sorted(path for path in paths if not any(part.startswith(".") for part in path.split("/")))
    candidates = [path for path in known if _is_served(path)]
    candidates = [path for path in candidates if path.rsplit("/", 1)[-1] == "MLmodel"] or candidates
    top = min((path.count("/") for path in candidates), default=0)
    nearest = [path for path in candidates if path.count("/") == top]
    if len(nearest) > 1:
        called = [path for path in nearest if path.rsplit("/", 1)[-1].split(".")[0] == "model"]
        nearest = called if len(called) == 1 else nearest
    if len(nearest) == 1:
        return nearest[0]
    has = f"several models ({', '.join(nearest[:10])})" if nearest else ", ".join(known[:10]) or "no files"
    raise SpecInvalid(
        f"There is no scoring script, and the model cannot be served without one: it has {has}.",
        field="code",
        hint="Give the deployment a folder with a script that has init() and run(), or register a folder with one model: "
        "MLflow, scikit-learn (.pkl, .joblib), ONNX, XGBoost (.ubj, model.json) or LightGBM (.lgb, model.txt).",
    )


def _is_served(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name in SERVED_NAMES or os.path.splitext(name)[1].lower() in SERVED_SUFFIXES


def instances_with_reserve(count: int, *, skips_reserve: bool) -> int:
    """Instances that count against the quota: a fifth more, rounded up, for upgrades and replacement (Azure's rule)."""
    return count if skips_reserve else -(-6 * count // 5)


def vcpu_with_reserve(count: int, vcpu: Decimal, *, skips_reserve: bool) -> Decimal:
    """vCPUs that a deployment of `count` instances takes from the quota."""
    return instances_with_reserve(count, skips_reserve=skips_reserve) * vcpu
