"""Changing what is routed while requests keep coming, and what happens when a change is refused."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import threading
from functools import partial

import pytest

from gateway.errors import RouteTableInvalid
from gateway.logs import rotate
from gateway.publish import Publisher, Turn, last_publish
from gateway.routes import InstanceTarget, RouteTable
from tests.gateway.world import Upstream, World, replace, running_load, until, world

pytestmark = pytest.mark.envoy


def test_twenty_weight_changes_under_load_fail_no_request(gateway: World) -> None:
    deployments = [gateway.deployment(name, gateway.instance(f"{name}-0")) for name in ("blue", "green")]
    endpoint = gateway.endpoint("churn", *deployments, traffic={"blue": 100})
    gateway.publish(endpoint)

    with running_load(gateway.load("churn", connections=8)) as load:
        for step in range(1, 21):
            share = step * 5
            result = gateway.publish(replace(endpoint, traffic={"blue": 100 - share, "green": share}))
            assert result.changed
        until(lambda: load.by_deployment()["green"] > 100, "green answers")
    assert load.failed == 0


def test_deployments_and_instances_come_and_go_under_load_without_a_failed_request(gateway: World) -> None:
    first = gateway.instance("blue-0")
    blue = gateway.deployment("blue", first)
    endpoint = gateway.endpoint("churn", blue, traffic={"blue": 100})
    gateway.publish(endpoint)

    with running_load(gateway.load("churn", connections=8)) as load:
        green = gateway.deployment("green", gateway.instance("green-0"))
        half = replace(endpoint, deployments=(blue, green), traffic={"blue": 50, "green": 50})
        gateway.publish(half)
        until(lambda: load.by_deployment()["green"] > 50, "green answers")

        more = [gateway.instance(f"blue-{number}") for number in (1, 2)]
        scaled = gateway.deployment("blue", first, *more)
        gateway.publish(replace(half, deployments=(scaled, green)))
        until(lambda: all(instance.counts()["requests"] > 50 for instance in more), "three instances answer")

        drained = dataclasses.replace(scaled, instances=(replace(first.target, draining=True), *scaled.instances[1:]))
        gateway.publish(replace(half, deployments=(drained, green)))
        until(lambda: gateway.admin.former_requests("churn__blue") == 0, "blue-0 has finished")
        until(lambda: first.counts()["in_flight"] == 0, "blue-0 has finished")
        gateway.publish(replace(half, deployments=(gateway.deployment("blue", *more), green)))
        first.kill()

        gateway.publish(replace(endpoint, deployments=(gateway.deployment("blue", *more),)))
        result = gateway.publish(replace(endpoint, deployments=(gateway.deployment("blue", *more),)))
        assert result.leftover_clusters == ()
        gateway.upstreams[1].kill()
        before = load.by_deployment()["blue"]
        until(lambda: load.by_deployment()["blue"] > before + 100, "blue goes on alone")
    assert load.failed == 0
    assert "churn__green" not in gateway.admin.deployment_health()


def test_a_draining_instance_finishes_what_it_has_and_gets_nothing_new(gateway: World) -> None:
    instances = [gateway.instance(f"blue-{number}") for number in range(2)]
    blue = gateway.deployment("blue", *instances, request_timeout_ms=60_000)
    endpoint = gateway.endpoint("churn", blue, traffic={"blue": 100})
    gateway.publish(endpoint)
    until(lambda: gateway.admin.deployment_health()["churn__blue"].healthy == 2, "both are ready")
    release = gateway.home / "release"

    with concurrent.futures.ThreadPoolExecutor(4) as callers:
        slow = []
        for number in range(1, 5):
            slow.append(callers.submit(gateway.call, "churn", f"/score?until={release}"))
            until(partial(_are_answering, instances, number), f"{number} requests are being answered")
        assert [instance.counts()["in_flight"] for instance in instances] == [2, 2]
        draining = replace(instances[0].target, draining=True)
        drained = dataclasses.replace(blue, instances=(draining, instances[1].target))
        gateway.publish(replace(endpoint, deployments=(drained,)))

        assert {gateway.call("churn").json()["instance"] for _ in range(20)} == {"blue-1"}
        assert gateway.admin.former_requests("churn__blue") == 4
        release.touch()
        assert [answer.result().status_code for answer in slow] == [200] * 4
        until(lambda: gateway.admin.former_requests("churn__blue") == 0, "what began before the change has ended")
    seen = {(host.name, host.draining) for host in gateway.admin.instances() if host.cluster == "churn__blue"}
    assert seen == {("blue-0", True), ("blue-1", False)}


def _are_answering(instances: list[Upstream], count: int) -> bool:
    return sum(instance.counts()["in_flight"] for instance in instances) == count


def test_a_removed_deployment_finishes_what_it_has(gateway: World) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"), request_timeout_ms=60_000)
    endpoint = gateway.endpoint("churn", blue, traffic={"blue": 100})
    gateway.publish(endpoint)
    release = gateway.home / "release"
    with concurrent.futures.ThreadPoolExecutor(1) as callers:
        slow = callers.submit(gateway.call, "churn", f"/score?until={release}")
        until(lambda: gateway.upstreams[0].counts()["in_flight"] == 1, "it is busy")
        result = gateway.publish()
        assert result.leftover_clusters == ("churn__blue",)
        assert gateway.call("churn").status_code == 404
        release.touch()
        assert slow.result().status_code == 200
    result = gateway.publish()
    assert (result.leftover_clusters, result.changed) == ((), True)
    assert "churn__blue" not in gateway.admin.deployment_health()


def test_an_instance_killed_under_load_fails_at_most_what_it_was_answering(gateway: World) -> None:
    instances = [gateway.instance(f"blue-{number}") for number in range(2)]
    endpoint = gateway.endpoint("churn", gateway.deployment("blue", *instances), traffic={"blue": 100})
    gateway.publish(endpoint)
    until(lambda: gateway.admin.deployment_health()["churn__blue"].healthy == 2, "both are ready")
    with running_load(gateway.load("churn", connections=8)) as load:
        until(lambda: load.by_deployment()["blue"] > 200, "it runs")
        instances[0].kill()
        at = load.by_deployment()["blue"]
        until(lambda: load.by_deployment()["blue"] > at + 500, "the other goes on")
    assert load.failed <= 8


def test_publishing_twice_changes_nothing_the_second_time(gateway: World) -> None:
    endpoint = gateway.endpoint("churn", gateway.deployment("blue", gateway.instance("blue-0")), traffic={"blue": 100})
    first, second = gateway.publish(endpoint), gateway.publish(endpoint)
    assert (first.changed, second.changed) == (True, False)
    assert first.version == second.version
    assert "validating" in first.seconds
    assert "validating" not in second.seconds


def test_a_new_percentage_needs_no_validation_and_a_new_instance_does(gateway: World) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"))
    green = gateway.deployment("green", gateway.instance("green-0"))
    endpoint = gateway.endpoint("churn", blue, green, traffic={"blue": 100})
    gateway.publish(endpoint)
    flipped = gateway.publish(replace(endpoint, traffic={"blue": 10, "green": 90}))
    assert "validating" not in flipped.seconds
    more = gateway.deployment("blue", gateway.upstreams[0], gateway.instance("blue-1"))
    assert "validating" in gateway.publish(replace(endpoint, deployments=(more, green))).seconds


def test_a_table_that_breaks_a_rule_writes_nothing(gateway: World) -> None:
    endpoint = gateway.endpoint("churn", gateway.deployment("blue", gateway.instance("blue-0")), traffic={"blue": 100})
    gateway.publish(endpoint)
    before = _files(gateway)
    with pytest.raises(RouteTableInvalid, match="90 %"):
        gateway.publisher.publish(RouteTable((replace(endpoint, traffic={"blue": 90}),)))
    assert _files(gateway) == before


def _files(gateway: World) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in gateway.options.xds_directory.iterdir()}


def test_what_envoy_would_refuse_is_found_before_anything_is_written(gateway: World) -> None:
    """Our own rules let a host name pass that Envoy does not take for an address."""
    good = gateway.endpoint("churn", gateway.deployment("blue", gateway.instance("blue-0")), traffic={"blue": 100})
    gateway.publish(good)
    before = _files(gateway)
    unresolved = dataclasses.replace(good.deployments[0], instances=(InstanceTarget("blue-0", "no.such.host:80"),))

    result = gateway.publisher.publish(RouteTable((replace(good, deployments=(unresolved,)),)))

    assert not result.accepted
    assert "malformed IP address" in result.rejected_reason
    assert _files(gateway) == before
    assert gateway.call("churn").status_code == 200
    told = last_publish(gateway.options)
    assert (told["accepted"], told["rejected_reason"]) == (False, result.rejected_reason)


def test_a_rejection_by_the_running_envoy_is_noticed_and_the_last_good_files_come_back(
    gateway: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation finds such things first, so it is taken out of the way here."""
    good = gateway.endpoint("churn", gateway.deployment("blue", gateway.instance("blue-0")), traffic={"blue": 100})
    gateway.publish(good)
    before = _files(gateway)
    monkeypatch.setattr(Turn, "_refusal", lambda self, table: "")
    unresolved = dataclasses.replace(good.deployments[0], instances=(InstanceTarget("blue-0", "no.such.host:80"),))

    result = gateway.publisher.publish(RouteTable((replace(good, deployments=(unresolved,)),)))

    assert not result.accepted
    assert "malformed IP address" in result.rejected_reason
    assert _files(gateway) == before
    assert gateway.call("churn").status_code == 200
    gateway.stop()
    gateway.start()
    until(lambda: gateway.call("churn").status_code == 200, "Envoy started from the last good files")
    gateway.publish(good)


def test_envoy_starts_from_its_files_alone(gateway: World) -> None:
    endpoint = gateway.endpoint("churn", gateway.deployment("blue", gateway.instance("blue-0")), traffic={"blue": 100})
    gateway.publish(endpoint)
    gateway.stop(kill=True)
    gateway.start()
    until(lambda: gateway.call("churn").status_code == 200, "it answers as before")


def test_without_envoy_the_files_are_written_and_it_starts_with_them() -> None:
    with world() as gateway:
        gateway.publisher.prepare()
        blue = gateway.deployment("blue", gateway.instance("blue-0"))
        endpoint = gateway.endpoint("churn", blue, traffic={"blue": 100})
        result = gateway.publisher.publish(RouteTable((endpoint,)))
        assert (result.accepted, result.is_running, result.changed) == (False, False, True)
        assert "does not run" in result.rejected_reason
        gateway.start()
        until(lambda: gateway.call("churn").status_code == 200, "it answers")
        assert gateway.publish(endpoint).accepted


@pytest.mark.parametrize("damage", ["delete", "edit", "truncate"])
def test_a_file_that_somebody_damaged_is_repaired_by_the_next_publish(gateway: World, damage: str) -> None:
    endpoint = gateway.endpoint("churn", gateway.deployment("blue", gateway.instance("blue-0")), traffic={"blue": 100})
    gateway.publish(endpoint)
    before = _files(gateway)
    for name in ("rds.json", "cds.json", "lds.json", "ecds_jwt.json"):
        file = gateway.options.xds_directory / name
        if damage == "delete":
            file.unlink()
        elif damage == "edit":
            file.write_bytes(file.read_bytes().replace(b"churn", b"other"))
        else:
            file.write_bytes(file.read_bytes()[:100])
    assert gateway.publish(endpoint).changed or damage == "edit"
    assert _files(gateway) == before
    assert gateway.call("churn").status_code == 200


def test_routes_that_somebody_moved_into_place_are_replaced(gateway: World) -> None:
    endpoint = gateway.endpoint("churn", gateway.deployment("blue", gateway.instance("blue-0")), traffic={"blue": 100})
    gateway.publish(endpoint)
    file = gateway.options.xds_directory / "rds.json"
    foreign = json.loads(file.read_bytes())
    foreign["version_info"] = "foreign"
    foreign["resources"][0]["virtual_hosts"] = []
    draft = file.with_name("draft")
    draft.write_text(json.dumps(foreign))
    draft.rename(file)
    until(lambda: gateway.call("churn").status_code != 200, "the foreign routes are in force")

    assert gateway.publish(endpoint).changed
    assert gateway.call("churn").status_code == 200


def test_publishers_take_turns(gateway: World) -> None:
    blue, green = (gateway.deployment(name, gateway.instance(f"{name}-0")) for name in ("blue", "green"))
    endpoint = gateway.endpoint("churn", blue, green, traffic={"blue": 100})
    gateway.publish(endpoint)
    results = []

    def publish(percent: int) -> None:
        table = RouteTable((replace(endpoint, traffic={"blue": percent, "green": 100 - percent}),))
        results.append(Publisher(gateway.options).publish(table))

    threads = [threading.Thread(target=publish, args=(percent,)) for percent in range(10, 18)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.accepted for result in results] == [True] * 8
    assert gateway.call("churn").status_code == 200


def test_stopping_lets_requests_finish(gateway: World) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"), request_timeout_ms=60_000)
    gateway.publish(gateway.endpoint("churn", blue, traffic={"blue": 100}))
    release = gateway.home / "release"
    with concurrent.futures.ThreadPoolExecutor(5) as callers:
        slow = [callers.submit(gateway.call, "churn", f"/score?until={release}") for _ in range(5)]
        until(lambda: gateway.upstreams[0].counts()["in_flight"] == 5, "it is busy")
        assert gateway.envoy is not None
        gateway.envoy.terminate()
        until(lambda: gateway.call("churn", key=None).headers.get("connection") == "close", "callers are sent away")
        release.touch()
        assert gateway.ended() == 0
        assert [answer.result().status_code for answer in slow] == [200] * 5


def test_a_second_stop_signal_ends_it_at_once(gateway: World) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"), request_timeout_ms=60_000)
    gateway.publish(gateway.endpoint("churn", blue, traffic={"blue": 100}))
    with concurrent.futures.ThreadPoolExecutor(1) as callers:
        cut = callers.submit(gateway.call, "churn", "/score?hang")
        until(lambda: gateway.upstreams[0].counts()["in_flight"] == 1, "it is busy")
        assert gateway.envoy is not None
        gateway.envoy.terminate()
        assert gateway.envoy.poll() is None
        assert gateway.stop() == 0
        assert cut.exception() is not None


def test_logs_are_rotated_without_losing_a_line(gateway: World) -> None:
    blue = gateway.deployment("blue", gateway.instance("blue-0"))
    gateway.publish(gateway.endpoint("churn", blue, traffic={"blue": 100}))
    log = gateway.options.access_log
    with running_load(gateway.load("churn", connections=2)) as load:
        for _ in range(3):
            until(lambda: log.exists() and log.stat().st_size > 1000, "something is logged")
            assert rotate(gateway.options, gateway.admin, most_bytes=1000) == [log]
    sent = load.by_deployment()["blue"]
    files = [log, *(log.with_name(f"{log.name}.{number}") for number in (1, 2, 3))]
    until(lambda: sum(len(file.read_text().splitlines()) for file in files) == sent, "every line is there")
