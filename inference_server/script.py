"""The user's scoring script: found, imported, checked, initialised; every failure names file, line and remedy."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import time
import traceback
from types import ModuleType
from typing import Any, Callable, Sequence

from inference_server import compat
from inference_server.log import SCRIPT, log
from inference_server.settings import Settings

TREE_LINES = 200


class ScriptFailed(Exception):
    """The scoring script cannot be used. The text is meant for its author; the process ends with exit code 3."""


class Script:
    """A loaded scoring script. `kind` says what run() is given: "text", "schema" or "raw" ("model": see models/scoring.py)."""

    kind = "text"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._init: Callable[[], Any] = lambda: None
        self.run: Callable[..., Any] = lambda data: data
        self.batch: Callable[[list[Any]], Sequence[Any]] | None = None
        self.parameters: list[inspect.Parameter] = []
        self.first_parameter = ""
        self.wants_headers = False
        self.is_async = False

    def load(self) -> None:
        """Import the script and check its functions. Raises ScriptFailed."""
        settings = self._settings
        compat.install()
        extend_search_path(settings.search_paths)
        module = self._import()
        where = settings.script_path or getattr(module, "__file__", None) or "main"
        log.line(f"Found user script at {where}", name=SCRIPT)
        for name in ("init", "run"):
            if not callable(getattr(module, name, None)):
                raise ScriptFailed(
                    f"User script at {where} does not have a {name}() function defined.\n"
                    f"Remedy: add `def {name}({'' if name == 'init' else 'raw_data'}):` at the top level of that file."
                )
        driver = getattr(module, "driver_module", None)
        self._init = module.init
        self.run = driver.run if isinstance(driver, ModuleType) and hasattr(driver, "run") else module.run
        self._examine_run(where)
        self._examine_run_batch(getattr(module, "run_batch", None))

    def _import(self) -> ModuleType:
        path = self._settings.script_path
        try:
            if path is None:
                return importlib.import_module("main")
            if not os.path.isfile(path):
                raise ScriptFailed(
                    f"The scoring script {path} does not exist.\nRemedy: give its path relative to the code folder "
                    f"({self._settings.app_root}) as the deployment's scoring script."
                )
            spec = importlib.util.spec_from_file_location("entry_module", path)
            if spec is None or spec.loader is None:
                raise ScriptFailed(
                    f"The scoring script {path} is not a Python file.\nRemedy: give a file ending in .py."
                )
            module = importlib.util.module_from_spec(spec)
            sys.modules["entry_module"] = module
            spec.loader.exec_module(module)
            return module
        except ScriptFailed:
            raise
        except BaseException as error:
            raise ScriptFailed(self._explain_import(error)) from error

    def _explain_import(self, error: BaseException) -> str:
        head = "Failed to import user script because it raised an unhandled exception"
        lines = [head, f"{_place(error, self._settings.app_root)}{type(error).__name__}: {error}"]
        remedy = self._import_remedy(error)
        lines += [f"Remedy: {remedy}"] if remedy else []
        return "\n".join(lines)

    def _import_remedy(self, error: BaseException) -> str:
        if isinstance(error, SyntaxError):
            return f"correct line {error.lineno} of {error.filename}; this Python is {sys.version.split()[0]}."
        if not isinstance(error, ModuleNotFoundError) or not error.name:
            return "the traceback below shows the line of the script that failed while it was imported."
        name = error.name.split(".")[0]
        root = self._settings.app_root
        if self._settings.script_path is None and name == "main":
            found = ", ".join(sorted(os.listdir(root))[:20]) if os.path.isdir(root) else "nothing"
            return f"no scoring script was named and {root} holds no main.py (it holds: {found}); set AZUREML_ENTRY_SCRIPT."
        folder = os.path.dirname(self._settings.script_path or root)
        if os.path.exists(os.path.join(folder, name + ".py")) or os.path.isdir(os.path.join(folder, name)):
            return (
                f"{name} lies beside the script in {folder}, but imports start at {root}: "
                f"make {folder} the code folder (AML_APP_ROOT) or set AZUREML_SOURCE_DIRECTORY."
            )
        return f"add the package that provides {name!r} to the dependencies of the deployment's environment."

    def _examine_run(self, where: str) -> None:
        try:
            parameters = list(inspect.signature(self.run).parameters.values())
        except (TypeError, ValueError) as error:
            raise ScriptFailed(f"The signature of run() in {where} cannot be read: {error}.") from error
        plain = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        if any(one.kind not in plain for one in parameters):
            raise ScriptFailed("run() cannot accept positional-only arguments, *args, or **kwargs.")
        self.wants_headers = any(one.name == "request_headers" for one in parameters)
        self.parameters = [one for one in parameters if one.name != "request_headers"]
        if not self.parameters:
            other = 'an argument other than "request_headers".' if self.wants_headers else "an argument for input data."
            raise ScriptFailed(f"run() needs to accept {other}")
        self.first_parameter = self.parameters[0].name
        self.kind = self._find_kind()
        self.is_async = inspect.iscoroutinefunction(inspect.unwrap(self.run))
        said = {"raw": "decorated with @rawhttp", "schema": "decorated with @input_schema", "text": "not decorated"}
        passed = {"raw": "the HTTP request", "schema": "the decorated parameters", "text": "the request's body as text"}
        log.line(f"run() is {said[self.kind]}. Server will invoke it with {passed[self.kind]}.", name=SCRIPT)

    def _examine_run_batch(self, function: Any) -> None:
        """A run_batch(list) takes the place of run() for plain POST requests."""
        if function is None:
            return
        if not callable(function) or self.kind != "text" or self.wants_headers or inspect.iscoroutinefunction(function):
            log.line(
                "run_batch() is not used: it takes the place of an undecorated run() without request_headers, and is no coroutine",
                "W",
                SCRIPT,
            )
            return
        self.batch, self.is_async = function, False
        log.line("Server will invoke run_batch() with a list of what waits", name=SCRIPT)

    def _find_kind(self) -> str:
        schema = sys.modules.get("inference_schema.schema_util")
        has_schema = bool(schema is not None and schema.is_schema_decorated(self.run))
        if compat.is_raw() and has_schema:
            raise ScriptFailed("run() cannot be decorated with both @rawhttp and @input_schema; remove one of them.")
        return "raw" if compat.is_raw() else "schema" if has_schema else "text"

    def schemas(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON schemas of the request and of the answer, of kind "model" only."""
        raise NotImplementedError

    def init(self) -> None:
        """Call the script's init(). Raises ScriptFailed for anything that it raises, sys.exit() too."""
        log.line("Invoking user's init function", name=SCRIPT, now=True)
        started_at = time.monotonic()
        try:
            self._init()
        except BaseException as error:
            place = _place(error, self._settings.app_root)
            lines = ["User's init function failed", f"{place}{type(error).__name__}: {error}"]
            lines.append(f"Remedy: {self._init_remedy(error)}")
            lines += _model_tree(self._settings.model_dir)
            raise ScriptFailed("\n".join(lines)) from error
        log.line(f"init() took {time.monotonic() - started_at:.3f} s", name=SCRIPT)
        log.line("Users's init has completed successfully", name=SCRIPT, now=True)

    def _init_remedy(self, error: BaseException) -> str:
        if isinstance(error, ModuleNotFoundError) and error.name:
            return f"add the package that provides {error.name!r} to the dependencies of the deployment's environment."
        if isinstance(error, FileNotFoundError):
            return "compare the path with the model directory's content below; build it from AZUREML_MODEL_DIR."
        if isinstance(error, MemoryError):
            return "the model does not fit into the memory of the instance; choose a larger instance type."
        if isinstance(error, KeyError) and error.args and str(error.args[0]).isupper():
            return f"the environment variable {error.args[0]} may be missing; set it on the deployment."
        return "the traceback below shows the line in init(); a model that does not load often needs other package versions."


def choose(settings: Settings) -> Script:
    """The script, or what takes its place when none is named, there is no main.py, and there is a model. Not loaded yet."""
    if not settings.generates_scoring:
        return Script(settings)
    try:
        from inference_server.models.scoring import GeneratedScoring
    except ModuleNotFoundError as error:
        raise ScriptFailed(
            f"There is no scoring script, and generated scoring needs {error.name!r}, which the environment does not have.\n"
            "Remedy: add it to the dependencies of the deployment's environment, or give the deployment a scoring script."
        ) from error
    return GeneratedScoring(settings)


def failure_traceback(error: BaseException) -> str:
    """The traceback of what the script raised, without the server's own frames."""
    cause = error.__cause__ or error
    frames = cause.__traceback__
    own = os.path.dirname(os.path.abspath(__file__))
    while frames is not None and _is_machinery(frames.tb_frame.f_code.co_filename, own):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(cause), cause, frames or cause.__traceback__)).rstrip()


def _is_machinery(filename: str, own: str) -> bool:
    return filename.startswith(("<frozen importlib", own)) or os.path.basename(os.path.dirname(filename)) == "importlib"


def _place(error: BaseException, app_root: str) -> str:
    """`File "…", line N, in f: ` of the innermost line inside the code folder, or of the innermost line."""
    if isinstance(error, SyntaxError) and error.filename:
        return f'File "{error.filename}", line {error.lineno}: '
    frames = traceback.extract_tb(error.__traceback__)
    own = os.path.dirname(os.path.abspath(__file__))
    theirs = [frame for frame in frames if not _is_machinery(frame.filename, own)]
    inside = [frame for frame in theirs if frame.filename.startswith(app_root)] or theirs
    return f'File "{inside[-1].filename}", line {inside[-1].lineno}, in {inside[-1].name}: ' if inside else ""


def extend_search_path(folders: list[str]) -> None:
    """Append the code folders to sys.path, but before the server's own directory, which stays last."""
    runtime = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    at = (
        len(sys.path) - 1 if sys.path and os.path.realpath(sys.path[-1]) == os.path.realpath(runtime) else len(sys.path)
    )
    for folder in folders:
        if folder not in sys.path:
            sys.path.insert(at, folder)
            at += 1


def _model_tree(model_dir: str | None) -> list[str]:
    """The files below the model directory, indented, at most TREE_LINES lines."""
    if not model_dir:
        return ["AZUREML_MODEL_DIR is not set: no model was given to this deployment."]
    if not os.path.isdir(model_dir):
        return [f"AZUREML_MODEL_DIR is {model_dir}, which is not a directory."]
    lines = [f"Content of the model directory {model_dir}:"]
    for folder, subfolders, files in os.walk(model_dir):
        subfolders.sort()
        depth = 0 if folder == model_dir else os.path.relpath(folder, model_dir).count(os.sep) + 1
        lines.append("  " * (depth + 1) + os.path.basename(folder.rstrip("/")) + "/")
        for name in sorted(files):
            path = os.path.join(folder, name)
            size = f"{os.path.getsize(path)} bytes" if os.path.exists(path) else "broken link"
            lines.append("  " * (depth + 2) + f"{name}  ({size})")
        if len(lines) > TREE_LINES:
            return [*lines[: TREE_LINES - 1], f"  … more than {TREE_LINES} lines; the rest is left out"]
    return lines
