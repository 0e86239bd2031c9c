"""What the local driver promises beyond the contract: recovery, limits, and that its half-made states mend."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

import inference_server
from deployments.compute.contract import (
    CALL_SECONDS,
    DriverUnavailable,
    InstanceState,
    SpecRefused,
)
from deployments.compute.local import LocalDriver
from tests.contract.installation import MIB, Installation, get, insist, poll

pytestmark = pytest.mark.process
RUNNING, ABSENT, EXITED, BACK_OFF = (
    InstanceState.RUNNING,
    InstanceState.ABSENT,
    InstanceState.EXITED,
    InstanceState.BACK_OFF,
)


def event_names(installation: Installation, name: str) -> list[str]:
    return [event.name for event in installation.driver.events(name)]


def launcher_of(installation: Installation, name: str) -> psutil.Process:
    return psutil.Process(insist(installation.driver._programs)[name].pid)


def test_it_answers_at_its_address(installation: Installation) -> None:
    seen = installation.run(installation.spec())
    answer = json.loads(get(seen.address))
    assert answer["environment"]["BEHAVIOUR"] == "serve"
    assert seen.address == f"unix:{installation.driver.places.socket(answer['environment']['STUDIO_INSTANCE'])}"


def test_the_real_inference_server_scores_in_it(installation: Installation, tmp_path: Path) -> None:
    runtime = installation.home / "real-runtime"
    package = Path(inference_server.__file__).parent
    shutil.copytree(
        package, runtime / "inference_server", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
    )
    script = "def init(): ...\ndef run(data): return {'heard': data}\n"
    (installation.home / "code" / "echo.py").write_text(script)
    seen = installation.run(installation.spec(runtime_dir=runtime, entry_script="echo.py"))
    poll(lambda: get(seen.address, "/ready"), lambda body: b"not ready" not in body.lower())
    poll(lambda: get(seen.address, "/score?a=1"), lambda body: b"heard" in body)


def test_a_script_that_cannot_be_loaded_ends_it_for_good(installation: Installation) -> None:
    spec = installation.spec("script fails")
    installation.driver.ensure(spec)
    seen = installation.wait_for(spec.name, EXITED)
    assert (seen.exit_code, seen.restarts, seen.pid) == (3, 0, None)
    assert "ModuleNotFoundError: No module named 'sklearn'" in installation.driver.logs(spec.name)
    poll(lambda: installation.driver._program(spec.name), lambda program: program and program.state == "EXITED")
    installation.driver.ensure(spec)
    assert installation.driver.observe(spec.name).state is EXITED
    assert event_names(installation, spec.name) == ["Created", "Started", "Exited"]


def test_a_crash_is_restarted_at_once_the_first_time(installation: Installation) -> None:
    spec = installation.spec("crash once")
    seen = installation.run(spec)
    assert (seen.restarts, seen.exit_code) == (1, 1)
    assert "BackOff" not in event_names(installation, spec.name)


def test_further_crashes_are_restarted_after_growing_pauses(installation: Installation) -> None:
    spec = installation.spec("crash")
    installation.driver.ensure(spec)
    poll(lambda: event_names(installation, spec.name).count("BackOff"), lambda count: count >= 2)
    pauses = [event.message for event in installation.driver.events(spec.name) if event.name == "BackOff"]
    assert [message.split("again in ")[1] for message in pauses[:2]] == ["1 s.", "2 s."]
    seen = installation.driver.observe(spec.name)
    assert seen.state in (BACK_OFF, InstanceState.STARTING)
    assert seen.restarts >= 2


def test_a_killed_serving_process_comes_back(installation: Installation) -> None:
    spec = installation.spec()
    first = installation.run(spec)
    assert first.pid
    os.kill(first.pid, signal.SIGKILL)
    seen = poll(lambda: installation.driver.observe(spec.name), lambda seen: seen.restarts and seen.state is RUNNING)
    assert (seen.exit_code, seen.oom_killed) == (137, False)
    assert get(seen.address)


def test_a_killed_launcher_takes_its_instance_along_and_both_come_back(installation: Installation) -> None:
    spec = installation.spec()
    first = installation.run(spec)
    assert first.pid
    poll(lambda: installation.driver._program(spec.name), lambda program: program and program.state == "RUNNING")
    launcher_of(installation, spec.name).kill()
    poll(lambda: psutil.pid_exists(first.pid or 0), lambda exists: not exists)
    seen = poll(lambda: installation.driver.observe(spec.name), lambda seen: seen.restarts and seen.state is RUNNING)
    assert get(seen.address)


def test_one_that_does_not_stop_is_killed_after_its_grace(installation: Installation) -> None:
    spec = installation.spec("ignore stop", stop_grace_seconds=0.5)
    first = installation.run(spec)
    installation.driver.remove(spec.name)
    assert installation.driver.observe(spec.name).state is InstanceState.STOPPING
    installation.wait_for(spec.name, ABSENT)
    assert not psutil.pid_exists(first.pid or 0)
    assert "Killed after 0.5 s of grace." in [event.message for event in installation.driver.events(spec.name)]


def test_what_it_left_running_is_gone_with_it(installation: Installation) -> None:
    spec = installation.spec("leave a child")
    if not installation.run(spec).limits_applied["processes"].startswith("cgroup"):
        pytest.skip("without control groups a process that left its group is not found")
    (line,) = poll(
        lambda: [line for line in installation.driver.logs(spec.name) if line.startswith("child")], lambda lines: lines
    )
    child = psutil.Process(int(line.split()[1]))
    installation.remove(spec.name)
    poll(lambda: child.is_running() and child.status() != psutil.STATUS_ZOMBIE, lambda is_alive: not is_alive)


def test_nothing_is_left_of_a_removed_instance_but_its_logs(installation: Installation) -> None:
    spec = installation.spec()
    seen = installation.run(spec)
    state = json.loads(Path(installation.driver.places.state(spec.name)).read_text())
    installation.remove(spec.name)
    left = [path for path in installation.home.rglob("*") if spec.name in str(path)]
    assert {path.parent.name for path in left} == {"instances"}
    assert {path.suffix for path in left} == {".log", ".jsonl"}
    assert not any(os.path.exists(folder) for _, folder in state["groups"].values())
    assert not psutil.pid_exists(seen.pid or 0)


def test_reaching_the_memory_limit_is_recognised(installation: Installation) -> None:
    spec = installation.spec("eat memory", memory_limit_bytes=64 * MIB)
    installation.driver.ensure(spec)
    seen = poll(lambda: installation.driver.observe(spec.name), lambda seen: seen.exit_code)
    if not seen.limits_applied["memory"].startswith("cgroup"):
        pytest.skip("without control groups the process sees a MemoryError instead")
    assert (seen.oom_killed, seen.exit_code) == (True, 137)
    assert "OOMKilled" in event_names(installation, spec.name)
    ended = poll(lambda: [one.message for one in installation.driver.events(spec.name) if one.name == "Exited"], bool)
    assert ended[0] == "Killed: it reached its memory limit of 64 MiB."


def test_a_quarter_of_a_cpu_takes_four_times_as_long(installation: Installation) -> None:
    spec = installation.spec("use cpu", cpu_limit=0.25)
    seen = installation.run(spec)
    if not seen.limits_applied["cpu"].startswith("cgroup"):
        pytest.skip("without control groups a part of a CPU cannot be given")
    usage = installation.driver.usage(spec.name)
    assert usage is not None
    assert usage.cpu_seconds >= 0.45
    assert seen.started_at is not None
    assert (datetime.now(UTC) - seen.started_at).total_seconds() >= 1.5


def test_only_the_instance_gets_its_variables(installation: Installation) -> None:
    spec = installation.spec(environment={"API_KEY": "very secret", "WORKER_COUNT": "3"})
    seen = installation.run(spec)
    variables = json.loads(get(seen.address))["environment"]
    assert variables["API_KEY"] == "very secret"
    assert variables["WORKER_COUNT"] == "3"
    assert variables["AZUREML_ENTRY_SCRIPT"] == "score.py"
    assert variables["AML_APP_ROOT"] == str(spec.app_dir)
    assert variables["AZUREML_MODEL_DIR"] == str(spec.model_dir)
    assert variables["SCORING_TIMEOUT_MS"] == "5000"
    assert variables["STUDIO_CPU_LIMIT"] == "1"
    assert variables["PATH"].startswith(f"{spec.python.parent}:")
    assert not {"DATABASE_URL", "SUPERVISOR_ENABLED"} & set(variables)
    conf = Path(installation.driver.places.conf(spec.name)).read_text()
    assert "secret" not in conf
    assert "secret" not in " ".join(launcher_of(installation, spec.name).cmdline())
    document = Path(installation.driver.places.spec(spec.name))
    assert stat.S_IMODE(document.stat().st_mode) == 0o600


def test_instances_come_back_when_supervisord_restarts(own_installation: Installation) -> None:
    spec, removed = own_installation.spec(), own_installation.spec()
    first = own_installation.run(spec)
    own_installation.run(removed)
    own_installation.remove(removed.name)
    own_installation.stop()
    with pytest.raises(DriverUnavailable):
        own_installation.driver.observe(spec.name)
    own_installation.start()
    seen = own_installation.wait_for(spec.name, RUNNING)
    assert seen.pid != first.pid
    assert seen.restarts == 0
    assert list(own_installation.driver.observe_all()) == [spec.name]


def test_instances_come_back_when_supervisord_is_killed(own_installation: Installation) -> None:
    spec = own_installation.spec()
    first = own_installation.run(spec)
    own_installation.kill()
    (own_installation.home / "supervisor.sock").unlink(missing_ok=True)
    own_installation.start()
    seen = poll(
        lambda: own_installation.driver.observe(spec.name),
        lambda seen: seen.state is RUNNING and seen.pid != first.pid,
    )
    assert get(seen.address)
    poll(lambda: psutil.pid_exists(first.pid or 0), lambda exists: not exists)


def test_a_supervisord_that_does_not_answer_is_temporary_trouble(own_installation: Installation) -> None:
    assert own_installation.process
    own_installation.process.send_signal(signal.SIGSTOP)
    try:
        for call in (
            own_installation.driver.observe_all,
            lambda: own_installation.driver.ensure(own_installation.spec()),
        ):
            began = time.monotonic()
            with pytest.raises(DriverUnavailable):
                call()
            assert time.monotonic() - began < CALL_SECONDS
    finally:
        own_installation.process.send_signal(signal.SIGCONT)


def test_a_start_cut_short_is_completed_by_asking_again(installation: Installation) -> None:
    spec = installation.spec()
    installation.driver._write_files(spec)
    seen = installation.driver.observe(spec.name)
    assert seen.state is ABSENT
    assert "cut short" in seen.message
    installation.run(spec)


def test_a_start_cut_short_earlier_is_completed_too(installation: Installation) -> None:
    spec = installation.spec()
    installation.driver._write_files(spec)
    Path(installation.driver.places.conf(spec.name)).unlink()
    assert installation.driver.observe(spec.name).state is ABSENT
    installation.run(spec)


def test_a_start_cut_short_can_be_removed(installation: Installation) -> None:
    spec = installation.spec()
    installation.driver._write_files(spec)
    installation.remove(spec.name)
    assert not Path(installation.driver.places.folder(spec.name)).exists()


def test_a_removal_cut_short_is_completed_by_looking(installation: Installation) -> None:
    spec = installation.spec()
    installation.run(spec)
    Path(installation.driver.places.conf(spec.name)).unlink()
    installation.wait_for(spec.name, ABSENT)
    assert not Path(installation.driver.places.folder(spec.name)).exists()


def test_many_who_ask_at_once_start_one(installation: Installation) -> None:
    spec = installation.spec()
    drivers = [LocalDriver(installation.home) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda driver: insist(lambda: driver.ensure(spec)), drivers))
    assert installation.wait_for(spec.name, RUNNING).restarts == 0
    assert event_names(installation, spec.name).count("Created") == 1


def test_one_stopped_by_hand_is_started_by_asking(installation: Installation) -> None:
    spec = installation.spec()
    installation.run(spec)
    installation.driver.supervisor.stop(f"instance-{spec.name}")
    assert "by hand" in installation.wait_for(spec.name, EXITED).message
    installation.run(spec)


def test_an_interpreter_that_cannot_be_executed_is_fatal(installation: Installation) -> None:
    broken = installation.home / "broken" / "bin" / "python"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/nowhere/python\n")
    broken.chmod(0o755)
    spec = installation.spec(python=broken)
    installation.driver.ensure(spec)
    seen = installation.wait_for(spec.name, InstanceState.FATAL)
    assert "Rebuild its environment" in seen.message


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"python": Path("/nowhere/python")}, "does not exist"),
        ({"python": Path("bin/python")}, "is relative"),
        ({"model_dir": Path("/nowhere/model")}, "does not exist"),
        ({"entry_script": "other.py"}, "not in the code folder"),
        ({"runtime_dir": Path("/usr")}, "no inference_server"),
    ],
)
def test_what_is_not_on_this_machine_is_refused(
    installation: Installation, change: dict[str, object], complaint: str
) -> None:
    spec = replace(installation.spec(), **change)  # type: ignore[arg-type]
    with pytest.raises(SpecRefused, match=complaint):
        installation.driver.ensure(spec)
    assert installation.driver.observe(spec.name).state is ABSENT


def test_an_address_that_is_too_long_is_refused_with_its_length(installation: Installation) -> None:
    deep = installation.home / ("x" * 90)
    driver = LocalDriver(deep, installation.home / "supervisor.sock")
    length = len(driver.places.socket("i-1"))
    with pytest.raises(SpecRefused, match=f"{length} bytes"):
        driver.ensure(installation.spec(name="i-1"))


def test_a_home_that_supervisord_could_not_read_about_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="comment"):
        LocalDriver(tmp_path / "a ;b")


def test_the_tail_of_a_log_reaches_into_the_rotated_one(installation: Installation) -> None:
    places = installation.driver.places
    os.makedirs(places.logs_dir, exist_ok=True)
    Path(places.log("i-long") + ".1").write_text("".join(f"old {i}\n" for i in range(50_000)))
    Path(places.log("i-long")).write_text("new 1\nnew 2\n")
    assert installation.driver.logs("i-long", 3) == ["old 49999", "new 1", "new 2"]
    assert installation.driver.logs("i-long", 0) == []
    assert len(installation.driver.logs("i-long", 20_000)) == 20_000
    installation.driver.forget("i-long")
    assert installation.driver.logs("i-long") == []
