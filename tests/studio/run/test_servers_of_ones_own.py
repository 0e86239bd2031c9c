"""DATABASE_URL and REDIS_URL: an installation on a Postgres and a Redis that somebody else runs."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.stack import Studio
from tests.studio.run import servers

pytestmark = [pytest.mark.stack, pytest.mark.postgres, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def database() -> Iterator[servers.Postgres]:
    programs = servers.postgres_programs()
    if programs is None:
        pytest.skip("no Postgres server is installed (Debian, Ubuntu: apt-get install postgresql)")
    with servers.postgres(programs) as server:
        yield server


@pytest.fixture(scope="module")
def studio(database: servers.Postgres) -> Iterator[Studio]:
    with servers.redis_on_a_port() as redis_url:
        with Studio.start(DATABASE_URL=database.url, REDIS_URL=redis_url) as started:
            yield started


def test_both_are_used_and_no_own_ones_are_started(studio: Studio, database: servers.Postgres) -> None:
    assert "redis" not in studio.programs()
    assert not (studio.home / "studio.sqlite3").exists()
    with psycopg.connect(database.url) as connection:
        names = connection.execute("SELECT name FROM workspaces_workspace").fetchall()
    assert names == [("main",)]


def test_their_passwords_are_in_no_file_and_in_no_arguments(studio: Studio) -> None:
    secret = servers.PASSWORD.encode()
    assert not [file for file in studio.home.rglob("*") if file.is_file() and secret in file.read_bytes()]
    assert not [process for process in studio.tree() if servers.PASSWORD in " ".join(process.cmdline())]


def test_health_names_a_database_that_is_gone_and_recovers_with_it(studio: Studio, database: servers.Postgres) -> None:
    database.halt()
    studio.until(lambda: "database" in studio.failing())
    assert "DATABASE_URL" in studio.client.get("/healthz").json()["parts"]["database"]
    database.run()
    studio.until(studio.is_healthy, 120)


def test_a_second_start_finds_everything_there(studio: Studio) -> None:
    before = studio.credentials
    studio.halt()
    studio.run()
    studio.wait_until_up()
    assert studio.credentials == before


def test_a_start_without_the_database_says_so() -> None:
    with Studio(DATABASE_URL="postgres://studio@127.0.0.1:1/studio") as refused:
        refused.run()
        assert refused.process is not None
        assert refused.process.wait(60) == 2
        assert "The database cannot be used" in refused.output
        assert "Traceback" not in refused.output
        refused.process = None


@pytest.mark.usefixtures("database")
def test_a_redis_that_refuses_the_password_is_told_at_once() -> None:
    with (
        servers.redis_on_a_port() as redis_url,
        Studio(REDIS_URL=redis_url.replace(servers.PASSWORD, "wrong")) as refused,
    ):
        refused.run()
        assert refused.process is not None
        assert refused.process.wait(90) == 2
        assert "Redis refuses the studio" in refused.output
        refused.process = None
