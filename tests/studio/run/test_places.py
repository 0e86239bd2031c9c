from __future__ import annotations

import os
from pathlib import Path

import pytest

from studio.run.errors import StartRefused
from studio.run.places import MAX_SOCKET_PATH_BYTES, Places, check_home


def test_a_short_home_is_good() -> None:
    check_home(Places(Path("/var/studio")))


def test_a_home_too_long_for_sockets_is_refused_with_the_limit() -> None:
    home = Path("/" + "x" * 90)
    with pytest.raises(StartRefused, match="too long") as refused:
        check_home(Places(home))
    assert str(MAX_SOCKET_PATH_BYTES) in refused.value.message
    longest = int("".join(filter(str.isdigit, refused.value.hint)))
    check_home(Places(Path("/" + "x" * (longest - 1))))
    with pytest.raises(StartRefused):
        check_home(Places(Path("/" + "x" * longest)))


@pytest.mark.parametrize("home", ["/var/a ;b", "/var/a #b", "/var/a\nb"])
def test_a_home_that_supervisord_cannot_express_is_refused(home: str) -> None:
    with pytest.raises(StartRefused, match="supervisord"):
        check_home(Places(Path(home)))


def test_folders_are_private_but_for_the_way_to_the_instances(tmp_path: Path) -> None:
    places = Places(tmp_path / "home")
    places.make()
    places.make()
    assert places.home.stat().st_mode & 0o777 == (0o711 if os.geteuid() == 0 else 0o700)
    for folder in (places.run, places.logs, places.tls, places.gateway, places.supervisor, places.home / "secrets"):
        assert folder.stat().st_mode & 0o777 == 0o700
