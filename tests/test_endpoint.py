from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from streamer.errors import ConfigError, SinkError
from streamer.wire.endpoint import bind, check_connectable, check_endpoint, is_loopback


@pytest.fixture
def sockets() -> Iterator[list[zmq.Socket[bytes]]]:
    context = zmq.Context()
    yield [context.socket(zmq.XPUB), context.socket(zmq.XPUB)]
    context.destroy(linger=0)


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://127.0.0.1:5555",
        "tcp://*:0",
        "tcp://*:*",
        "tcp://[::1]:65535",
        "tcp://localhost:*",
        "tcp://camera-1.example.org:5555",
        "ipc:///tmp/masks",
        "ipc://@abstract",
    ],
)
def test_good_endpoints_pass(endpoint: str) -> None:
    check_endpoint(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "5555",
        "127.0.0.1:5555",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:80x",
        "tcp://127.0.0.1:\u0968",  # a digit, and not ZeroMQ's
        "tcp://:5555",
        "tcp://::1:5555",
        "http://127.0.0.1:5555",
        "udp://127.0.0.1:5555",
        "inproc://masks",
        "ipc://",
        "ipc:///tmp/a\0b",
        "ipc:///tmp/\udcff",  # as Python takes arguments that are no text
        "tcp://\udcff:5555",
        "ipc:///" + "a" * 107,
    ],
)
def test_malformed_endpoints_are_named(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="is malformed; allowed: tcp://HOST:PORT") as caught:
        check_endpoint(endpoint)
    assert repr(endpoint) in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("checked", [check_endpoint, check_connectable])
def test_how_long_a_path_may_be_is_told(checked: Callable[[str], None]) -> None:
    checked("ipc:///" + "a" * 106)
    with pytest.raises(ConfigError, match=r"ipc://PATH of up to 107 bytes$"):
        checked("ipc:///" + "a" * 107)


def test_a_free_port_is_chosen_and_told(sockets: list[zmq.Socket[bytes]]) -> None:
    endpoint = bind(sockets[0], "tcp://127.0.0.1:*")
    assert int(endpoint.removeprefix("tcp://127.0.0.1:")) > 0
    with pytest.raises(SinkError, match="address already in use"):
        bind(sockets[1], endpoint)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("tcp://192.0.2.1:5555", "cannot assign requested address"),  # RFC 5737: nobody's
        ("tcp://no-such-host.invalid:5555", "the host is no address or interface"),
        ("ipc:///nowhere/at/all", "no such file or directory"),
    ],
)
def test_what_is_not_here_cannot_be_bound(
    sockets: list[zmq.Socket[bytes]], endpoint: str, reason: str
) -> None:
    with pytest.raises(SinkError, match=reason):
        bind(sockets[0], endpoint)


def test_what_zeromq_itself_finds_malformed_is_named(sockets: list[zmq.Socket[bytes]]) -> None:
    check_endpoint("tcp://127.0.0.1;1:5555")
    with pytest.raises(ConfigError, match=r"'tcp://127.0.0.1;1:5555' is malformed; allowed: tcp:"):
        bind(sockets[0], "tcp://127.0.0.1;1:5555")


def test_a_file_is_not_overwritten_by_a_socket(
    sockets: list[zmq.Socket[bytes]], tmp_path: Path
) -> None:
    precious = tmp_path / "video.mp4"
    precious.write_text("precious")
    with pytest.raises(SinkError, match="exists and is not a socket"):
        bind(sockets[0], f"ipc://{precious}")
    assert precious.read_text() == "precious"


def test_a_path_is_for_its_owner_and_not_taken_over(
    sockets: list[zmq.Socket[bytes]], tmp_path: Path
) -> None:
    umask = os.umask(0o022)
    try:
        endpoint = bind(sockets[0], f"ipc://{tmp_path}/s")
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) & 0o077 == 0
    with pytest.raises(SinkError, match="address already in use"):
        bind(sockets[1], endpoint)


def test_a_path_left_behind_is_taken(sockets: list[zmq.Socket[bytes]], tmp_path: Path) -> None:

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as gone:
        gone.bind(str(tmp_path / "s"))
    assert bind(sockets[0], f"ipc://{tmp_path}/s") == f"ipc://{tmp_path}/s"


def test_a_name_outside_of_the_file_system_can_be_bound(
    sockets: list[zmq.Socket[bytes]], tmp_path: Path
) -> None:
    name = f"ipc://@{tmp_path.name}-{os.getpid()}"
    assert bind(sockets[0], name) == name


def test_an_ipv6_address_can_be_bound(sockets: list[zmq.Socket[bytes]]) -> None:
    try:
        endpoint = bind(sockets[0], "tcp://[::1]:*")
    except SinkError as error:
        assert "::1" in str(error)  # noqa: PT017 - a machine without IPv6
        return
    assert endpoint.startswith("tcp://[::1]:")


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp://127.0.0.1:5", True),
        ("tcp://[::1]:5", True),
        ("ipc:///tmp/x", True),
        ("tcp://0.0.0.0:5", False),
        ("tcp://[::]:5", False),
        ("tcp://192.168.1.2:5", False),
        ("tcp://eth0:5", False),
    ],
)
def test_loopback_is_told_from_the_network(endpoint: str, expected: bool) -> None:
    assert is_loopback(endpoint) == expected
