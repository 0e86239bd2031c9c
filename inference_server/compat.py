"""The module names that Azure scripts import: `rawhttp`, `AMLRequest`, `AMLResponse`. Flask is imported on first use."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import io
import json
import sys
from types import ModuleType
from typing import Any, Callable, Mapping, Sequence

_PACKAGES = ("azureml", "azureml.contrib", "azureml.contrib.services")
_API = ("azureml_inference_server_http", "azureml_inference_server_http.api")
_NO_FLASK = (
    "{name} needs the package flask, which is not in the environment of this deployment. "
    "Add `flask` (or `azureml-inference-server-http`, which brings it) to the environment's pip dependencies."
)

_raw_asked = False


class FlaskMissing(ImportError):
    """The script uses raw HTTP but its environment has no flask."""


def is_raw() -> bool:
    """Whether the script has used @rawhttp; like on Azure that holds for the whole process."""
    return _raw_asked


def rawhttp(function: Callable[..., Any]) -> Callable[..., Any]:
    """Ask for the HTTP request itself as run()'s argument. Returns the function unchanged."""
    global _raw_asked
    _raw_asked = True
    return function


def _flask(name: str) -> ModuleType:
    try:
        import flask
    except ImportError as error:
        if error.name and error.name.split(".")[0] != "flask":
            raise
        raise FlaskMissing(_NO_FLASK.format(name=name)) from error
    return flask


def _make_response_class() -> type:
    flask = _flask("AMLResponse")

    class AMLResponse(flask.Response):  # type: ignore[name-defined]
        """An answer with its own status and headers; see docs/reference/inference-server.md."""

        def __init__(
            self,
            message: Any,
            status_code: int,
            response_headers: Mapping[str, str] | None = None,
            json_str: bool = False,
            run_function_failed: bool = False,
        ) -> None:
            headers = response_headers or {}
            if message is None or json_str:
                text = json.dumps({} if message is None else message)
                super().__init__(text, status=status_code, mimetype="application/json")
            else:
                super().__init__(message, status=status_code)
            if any(name.lower() == "content-type" for name in headers):
                self.headers.remove("Content-Type")
            self.headers["x-ms-run-function-failed"] = str(bool(run_function_failed))
            for name, values in headers.items():
                for value in str(values).split(","):
                    self.headers.add(name, value.strip())

    return AMLResponse


class _LazyModule(ModuleType):
    """A module whose attributes are made when they are first asked for."""

    def __init__(self, name: str, makers: Mapping[str, Callable[[], Any]]) -> None:
        super().__init__(name)
        self._makers = makers
        self.__all__ = list(makers)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self._makers:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = self._makers[name]()
        setattr(self, name, value)
        return value


class _ParentFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Supplies empty parent packages when the environment does not have the real ones; asked last, so those win."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name in _PACKAGES or name in _API:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        for leaf in ("aml_request", "aml_response"):
            found = sys.modules.get(f"{module.__name__}.{leaf}")
            if found is not None:
                setattr(module, leaf, found)


def install() -> None:
    """Make the Azure import names resolve, whether or not the environment has Azure's own packages."""
    request_makers = {"rawhttp": lambda: rawhttp, "AMLRequest": lambda: _flask("AMLRequest").Request}
    request = _LazyModule("aml_request", request_makers)
    response = _LazyModule("aml_response", {"AMLResponse": _make_response_class})
    for parent in (_PACKAGES[-1], _API[-1]):
        sys.modules[parent + ".aml_request"] = request
        sys.modules[parent + ".aml_response"] = response
    sys.meta_path.append(_ParentFinder())


def flask_request(method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Any:
    """The live request object for a @rawhttp run(). Raises FlaskMissing."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
        elif name not in ("content-length", "transfer-encoding"):
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    return _flask("@rawhttp").Request(environ)


def is_http_response(value: object) -> bool:
    """Whether run() returned a Flask (or other werkzeug) response, without importing werkzeug for it."""
    wrappers = sys.modules.get("werkzeug.wrappers")
    return wrappers is not None and isinstance(value, wrappers.Response)
