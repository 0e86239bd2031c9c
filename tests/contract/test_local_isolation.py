"""What code inside an instance can reach. These need a studio that runs as root on a host that permits mount namespaces."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments.compute.contract import InstanceState, SpecRefused
from deployments.compute.identity import _within_mapped
from tests.contract.installation import Installation, get, poll

pytestmark = pytest.mark.process
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give each instance its own user")


def look_around(installation: Installation, *paths: Path, **overrides: Any) -> dict[str, Any]:
    """What an instance finds, having been asked to read, list and write these paths."""
    spec = installation.spec(environment={"LOOK_AT": ":".join(str(path) for path in paths)}, **overrides)
    seen = installation.run(spec)
    if not seen.limits_applied["filesystem"].startswith("private"):
        pytest.skip(seen.limits_applied["filesystem"])
    return json.loads(get(seen.address))


@pytest.fixture
def other_socket(installation: Installation) -> Iterator[Path]:
    path = installation.home / "redis.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield path
    path.unlink()


@needs_root
def test_an_instance_runs_as_nobody_else_and_can_become_nobody_else(installation: Installation) -> None:
    first, second = look_around(installation), look_around(installation)
    assert first["uid"] != second["uid"]
    assert min(first["uid"], second["uid"]) > 65_535
    assert first["groups"] == []
    status = first["status"]
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"


@needs_root
def test_the_studios_own_files_and_sockets_do_not_exist_for_it(installation: Installation, other_socket: Path) -> None:
    home = installation.home
    secret, sock = home / "secret.txt", home / "supervisor.sock"
    found = look_around(
        installation, home, secret, sock, other_socket, home / "instances", home / "logs", home / "sock"
    )
    assert found["reads"][str(secret)] == "FileNotFoundError"
    assert found["reads"][str(sock)] == "FileNotFoundError"
    assert found["reads"][str(other_socket)] == "FileNotFoundError"
    assert found["lists"][str(home)] == repr(["code", "instances", "model", "runtime"])
    own = found["environment"]["STUDIO_INSTANCE"]
    assert found["lists"][str(home / "instances")] == repr([own])
    assert found["lists"][str(home / "logs")] == found["lists"][str(home / "sock")] == "FileNotFoundError"


@needs_root
def test_its_own_specification_and_state_do_not_exist_for_it(installation: Installation) -> None:
    spec = installation.spec()
    folder = Path(installation.driver.places.folder(spec.name))
    found = look_around(installation, folder, folder / "spec.json", name=spec.name)
    assert found["lists"][str(folder)] == repr(["work"])
    assert found["reads"][str(folder / "spec.json")] == "FileNotFoundError"


@needs_root
def test_code_and_model_can_be_read_but_not_written(installation: Installation) -> None:
    open_to_all = installation.home / "model"
    open_to_all.chmod(0o777)
    found = look_around(installation, open_to_all, installation.home / "code", open_to_all / "model.txt")
    open_to_all.chmod(0o755)
    assert found["reads"][str(open_to_all / "model.txt")] == repr("weights")
    assert set(found["writes"].values()) <= {"OSError", "PermissionError", "NotADirectoryError"}


@needs_root
def test_it_has_scratch_folders_of_its_own(installation: Installation) -> None:
    (Path("/tmp") / installation.top.name / "loose").write_text("not for instances")
    shared = [Path(path) for path in ("/tmp", "/var/tmp", "/dev/shm")]
    found = look_around(installation, *shared)
    assert all(found["writes"][str(path)] == "None" for path in shared)
    assert found["lists"]["/var/tmp"] == found["lists"]["/dev/shm"] == "[]"
    # the interpreter is shown at its own place, which may lie below /tmp too
    shown = {Path(sys.prefix).parts[2]} if sys.prefix.startswith("/tmp/") else set()
    assert set(eval(found["lists"]["/tmp"])) <= {".server", installation.top.name, *shown}
    assert not os.path.exists("/tmp/written")
    assert found["environment"]["TMPDIR"].startswith(str(installation.home))


@needs_root
def test_it_sees_no_process_but_its_own_and_inherits_nothing_open(installation: Installation) -> None:
    found = look_around(installation)
    assert len(found["processes"]) == 1
    opened = [name.strip("'") for name in found["descriptors"] if name != "FileNotFoundError"]
    assert all(name.startswith(("/dev/null", "pipe:", "socket:", "/proc/")) for name in opened), opened


@needs_root
def test_it_cannot_put_somebody_elses_socket_in_the_place_of_its_own(
    installation: Installation, other_socket: Path
) -> None:
    spec = installation.spec(
        "link elsewhere", environment={"BEHAVIOUR": "link elsewhere", "ELSEWHERE": str(other_socket)}
    )
    installation.driver.ensure(spec)
    seen = poll(lambda: installation.driver.observe(spec.name), lambda seen: "not a socket" in seen.message)
    assert (seen.state, seen.address) == (InstanceState.STARTING, "")
    assert not os.path.lexists(installation.driver.places.socket(spec.name))


@needs_root
def test_of_a_home_that_only_links_to_the_interpreter_nothing_else_is_seen(installation: Installation) -> None:
    home = installation.top / "someones-home"
    (home / "bin").mkdir(parents=True, exist_ok=True)
    home.chmod(0o755)
    (home / "password").write_text("hunter2")
    (home / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    environment = installation.home / "linked-environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text(f"home = {home / 'bin'}\n")
    (environment / "bin" / "python").symlink_to(home / "bin" / "python3")
    found = look_around(installation, home, home / "password", python=environment / "bin" / "python")
    assert found["lists"][str(home)] == repr(["bin"])
    assert found["reads"][str(home / "password")] == "FileNotFoundError"


@needs_root
def test_files_its_user_could_not_read_are_refused_by_name(installation: Installation) -> None:
    closed = installation.home / "closed-model"
    closed.mkdir()
    (closed / "weights.bin").write_text("secret weights")
    (closed / "weights.bin").chmod(0o600)
    with pytest.raises(SpecRefused, match=r"weights\.bin cannot be read") as refused:
        installation.driver.ensure(installation.spec(model_dir=closed))
    assert "chmod -R a+rX" in refused.value.hint


@needs_root
def test_a_studio_of_an_ordinary_user_says_so(installation: Installation) -> None:
    driver = installation.driver
    identities, driver.identities = driver.identities, None
    try:
        seen = installation.run(installation.spec())
    finally:
        driver.identities = identities
    assert seen.limits_applied["user"] == "none: the studio does not run as root"
    assert json.loads(get(seen.address))["uid"] == 0


def test_user_numbers_are_taken_from_what_the_host_maps() -> None:
    assert _within_mapped(900_000, 60_000, "0 0 4294967295") == (900_000, 60_000)
    assert _within_mapped(900_000, 60_000, "0 1000 1\n1 100000 65536") == (32_769, 32_768)
