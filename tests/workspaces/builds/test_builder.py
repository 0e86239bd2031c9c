from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from workspaces.builds.builder import BuildResult, build, build_log
from workspaces.builds.conda import parse_conda
from workspaces.builds.errors import BuildCancelled, BuildFailed
from workspaces.builds.garbage import collect_garbage
from workspaces.builds.spec import EnvironmentSpec

from .wheelhouse import BROKEN_BACKEND, SLOW_BACKEND, make_source_package, make_wheel

Spec = Callable[..., EnvironmentSpec]
BUILD_ELSEWHERE = """
import sys
from pathlib import Path
from workspaces.builds.builder import build
from workspaces.builds.pip_list import parse_pip_list
result = build(parse_pip_list(sys.argv[2]), home=Path(sys.argv[1]))
print(result.hash, result.is_shared, result.packages)
"""


def build_elsewhere(home: Path, lines: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILD_ELSEWHERE, str(home), lines]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited 60 s for {what}"
        time.sleep(0.02)


def installers(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children(recursive=True) if child.name() == "uv" and not is_dead(child)]


def is_dead(process: psutil.Process) -> bool:
    # Where nobody collects orphans, the dead stay as zombies.
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def gate(tmp_path: Path, wheels: Path) -> Path:
    """A package `slow` whose build says `started` here and then waits for `go`."""
    folder = tmp_path / "gate"
    folder.mkdir()
    make_source_package(wheels, "slow", SLOW_BACKEND.format(gate=str(folder)))
    return folder


def test_an_environment_holds_what_was_asked_for_and_runs(home: Path, wheels: Path, spec: Spec) -> None:
    result = build(spec("pear"), home=home)
    assert result.packages == (("apple", "2.0"), ("pear", "1.0"))
    answer = subprocess.run(
        [result.python, "-c", "import apple; print(apple.VERSION)"], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "2.0\n"
    assert result.path == home / "environments" / result.hash / "venv"
    assert set(result.seconds) == {"python", "create", "install", "check"}
    assert list(result.path.rglob("__pycache__/apple.*.pyc")), "bytecode is compiled"


def test_everybody_may_read_it_and_only_the_owner_write_it(home: Path, wheels: Path, spec: Spec) -> None:
    (wheels / "apple-2.0-py3-none-any.whl").chmod(0o600)
    old = os.umask(0o077)
    try:
        result = build(spec("apple"), home=home)
    finally:
        os.umask(old)
    for path in [result.path.parent.parent, result.path.parent, result.path, *result.path.rglob("*")]:
        if not path.is_symlink():
            allowed = {0o755} if path.is_dir() else {0o644, 0o755}
            assert stat.S_IMODE(path.stat().st_mode) in allowed, path


def test_the_same_content_is_built_once_and_found_at_once(home: Path, wheels: Path) -> None:
    first = build(parse_conda("name: a\ndependencies: [apple=1]"), home=home)
    other = parse_conda("name: b\n# another file\ndependencies:\n  - apple=1\n")
    began = time.perf_counter()
    second = build(other, home=home)
    took_ms = (time.perf_counter() - began) * 1000
    assert (first.is_shared, second.is_shared) == (False, True)
    assert first.hash == second.hash
    assert took_ms < 100, "a hit takes some milliseconds"


def test_the_log_is_written_line_by_line_and_told_as_it_happens(home: Path, wheels: Path, spec: Spec) -> None:
    told: list[str] = []
    beats: list[float] = []
    result = build(spec("apple"), home=home, log=told.append, heartbeat=lambda: beats.append(time.monotonic()))
    assert build_log(home, result.hash).read_text().splitlines() == told
    assert any("== Installing 1 packages" in line for line in told)
    assert any("+ apple==2.0" in line for line in told)
    assert beats


def test_an_empty_list_is_python_alone(home: Path, wheels: Path, spec: Spec) -> None:
    assert build(spec(), home=home).packages == ()


def test_packages_that_miss_each_other_are_a_warning(home: Path, wheels: Path, spec: Spec) -> None:
    def lose_apple_before_the_check(line: str) -> None:
        if "== Checking" in line:
            for path in home.glob("environments/*/venv/lib/*/site-packages/apple-2.0.dist-info"):
                shutil.rmtree(path)

    (warning,) = build(spec("pear"), home=home, log=lose_apple_before_the_check).warnings
    assert "`pear` requires `apple>=2`" in warning


@pytest.mark.parametrize(
    ("lines", "kind", "line", "words"),
    [
        (("apple", "plum"), "no_such_package", 2, "no package 'plum'"),
        (("", "apple==99"), "no_such_version", 2, "no version of 'apple'"),
        (("pear", "apple<2"), "conflict", 1, "exclude each other: 'pear', 'apple<2'"),
        (("modern",), "python_mismatch", 1, "needs Python"),
        (("broken",), "needs_compiler", 1, "could not be built from source"),
    ],
)
def test_a_failure_names_the_line_and_what_to_do(
    home: Path, wheels: Path, spec: Spec, lines: tuple[str, ...], kind: str, line: int, words: str
) -> None:
    make_wheel(wheels, "modern", python=">=3.99")
    make_source_package(wheels, "broken", BROKEN_BACKEND)
    with pytest.raises(BuildFailed) as caught:
        build(spec(*lines), home=home)
    failure = caught.value
    assert (failure.code, failure.kind, failure.line) == ("ImageBuildFailure", kind, line), failure.message
    assert words in failure.message
    assert failure.hint
    assert failure.probable_cause
    assert failure.log_tail


def test_what_has_no_wheel_is_not_compiled_when_that_is_forbidden(home: Path, wheels: Path, spec: Spec) -> None:
    make_source_package(wheels, "broken", BROKEN_BACKEND)
    with pytest.raises(BuildFailed) as caught:
        build(spec("broken"), home=home, allow_source_builds=False)
    assert (caught.value.kind, caught.value.line) == ("no_wheel", 1)


def test_an_index_that_cannot_be_reached_is_said_so(home: Path, spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(BuildFailed) as caught:
        build(spec("apple"), home=home)
    assert caught.value.kind == "network"
    assert "127.0.0.1:9" in caught.value.message


def test_after_a_failure_the_same_environment_can_be_built(home: Path, wheels: Path, spec: Spec) -> None:
    with pytest.raises(BuildFailed):
        build(spec("plum"), home=home)
    make_wheel(wheels, "plum")
    result = build(spec("plum"), home=home)
    assert result.packages == (("plum", "1.0"),)
    assert build_log(home, result.hash).read_text().count("Building environment") == 2


def test_the_studios_secrets_are_not_in_a_builds_environment(
    home: Path, wheels: Path, spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    backend = f"import json, os\nwith open({str(seen)!r}, 'w') as file: json.dump(dict(os.environ), file)\nraise SystemExit(1)\n"
    make_source_package(wheels, "curious", backend)
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    with pytest.raises(BuildFailed):
        build(spec("curious"), home=home)
    assert "DATABASE_URL" not in json.loads(seen.read_text())


def test_two_processes_at_once_build_it_once(home: Path, gate: Path) -> None:
    builders = [build_elsewhere(home, "slow") for _ in range(2)]
    wait_until((gate / "started").exists, "the build to start")
    (gate / "go").touch()
    answers = [builder.communicate(timeout=60)[0].split() for builder in builders]
    assert sorted(answer[1] for answer in answers) == ["False", "True"]
    assert answers[0][0] == answers[1][0]
    assert build_log(home, answers[0][0]).read_text().count("Building environment") == 1


def test_a_build_killed_midway_takes_its_installer_along_and_is_done_by_the_next(
    home: Path, gate: Path, spec: Spec
) -> None:
    builder = build_elsewhere(home, "slow")
    wait_until((gate / "started").exists, "the build to start")
    (installer,) = installers(psutil.Process(builder.pid))
    builder.send_signal(signal.SIGKILL)
    builder.communicate(timeout=60)
    wait_until(lambda: is_dead(installer), "the installer to die")
    (gate / "go").touch()
    result = build(spec("slow"), home=home)
    assert result.packages == (("slow", "1.0"),)
    assert not result.is_shared


def test_a_cancelled_build_stops_soon_and_can_be_built_again(home: Path, gate: Path, spec: Spec) -> None:
    began = time.monotonic()
    with pytest.raises(BuildCancelled) as caught:
        build(spec("slow"), home=home, cancelled=(gate / "started").exists)
    assert caught.value.code == "OperationCanceled"
    assert time.monotonic() - began < 30
    assert installers(psutil.Process()) == []
    (gate / "go").touch()
    assert not build(spec("slow"), home=home).is_shared


def test_waiting_for_another_builder_can_be_cancelled(home: Path, gate: Path, spec: Spec) -> None:
    builder = build_elsewhere(home, "slow")
    wait_until((gate / "started").exists, "the build to start")
    with pytest.raises(BuildCancelled):
        build(spec("slow"), home=home, cancelled=lambda: True)
    (gate / "go").touch()
    assert "False" in builder.communicate(timeout=60)[0]


def test_a_build_that_takes_too_long_is_stopped(home: Path, gate: Path, spec: Spec) -> None:
    with pytest.raises(BuildFailed) as caught:
        build(spec("slow"), home=home, timeout_seconds=1.0)
    assert caught.value.kind == "timeout"


def test_garbage_is_what_nothing_uses_and_nobody_builds(home: Path, wheels: Path, gate: Path, spec: Spec) -> None:
    kept, left = build(spec("apple==1.0"), home=home), build(spec("apple==2.0"), home=home)
    builder = build_elsewhere(home, "slow")
    wait_until((gate / "started").exists, "the build to start")
    assert collect_garbage(home, {kept.hash}, older_than_seconds=3600).hashes == ()
    collected = collect_garbage(home, {kept.hash}, older_than_seconds=-1)
    (gate / "go").touch()
    assert "False" in builder.communicate(timeout=60)[0]
    assert collected.hashes == (left.hash,)
    assert collected.freed_bytes > 0
    assert kept.python.exists()
    assert not left.path.parent.exists()


def test_an_environment_whose_python_is_gone_is_built_again(home: Path, wheels: Path, spec: Spec) -> None:
    first = build(spec("apple"), home=home)
    (first.path / "bin" / "python").unlink()
    assert not build(spec("apple"), home=home).is_shared


def test_a_build_in_a_forked_worker_is_the_same(home: Path, wheels: Path, spec: Spec) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result: BuildResult = pool.apply(_build_there, (home,))
    assert result.packages == (("apple", "2.0"),)
    assert build(spec("apple"), home=home).is_shared


def _build_there(home: Path) -> BuildResult:
    from workspaces.builds.pip_list import parse_pip_list

    return build(parse_pip_list("apple"), home=home)


@pytest.mark.network
def test_a_package_comes_from_the_index(home: Path) -> None:
    result = build(parse_conda("dependencies:\n  - six=1.17\n  - pip:\n      - idna>=3\n"), home=home)
    assert [name for name, _ in result.packages] == ["idna", "six"]


@pytest.mark.network
def test_a_name_the_index_does_not_know_is_said_so_with_its_line(home: Path) -> None:
    with pytest.raises(BuildFailed) as caught:
        build(parse_conda("dependencies:\n  - six\n  - no-such-package-of-endpoint-studio\n"), home=home)
    assert (caught.value.kind, caught.value.line) == ("no_such_package", 3)
