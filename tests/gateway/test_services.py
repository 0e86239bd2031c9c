"""From rows to a routing Envoy and back."""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from deployments.models import Deployment, Instance, Revision
from deployments.signals import instances_changed
from endpoints.models import Endpoint
from endpoints.services import create_endpoint, delete_endpoint, issue_token, regenerate_key, set_traffic
from gateway import configured, services
from gateway.admin import Admin
from gateway.publish import last_publish
from studio.celery import app
from studio.lib.errors import BadRequest
from tests.gateway.certificates import write_certificate
from tests.gateway.rows import give_traffic, make_deployment, make_endpoint, make_instance
from tests.gateway.world import World, free_port, until, world
from workspaces.models import Workspace

pytestmark = [pytest.mark.envoy, pytest.mark.django_db(transaction=True)]


@contextlib.contextmanager
def _eager_tasks() -> Iterator[None]:
    before = app.conf.task_always_eager, app.conf.task_eager_propagates
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    yield
    app.conf.update(task_always_eager=before[0], task_eager_propagates=before[1])


@pytest.fixture
def installed(settings: Any) -> Iterator[World]:
    """An Envoy that runs on this installation's settings; tasks run at once, in this process."""
    with world() as made, _eager_tasks():
        settings.STUDIO_HOME = made.home
        for port in ("GATEWAY_PORT", "GATEWAY_TLS_PORT", "STUDIO_TLS_PORT"):
            setattr(settings, port, free_port())
        (made.home / "tls").mkdir()
        write_certificate(made.home / "tls" / "server.crt", made.home / "tls" / "server.key", "studio")
        made.options = configured.gateway_options()
        made.publisher = configured.publisher()
        made.admin = Admin(made.options.admin_socket)
        made.start()
        yield made


def _serving(installed: World, endpoint: Endpoint, name: str) -> Instance:
    upstream = installed.instance(f"{name}-0")
    return make_instance(make_deployment(endpoint, name), upstream.name, upstream.target.address)


def test_rows_come_into_force_and_the_rows_learn_of_it(installed: World) -> None:
    endpoint = make_endpoint("churn", state="Creating")
    instance = _serving(installed, endpoint, "blue")
    give_traffic(endpoint, {"blue": 100})

    assert services.publish_routes().accepted

    until(lambda: installed.call("churn").status_code == 200, "it answers")
    endpoint.refresh_from_db()
    instance.refresh_from_db()
    assert (endpoint.routed_version, endpoint.state) == (2, "Succeeded")
    assert endpoint.routed_at is not None
    assert instance.routed == "traffic"


def test_a_users_change_is_in_force_when_its_transaction_has_ended(installed: World) -> None:
    Workspace.objects.create(name="team")
    endpoint = create_endpoint(workspace=Workspace.objects.get(), name="churn", by=None)
    key = endpoint.primary_key
    assert installed.call("churn", key=key).status_code == 404
    for name in ("blue", "green"):
        _serving(installed, endpoint, name)
    set_traffic(endpoint=endpoint, percents={"blue": 100}, by=None)
    until(lambda: installed.call("churn", key=key).status_code == 200, "it answers")

    set_traffic(endpoint=endpoint, percents={"green": 100}, by=None)
    until(lambda: installed.call("churn", key=key).json().get("instance") == "green-0", "green answers")
    fresh = regenerate_key(endpoint=endpoint, which="primary", by=None)
    assert installed.call("churn", key=key).status_code == 401
    assert installed.call("churn", key=fresh).status_code == 200


def test_a_draining_instance_is_let_go_when_it_has_answered(installed: World) -> None:
    endpoint = make_endpoint("churn")
    first = _serving(installed, endpoint, "blue")
    second = installed.instance("blue-1")
    deployment = Deployment.objects.get()
    make_instance(deployment, second.name, second.target.address)
    Revision.objects.update(request_timeout_ms=60_000)
    give_traffic(endpoint, {"blue": 100})
    services.publish_routes()
    until(lambda: installed.admin.deployment_health()["churn__blue"].healthy == 2, "both are ready")

    release = installed.home / "release"
    with concurrent.futures.ThreadPoolExecutor(2) as callers:
        slow = [callers.submit(installed.call, "churn", f"/score?until={release}") for _ in range(2)]
        until(lambda: installed.upstreams[0].counts()["in_flight"] == 1, "blue-0 is busy")
        Instance.objects.filter(pk=first.pk).update(state="Draining")
        instances_changed.send(sender=Instance, deployment_id=first.deployment_id)
        assert Instance.objects.get(pk=first.pk).routed == "draining"
        release.touch()
        assert [answer.result().status_code for answer in slow] == [200, 200]
    until(lambda: _routed_after_publish(first) == "", "it is let go")
    assert [host.name for host in installed.admin.instances() if host.cluster == "churn__blue"] != []
    services.publish_routes()
    assert [host.name for host in installed.admin.instances() if host.cluster == "churn__blue"] == ["blue-1"]


def _routed_after_publish(instance: Instance) -> str:
    services.publish_routes()
    return Instance.objects.get(pk=instance.pk).routed


def test_a_deleted_endpoint_is_closed_before_its_row_goes(installed: World) -> None:
    Workspace.objects.create(name="team")
    endpoint = create_endpoint(workspace=Workspace.objects.get(), name="churn", by=None)
    key = endpoint.primary_key
    assert installed.call("churn", key=key).json()["error"]["message"].startswith("Endpoint 'churn' has no")
    endpoint.refresh_from_db()
    delete_endpoint(endpoint=endpoint, by=None)
    assert installed.call("churn", key=key).json()["error"]["message"] == "There is no endpoint at this address."
    assert not Endpoint.objects.exists()


def test_drift_is_repaired_by_the_tick(installed: World) -> None:
    from gateway.tasks import tick_drift

    endpoint = make_endpoint("churn")
    _serving(installed, endpoint, "blue")
    give_traffic(endpoint, {"blue": 100})
    services.publish_routes()
    (installed.options.xds_directory / "rds.json").unlink()
    tick_drift.delay()
    installed.stop(kill=True)
    installed.start()
    until(lambda: installed.call("churn").status_code == 200, "Envoy started from repaired files")
    assert last_publish(installed.options)["accepted"] is True


def test_without_envoy_nothing_is_called_in_force(installed: World) -> None:
    installed.stop()
    endpoint = make_endpoint("churn", state="Creating")
    instance = _serving(installed, endpoint, "blue")
    result = services.publish_routes()
    assert (result.accepted, result.is_running) == (False, False)
    endpoint.refresh_from_db()
    instance.refresh_from_db()
    assert (endpoint.state, endpoint.routed_version, instance.routed) == ("Creating", None, "")
    installed.start()
    assert services.publish_routes().accepted
    endpoint.refresh_from_db()
    assert endpoint.state == "Succeeded"


def test_an_issued_token_opens_its_endpoint(installed: World) -> None:
    endpoint = make_endpoint("tokens", auth_mode="aml_token")
    _serving(installed, endpoint, "blue")
    give_traffic(endpoint, {"blue": 100})
    services.publish_routes()
    issued = issue_token(endpoint=endpoint)
    assert issued.refresh_after < issued.expires_at
    until(lambda: installed.call("tokens", key=issued.token).status_code == 200, "it answers")
    with pytest.raises(BadRequest, match="uses keys"):
        issue_token(endpoint=make_endpoint("churn"))


def test_many_who_ask_at_once_share_one_publish(installed: World) -> None:
    endpoint = make_endpoint("churn")
    _serving(installed, endpoint, "blue")
    asked_at = time.time()
    assert services.publish_if_not_since(asked_at=asked_at) is not None
    assert services.publish_if_not_since(asked_at=asked_at) is None
    assert services.publish_if_not_since(asked_at=time.time()) is not None
