from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from studio.run import parts
from studio.run.environment import for_parts
from studio.run.places import Places
from studio.run.redis_server import redis_configuration, redis_server_binary

PLACES = Places(Path("/srv/100% studio"))


def test_supervisord_listens_on_nothing_but_its_private_socket() -> None:
    text = parts.supervisord_configuration(PLACES, log_bytes=1000, user="root")
    found = _parsed(text)
    assert found["unix_http_server"]["chmod"] == "0600"
    assert "inet_http_server" not in found
    assert found["include"]["files"] == "parts/*.conf instances/*.conf"


@pytest.mark.parametrize(
    "part",
    [
        parts.redis(Path("/bin/redis-server"), Path("/srv/redis.conf")),
        parts.web(PLACES, bind="127.0.0.1", port=8000),
        parts.beat(PLACES),
        parts.envoy(PLACES),
        *map(parts.worker, parts.WORKERS),
    ],
    ids=lambda part: part.name,
)
def test_each_part_comes_back_by_itself_and_is_known_by_its_environment(part: parts.Part) -> None:
    section = _parsed(_text(part))[f"program:{part.name}"]
    assert section["autorestart"] == section["autostart"] == section["killasgroup"] == "true"
    assert f'STUDIO_PART="{part.name}"' in section["environment"]
    assert int(section["stopwaitsecs"]) == part.stop_seconds


def test_a_percent_sign_in_the_home_survives_supervisord() -> None:
    section = _parsed(_text(parts.beat(PLACES)))["program:beat"]
    assert section["command"] % {} == section["command"].replace("%%", "%")
    assert "/srv/100% studio/run/beat-schedule" in section["command"] % {}


def test_an_ipv6_address_is_put_in_brackets() -> None:
    assert "[::1]:8000" in parts.web(PLACES, bind="::1", port=8000).command


def test_builds_have_a_worker_of_their_own() -> None:
    assert [kind.queue for kind in parts.WORKERS] == ["operations", "ticks", "builds"]
    assert all(kind.threads > 1 for kind in parts.WORKERS)


def test_redis_opens_no_port_and_forgets_nothing() -> None:
    text = redis_configuration(socket=Path("/srv/a b/redis.sock"), data=Path('/srv/"q"'))
    assert "port 0\n" in text
    assert "unixsocketperm 600\n" in text
    assert "appendonly yes\n" in text
    assert 'unixsocket "/srv/a b/redis.sock"\n' in text
    assert 'dir "/srv/\\"q\\""\n' in text


def test_the_redis_of_the_package_is_found() -> None:
    assert redis_server_binary().name == "redis-server"


def test_parts_get_the_studios_variables_and_not_the_persons_secrets() -> None:
    own = {
        "STUDIO_PORT": "1",
        "GATEWAY_PORT": "2",
        "DATABASE_URL": "postgres://u:p@h/d",
        "https_proxy": "http://proxy",
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "x",
        "STUDIO_HOME_FILE": "/elsewhere",
        "STUDIO_PART": "web",
        "STUDIO_HOME": "relative",
    }
    found = for_parts(own, home=Path("/srv/home"))
    assert found["STUDIO_HOME"] == "/srv/home"
    assert found["DATABASE_URL"] == "postgres://u:p@h/d"
    assert found["https_proxy"] == "http://proxy"
    assert not {"AWS_SECRET_ACCESS_KEY", "STUDIO_HOME_FILE", "STUDIO_PART"} & found.keys()


def _text(part: parts.Part) -> str:
    return part.configuration(PLACES, directory=Path("/repo"), log_bytes=1000)


def _parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(text)
    return parser
