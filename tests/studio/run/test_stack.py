"""Whole installations: real processes, real ports."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from studio.run.processes import processes_of
from tests.stack import Studio, free_ports

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
PARTS = {"web", "redis", "envoy", "beat", "worker-operations", "worker-ticks", "worker-builds"}


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with Studio.start() as started:
        yield started


def test_every_part_is_up_and_health_says_so(studio: Studio) -> None:
    answer = studio.client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert set(answer.json()["parts"].values()) == {"ok"}
    assert PARTS <= studio.programs().keys()


def test_health_is_cheap(studio: Studio) -> None:
    def once() -> float:
        began = time.perf_counter()
        studio.client.get("/healthz").raise_for_status()
        return (time.perf_counter() - began) * 1000

    # The best of many: other tests share the processors.
    assert min(once() for _ in range(20)) <= 20


def test_credentials_are_complete_private_and_valid(studio: Studio) -> None:
    file = studio.home / "credentials.json"
    assert file.stat().st_mode & 0o777 == 0o600
    found = studio.credentials
    assert list(found) == [
        *("studio_url", "studio_tls_url", "gateway_url", "gateway_tls_url", "ca_file", "username", "password", "token"),
        *("subscription_id", "resource_group", "workspace", "sample_scoring_uri", "sample_key"),
    ]
    assert all(found[name] for name in found if not name.startswith("sample_"))
    assert (found["username"], found["workspace"]) == ("admin", "main")


def test_pages_answer_over_both_ports_and_know_which_one_was_used(studio: Studio) -> None:
    plain = studio.client.get(f"{studio.credentials['studio_url']}/sign-in/")
    secured = studio.client.get(f"{studio.credentials['studio_tls_url']}/sign-in/")
    assert (plain.status_code, secured.status_code) == (200, 200)


def test_a_caller_cannot_pretend_to_have_come_by_https(studio: Studio) -> None:
    """A secure request without a Referer fails Django's check of forms; a plain one does not need it."""
    form = {"username": "nobody", "password": "wrong"}

    def post(address: str, **headers: str) -> int:
        with httpx.Client(verify=studio.client._transport._pool._ssl_context) as client:  # type: ignore[attr-defined]
            page = client.get(f"{address}/sign-in/")
            token = next(value for name, value in client.cookies.items() if name.startswith("studio_csrf"))
            assert page.status_code == 200
            return client.post(
                f"{address}/sign-in/", data={**form, "csrfmiddlewaretoken": token}, headers=headers
            ).status_code

    assert post(studio.credentials["studio_url"], **{"X-Forwarded-Proto": "https"}) == 200
    assert post(studio.credentials["studio_tls_url"]) == 403
    assert post(studio.credentials["studio_tls_url"], Referer=f"{studio.credentials['studio_tls_url']}/sign-in/") == 200


def test_every_process_is_known_to_belong_to_this_home(studio: Studio) -> None:
    """What would not be could outlive a killed supervisord."""
    known = {process.pid for process in processes_of(studio.home)}
    assert {pid for name, pid in studio.pids().items() if name != "foreground"} <= known


def test_a_second_start_of_the_same_home_is_refused_and_disturbs_nothing(studio: Studio) -> None:
    before = studio.pids()
    second = Studio(studio.home, sample=False, **studio.environment)
    second.output_file = studio.home.with_name(f"{studio.home.name}.second")
    second.run()
    assert second.process is not None
    assert second.process.wait(60) == 2
    assert f"already being run, by process {before['foreground']}" in second.output
    second.output_file.unlink()
    assert studio.pids() == before


@pytest.mark.parametrize("part", sorted(PARTS))
def test_a_killed_part_comes_back(studio: Studio, part: str) -> None:
    before = studio.kill(part)
    studio.until(lambda: studio.pids().get(part, before) != before)
    studio.until(studio.is_healthy)


def test_health_names_the_part_that_is_down(studio: Studio) -> None:
    studio.supervisor.stop("beat")
    studio.until(lambda: studio.failing() == ["beat"])
    answer = studio.client.get("/healthz")
    assert answer.status_code == 503
    assert "logs/beat.log" in answer.json()["parts"]["beat"]
    studio.supervisor.start("beat")
    studio.until(studio.is_healthy)


def test_nothing_secret_is_in_process_arguments_or_in_files_but_one(studio: Studio) -> None:
    secrets = [studio.credentials["password"].encode(), studio.credentials["token"].encode()]
    arguments = b"\n".join(" ".join(process.cmdline()).encode() for process in studio.tree())
    assert not [secret for secret in secrets if secret in arguments]
    holding = [
        file
        for file in studio.home.rglob("*")
        if file.is_file() and any(secret in file.read_bytes() for secret in secrets)
    ]
    assert holding == [studio.home / "credentials.json"]


def test_a_killed_supervisord_is_replaced_with_all_parts(studio: Studio) -> None:
    before = studio.pids()
    os.kill(before["supervisord"], signal.SIGKILL)
    studio.until(lambda: studio.output.count("All parts are up") == studio.runs + 1, 120)
    assert studio.is_healthy()
    assert not [pid for name, pid in before.items() if name != "foreground" and psutil.pid_exists(pid)]


def test_two_installations_run_side_by_side_and_the_second_keeps_its_data_over_a_stop(studio: Studio) -> None:
    with Studio.start() as other:
        first = other.credentials
        assert first["token"] != studio.credentials["token"]
        ours, theirs = {p.pid for p in studio.tree()}, {p.pid for p in other.tree()}
        assert not ours & theirs
        other.halt()
        assert studio.is_healthy()
        assert not [pid for pid in theirs if psutil.pid_exists(pid)]
        assert {p.pid for p in studio.tree()} >= {studio.pids()[part] for part in PARTS}

        other.run()
        other.wait_until_up()
        assert other.credentials == first
        said = other.output.split("Stopped.")[1]
        assert "migrations applied" not in said
        assert "Certificate made" not in said

        _survives_a_killed_foreground(other)


def _survives_a_killed_foreground(studio: Studio) -> None:
    assert studio.process is not None
    before = studio.pids()
    studio.process.kill()
    studio.process.wait()
    assert httpx.get(f"{studio.gateway_url}/endpoints/none/score").status_code == 404
    studio.run()
    studio.wait_until_up()
    after = studio.pids()
    assert "Taking over" in studio.output
    assert {name for name in PARTS | {"supervisord"} if before[name] == after[name]} == {"envoy", "supervisord"}


def test_a_start_with_a_busy_port_names_it_and_starts_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        with Studio(GATEWAY_PORT=port) as refused:
            refused.run()
            assert refused.process is not None
            assert refused.process.wait(60) == 2
            assert f"Port {port} (GATEWAY_PORT) is taken" in refused.output
            assert not (refused.home / "supervisor.sock").exists()
            refused.process = None


def test_a_wrong_setting_is_told_in_a_sentence() -> None:
    port = str(free_ports(1)[0])
    with Studio(STUDIO_PORT=port, GATEWAY_PORT=port) as refused:
        refused.run()
        assert refused.process is not None
        assert refused.process.wait(60) == 2
        assert "STUDIO_PORT and GATEWAY_PORT are all" in refused.output
        assert "Traceback" not in refused.output
        refused.process = None


def test_a_stop_in_the_middle_of_the_start_leaves_nothing_behind() -> None:
    with Studio() as studio:
        studio.run()
        studio.until(lambda: (studio.home / "supervisor.sock").exists())
        everything = studio.tree()
        studio.halt()
        assert not [process for process in everything if process.is_running()]
