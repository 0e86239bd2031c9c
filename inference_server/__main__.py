"""Start the server: `python -m inference_server …` or `python RUNTIME/inference_server/__main__.py …`.

However it was started, the directory that holds this package ends up last on sys.path, so packages of the user's
environment win over the server's own, and a user's module called like one of this package's files is never shadowed.
"""

from __future__ import annotations

import importlib.util
import os
import sys


def _load_package() -> None:
    """Bind `inference_server` to the package beside this file, even when the user's environment has one of that name."""
    here = os.path.dirname(os.path.realpath(__file__))
    runtime = os.path.dirname(here)
    if not __package__:
        sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry or os.getcwd()) != here]
    if runtime != os.path.realpath(os.getcwd()):
        sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry or os.getcwd()) != runtime]
    if runtime not in sys.path:
        sys.path.append(runtime)
    if "inference_server" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "inference_server", os.path.join(here, "__init__.py"), submodule_search_locations=[here]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"The inference server's own package cannot be loaded from {here}.")
        package = importlib.util.module_from_spec(spec)
        sys.modules["inference_server"] = package
        spec.loader.exec_module(package)


if __name__ == "__main__":
    _load_package()
    from inference_server.supervisor import main

    sys.exit(main(sys.argv[1:]))
