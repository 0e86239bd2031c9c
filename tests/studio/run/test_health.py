from __future__ import annotations

import pytest
import redis
from django.test import Client
from pytest_django.fixtures import Settings

from studio import heartbeat


@pytest.fixture
def without_redis(settings: Settings) -> None:
    heartbeat.broker.cache_clear()
    settings.REDIS_URL = "redis+socket:///nonexistent/redis.sock"


@pytest.mark.django_db
@pytest.mark.usefixtures("without_redis")
def test_a_stranger_may_ask_and_is_told_what_is_down_and_what_to_do(client: Client) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 503
    parts = answer.json()["parts"]
    assert parts["database"] == "ok"
    assert "REDIS_URL" in parts["redis"]
    assert parts["worker-operations"] == "Unknown while Redis does not answer."
    assert "logs/envoy.log" in parts["gateway"]


@pytest.mark.django_db
@pytest.mark.usefixtures("without_redis")
def test_health_is_only_asked_for(client: Client) -> None:
    assert client.post("/healthz").status_code == 405


@pytest.mark.usefixtures("without_redis")
def test_a_heartbeat_that_cannot_be_written_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    heartbeat.say_alive("worker-ticks")
    assert "The heartbeat of worker-ticks could not be written" in caplog.text


@pytest.mark.usefixtures("without_redis")
def test_who_is_alive_cannot_be_told_without_redis() -> None:
    with pytest.raises(redis.RedisError):
        heartbeat.who_is_alive(["beat"])
