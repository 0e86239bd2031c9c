import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.inference_server.models import environment
from tests.inference_server.models.environment import ModelEnvironment
from tests.inference_server.server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A running server with the script that does what the request says; shared by the tests of a module."""
    with Server("score.py") as started:
        yield started.until_ready()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start a server of one's own: `serve("score.py", "--worker_count", "2", SCORING_TIMEOUT_MS="500")`."""
    with ExitStack() as stack:
        yield lambda *given, **environment: stack.enter_context(Server(*given, **environment))


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """Ports of the loopback address that nobody listens on now."""

    def find(count: int) -> list[int]:
        held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        found = [one.getsockname()[1] for one in held]
        for one in held:
            one.close()
        return found

    return find


@pytest.fixture(scope="session")
def model_environment() -> ModelEnvironment:
    """An interpreter with the model libraries, and a folder of models; built once for all test processes."""
    return environment.model_environment()
