"""Encrypted ZeroMQ connections between a publisher and the readers that it knows (CURVE).

Keys are certificate files as pyzmq and czmq write them: ``NAME.key`` holds a public key,
``NAME.key_secret`` both; ``python -m streamer.keys`` makes them.
"""

from __future__ import annotations

import logging
import stat
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import zmq
from zmq.auth import load_certificate
from zmq.auth.thread import ThreadAuthenticator

from streamer.errors import ConfigError
from streamer.option_check import check

KEY_CHARACTERS = 40
"""A key of 32 bytes in Z85 (https://rfc.zeromq.org/spec/32/)."""

REMEMBERED = 100
"""Refused keys that are told apart: a stranger makes as many as they like."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReaderKeys:
    """What a reader needs to be let in.

    Attributes:
        secret: The reader's own ``.key_secret`` file.
        publisher: The publisher's ``.key`` file.
    """

    secret: str | PathLike[str]
    publisher: str | PathLike[str]

    def __post_init__(self) -> None:
        for name in ("secret", "publisher"):
            path = getattr(self, name)
            check(isinstance(path, str | PathLike), f"keys.{name}", path, "the path of a key file")

    def apply(self, client: zmq.Socket[bytes]) -> None:
        """Have a socket that is not connected yet prove its key, and talk to this publisher alone.

        Raises:
            ConfigError: A file cannot be read, or is no such key.
        """
        _use_secret(client, Path(self.secret))
        try:
            client.curve_serverkey = _read(Path(self.publisher))[0]
        except zmq.ZMQError as error:
            raise ConfigError(f"{self.publisher}: is no public key: {error}") from error


class CurveAuthenticator:
    """Lets in the readers of a publisher whose public keys lie in a folder.

    The folder is looked at for each connection: a key that is put there or taken away counts from
    the next one on.

    Args:
        server: The publisher's socket, not bound yet.
        secret: The publisher's ``.key_secret`` file.
        readers: Folder of the ``.key`` files of those who may read.

    Raises:
        ConfigError: The secret cannot be read, or is none; the folder is missing or has no key.
    """

    def __init__(self, server: zmq.Socket[bytes], secret: Path, readers: Path) -> None:
        self._readers = readers
        self._refused: set[bytes] = set()
        self._broken: set[Path] = set()
        if not self._allowed():
            raise ConfigError(
                f"zmq.curve_readers: {readers}: there is no .key file with a key in it"
            )
        _use_secret(server, secret)
        server.curve_server = True
        self._authenticator = ThreadAuthenticator(server.context, log=log)
        self._authenticator.start()
        self._authenticator.configure_curve_callback("*", self)

    def callback(self, _domain: str, key: bytes) -> bool:
        """Whether the reader with a public key (Z85) is let in; libzmq asks at each connection."""
        if key in self._allowed():
            return True
        if key not in self._refused and len(self._refused) < REMEMBERED:
            self._refused.add(key)
            log.warning("a reader without an allowed key was refused: %s", key.decode())
            if len(self._refused) == REMEMBERED:
                log.warning("further readers without an allowed key are refused silently")
        return False

    def stop(self) -> None:
        """Let nobody in any more; before the server is closed."""
        self._authenticator.stop()

    def _allowed(self) -> set[bytes]:
        """The public keys in the folder; a file without one is passed over, with one warning."""
        keys, broken = set(), set()
        for path in self._readers.glob("*.key"):
            try:
                keys.add(_read(path)[0])
            except ConfigError as error:
                broken.add(path)
                if path not in self._broken:
                    log.warning("a reader's key is passed over: %s", error)
        self._broken = broken
        return keys


def _use_secret(socket: zmq.Socket[bytes], path: Path) -> None:
    """Give a socket the pair of keys of a ``.key_secret`` file.

    Raises:
        ConfigError: It cannot be read, or has no secret key.
    """
    public, secret = _read(path)
    if secret is None:
        raise ConfigError(f"{path}: there is no secret key in it, expected a .key_secret file")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("%s: other users of this machine may read the secret key", path)
    try:
        socket.curve_publickey, socket.curve_secretkey = public, secret
    except zmq.ZMQError as error:
        raise ConfigError(f"{path}: is no pair of keys: {error}") from error


def _read(path: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = load_certificate(path)
    except (OSError, ValueError, LookupError) as error:
        raise ConfigError(f"{path}: no key can be read: {error}") from error
    for key in (public, secret):
        if key is not None and len(key) != KEY_CHARACTERS:
            raise ConfigError(f"{path}: a key has {len(key)} characters, expected {KEY_CHARACTERS}")
    return public, secret
