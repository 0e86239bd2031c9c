from __future__ import annotations

import socket

import pytest

from studio.run.errors import StartRefused
from studio.run.ports import check_ports
from tests.stack import free_ports


def test_free_ports_are_no_trouble() -> None:
    first, second = free_ports(2)
    check_ports("127.0.0.1", {"STUDIO_PORT": first, "GATEWAY_PORT": second})


def test_every_busy_port_is_named_by_its_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        busy = {"STUDIO_PORT": one.getsockname()[1], "GATEWAY_TLS_PORT": two.getsockname()[1]}
        with pytest.raises(StartRefused) as refused:
            check_ports("127.0.0.1", {**busy, "GATEWAY_PORT": free_ports(1)[0]})
    for name, port in busy.items():
        assert f"Port {port} ({name}) is taken" in refused.value.message
    assert "(GATEWAY_PORT)" not in refused.value.message
    assert "STUDIO_PORT=… GATEWAY_TLS_PORT=…" in refused.value.hint


def test_who_holds_the_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(StartRefused, match=r"by process \d+"):
            check_ports("127.0.0.1", {"STUDIO_PORT": server.getsockname()[1]})


def test_an_address_of_another_machine_is_not_blamed_on_the_port() -> None:
    with pytest.raises(StartRefused, match="is not an address of this machine"):
        check_ports("192.0.2.1", {"STUDIO_PORT": free_ports(1)[0]})


def test_a_port_that_only_lingers_after_its_server_has_gone_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            accepted, _ = server.accept()
            accepted.close()  # the server's side closes first and so stays in TIME_WAIT
            caller.recv(1)
    check_ports("127.0.0.1", {"STUDIO_PORT": port})
