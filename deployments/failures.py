"""Why an instance did not come up: Azure's error code, the lines that matter, a probable cause and a remedy. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from deployments.spec import Probe

NOT_READY = "ResourceNotReady"
MOST_LINES = 12
OUT_OF_MEMORY = "Out of memory while starting."
TOO_SLOW = "init() takes longer than the readiness probe allows, or hangs."

_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z] \[\d+\] \S+ - ")
_ERROR_LINE = re.compile(r"^(?P<type>[A-Za-z_][\w.]*(?:Error|Exception|Warning|Exit|Interrupt)): ?(?P<text>.*)$")
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)')
_MISSING_MODULE = re.compile(r"No module named '(?P<module>[\w.]+)'")


@dataclass(frozen=True)
class Failure:
    """`cause` is what probably happened, in a sentence; `hint` what to do next; `log_lines` the lines that matter."""

    code: str
    message: str
    cause: str = ""
    hint: str = ""
    log_lines: list[str] = field(default_factory=list)


def explain_exit(exit_code: int | None, lines: list[str], *, oom_killed: bool = False, message: str = "") -> Failure:
    """An instance that ended by itself. `lines` are the newest of its log, oldest first."""
    matter = lines_that_matter(lines)
    if oom_killed:
        return Failure(
            NOT_READY,
            "The instance was killed: it needs more memory than its instance type has.",
            OUT_OF_MEMORY,
            "Choose an instance type with more memory.",
            matter,
        )
    for explain in (_missing_module, _syntax_error, _no_function, _bad_model_file, _init_failed, _import_failed):
        found = explain(lines, matter)
        if found is not None:
            return found
    return Failure(
        NOT_READY,
        message or f"The instance ended with exit code {exit_code} before it was ready.",
        _cause_of_exit(exit_code),
        "Read the log of the instance; run the scoring script on your own machine with the same environment.",
        matter or lines[-MOST_LINES:],
    )


def explain_not_ready(readiness: Probe, lines: list[str], *, answered: bool) -> Failure:
    """An instance that runs but did not get ready in its time."""
    seconds = readiness.deadline_seconds
    arithmetic = f"{readiness.initial_delay} s + {readiness.failure_threshold} × {readiness.period} s"
    what = "answered, but not that it is ready" if answered else "did not answer"
    return Failure(
        NOT_READY,
        f"The instance was not ready within {seconds} s ({arithmetic}): it {what}.",
        TOO_SLOW,
        "Raise the initial delay or the failure threshold of the readiness probe, or make init() faster.",
        lines_that_matter(lines) or lines[-MOST_LINES:],
    )


def missing_module(log_lines: list[str]) -> str:
    """The module whose import failed, by the lines that matter; "" when it was something else."""
    error = _error(log_lines)
    missing = _MISSING_MODULE.search(error["text"]) if error else None
    return missing["module"] if missing else ""


def lines_that_matter(lines: list[str]) -> list[str]:
    """The last traceback with its error, at most MOST_LINES lines: the beginning, and the end that names the error."""
    starts = [index for index, line in enumerate(lines) if line.rstrip().endswith("Traceback (most recent call last):")]
    if not starts:
        errors = [line for line in lines if _ERROR_LINE.match(_bare(line)) or " E [" in line]
        return errors[-MOST_LINES:]
    block = [lines[starts[-1]]]
    for line in lines[starts[-1] + 1 :]:
        if _PREFIX.match(line):
            break
        block.append(line)
    return _shortened(block)


def _shortened(block: list[str]) -> list[str]:
    """A traceback in at most MOST_LINES lines: its head, the last frames of the user's own code, and its end."""
    if len(block) <= MOST_LINES:
        return block
    own = [index for index, line in enumerate(block) if _is_own_frame(line)][-2:]
    kept = {0, *own, *(index + 1 for index in own), *range(len(block) - 5, len(block))}
    lines: list[str] = []
    for index in sorted(kept):
        if index and index - 1 not in kept:
            lines.append("  …")
        lines.append(block[index])
    return lines


def _is_own_frame(line: str) -> bool:
    """Whether a line of a traceback stands for code that is neither installed nor ours."""
    frame = _FRAME.match(line)
    foreign = ("site-packages", "/lib/python", "/inference_server/", "<frozen")
    return frame is not None and not any(part in frame["file"] for part in foreign)


def _bare(line: str) -> str:
    return _PREFIX.sub("", line)


def _error(matter: list[str]) -> re.Match[str] | None:
    matches = [_ERROR_LINE.match(_bare(line)) for line in matter]
    found = [match for match in matches if match]
    return found[-1] if found else None


def _place(matter: list[str]) -> str:
    """The last frame that is not in an installed package: file name and line."""
    own = [frame for line in matter if _is_own_frame(line) and (frame := _FRAME.match(line))]
    if not own:
        return ""
    return f"{own[-1]['file'].rsplit('/', 1)[-1]}, line {own[-1]['line']}"


def _missing_module(lines: list[str], matter: list[str]) -> Failure | None:
    module, place = missing_module(matter), _place(matter)
    if not module:
        return None
    return Failure(
        NOT_READY,
        f"{place + ' imports' if place else 'The instance needs'} '{module}', which the environment does not have.",
        f"UserScriptImportError: a package that provides '{module}' is missing from the environment.",
        f"Register a new version of the environment with the package for '{module}', and update the deployment to it.",
        matter,
    )


def _syntax_error(lines: list[str], matter: list[str]) -> Failure | None:
    error = _error(matter)
    if error is None or error["type"] not in ("SyntaxError", "IndentationError", "TabError"):
        return None
    return Failure(
        NOT_READY,
        f"{_place(matter) or 'The scoring script'} has a syntax error: {error['text']}.",
        "UserScriptImportError: Python cannot read the scoring script.",
        "Correct the line, register the code again, and update the deployment to it.",
        matter,
    )


def _no_function(lines: list[str], matter: list[str]) -> Failure | None:
    for line in reversed(lines):
        found = re.search(r"does not have a (init|run)\(\) function defined", line)
        if found:
            return Failure(
                NOT_READY,
                f"The scoring script has no {found[1]}() function.",
                "UserScriptFunctionNotFound: a scoring script needs init() and run().",
                f"Define {found[1]}() in the script that is named as the scoring script, and update the deployment.",
                [_bare(line)],
            )
    return None


_UNPICKLING = ("UnpicklingError", "BadZipFile", "InconsistentVersionWarning", "XGBoostError", "EOFError")


def _bad_model_file(lines: list[str], matter: list[str]) -> Failure | None:
    error = _error(matter)
    text = "\n".join(matter)
    loads = re.search(r"\b(joblib|pickle|numpy_pickle|load_model|torch\.load|onnxruntime)\b", text)
    if error is None or not loads:
        return None
    kind = error["type"].rsplit(".", 1)[-1]
    if kind not in _UNPICKLING and not (kind in ("KeyError", "ValueError", "IndexError") and loads):
        return None
    return Failure(
        NOT_READY,
        f"init() could not load the model file ({_place(matter) or 'scoring script'}): {kind} {error['text']}".rstrip()
        + ".",
        "UserScriptInitFailed: the registered file is not a model of the kind that the script loads, or it is cut short.",
        "Check that the model was saved completely and with the same library, register it again, and update the deployment.",
        matter,
    )


def _init_failed(lines: list[str], matter: list[str]) -> Failure | None:
    if not any("init function failed" in line for line in lines):
        return None
    error = _error(matter)
    what = f"{error['type']}: {error['text']}" if error else "an error"
    place = _place(matter)
    missing_file = error is not None and error["type"] == "FileNotFoundError"
    return Failure(
        NOT_READY,
        f"init() raised {what}" + (f" ({place})" if place else "") + ".",
        "UserScriptInitFailed: "
        + ("a file is not where the script looks for it." if missing_file else "init() raised."),
        "Compare the path with the files of the model below AZUREML_MODEL_DIR (the log lists them)."
        if missing_file
        else "Correct init(), register the code again, and update the deployment to it.",
        matter,
    )


def _import_failed(lines: list[str], matter: list[str]) -> Failure | None:
    if not any("Failed to import user script" in line for line in lines):
        return None
    error = _error(matter)
    what = f"{error['type']}: {error['text']}" if error else "an error"
    return Failure(
        NOT_READY,
        f"Importing the scoring script raised {what}" + (f" ({_place(matter)})" if _place(matter) else "") + ".",
        "UserScriptImportError: code at the top level of the script raised.",
        "Correct the line, register the code again, and update the deployment to it.",
        matter,
    )


def _cause_of_exit(exit_code: int | None) -> str:
    if exit_code is None:
        return "It could not be started."
    if exit_code > 128:
        return f"It was ended by signal {exit_code - 128}."
    return f"It ended by itself with exit code {exit_code}."
