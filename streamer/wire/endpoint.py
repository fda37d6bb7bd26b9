"""ZeroMQ endpoints: what may be bound or read from, and binding it without surprises."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
import stat
from pathlib import Path

import zmq

from streamer.errors import ConfigError, SinkError

IPC_ALLOWED = f"ipc://PATH of up to {zmq.IPC_PATH_MAX_LEN} bytes"
# Without what stands for bytes of an argument that are no text: ZeroMQ's binding takes UTF-8 alone.
TCP = re.compile(
    r"tcp://(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\s:/\[\]\ud800-\udfff]+):(?P<port>[0-9]{1,5}|\*)"
)
IPC = re.compile(r"ipc://(?P<path>[^\0\ud800-\udfff]+)", re.DOTALL)
BOUND_PORTS = "port 0 to 65535, or * for a free one"
OWNER_ONLY = 0o077


def check_endpoint(endpoint: str) -> None:
    """Refuse an endpoint that is malformed; whether it is free only `bind` can tell.

    ZeroMQ itself takes port 99999 for 34463 and ``80x`` for 80.

    Raises:
        ConfigError: It is not of a form that can be published on.
    """
    tcp = TCP.fullmatch(endpoint)
    if tcp is not None and (tcp["port"] == "*" or int(tcp["port"]) <= 65_535):
        return
    if _is_ipc(endpoint):
        return
    raise malformed(endpoint, BOUND_PORTS)


def check_connectable(endpoint: object) -> None:
    """Refuse an endpoint that is malformed.

    Raises:
        ConfigError: It is not of a form that can be read from.
    """
    if not isinstance(endpoint, str):
        raise malformed(endpoint)
    tcp = TCP.fullmatch(endpoint)
    if tcp is not None and tcp["port"] != "*" and 1 <= int(tcp["port"]) <= 65_535:
        return
    if not _is_ipc(endpoint):
        raise malformed(endpoint)


def malformed(endpoint: object, ports: str = "port 1 to 65535") -> ConfigError:
    """The error of an endpoint that cannot be read from, or where other `ports` are allowed."""
    allowed = f"tcp://HOST:PORT ({ports}) or {IPC_ALLOWED}"
    return ConfigError(f"ZeroMQ endpoint {endpoint!r} is malformed; allowed: {allowed}")


def bind(server: zmq.Socket[bytes], endpoint: str) -> str:
    """Bind a socket, and return the endpoint with the port that it got.

    Raises:
        ConfigError: The endpoint is malformed.
        SinkError: It is in use, not on this machine, or not permitted.
    """
    check_endpoint(endpoint)
    if endpoint.startswith("tcp://["):
        server.setsockopt(zmq.IPV6, 1)
    elif endpoint.startswith("ipc://"):
        _check_free(endpoint)
    # Sockets in the file system are for their owner only; the mask is the process's, so at once
    # back to what it was.
    umask = os.umask(OWNER_ONLY)
    try:
        server.bind(endpoint)
    except zmq.ZMQError as error:
        if error.errno == errno.EINVAL:
            raise malformed(endpoint, BOUND_PORTS) from error
        reason = zmq.strerror(error.errno or 0).lower()
        if error.errno == errno.ENODEV:
            reason = "the host is no address or interface of this machine"
        raise SinkError(f"cannot publish on {endpoint}: {reason}") from error
    finally:
        os.umask(umask)
    return server.getsockopt_string(zmq.LAST_ENDPOINT)


def is_loopback(endpoint: str) -> bool:
    """Whether only this machine can reach a bound endpoint."""
    tcp = TCP.fullmatch(endpoint)
    if tcp is None:
        return True
    try:
        return ipaddress.ip_address(tcp["host"].strip("[]")).is_loopback
    except ValueError:  # a name: ZeroMQ gives addresses for what it has bound
        return False


def _is_ipc(endpoint: str) -> bool:
    ipc = IPC.fullmatch(endpoint)
    return ipc is not None and len(ipc["path"].encode()) <= zmq.IPC_PATH_MAX_LEN


def _check_free(endpoint: str) -> None:
    """Refuse a path that something uses: ZeroMQ deletes whatever file it finds there.

    Raises:
        SinkError: The path holds something else than a socket that nobody listens on.
    """
    path = Path(endpoint.removeprefix("ipc://"))
    if path.name == "*" or str(path).startswith("@"):
        return  # a path of ZeroMQ's choice, or a name outside of the file system
    try:
        mode = path.stat().st_mode
    except OSError:  # nothing there; what else is wrong with the path, `bind` says
        return
    if not stat.S_ISSOCK(mode):
        raise SinkError(f"cannot publish on {endpoint}: the path exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return  # left behind by a process that is gone
    raise SinkError(f"cannot publish on {endpoint}: address already in use")
