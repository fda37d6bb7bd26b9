"""A camera that can be lost: MPEG-TS on a TCP port of this machine."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from threading import Event, Semaphore, Thread
from typing import Literal

from tests.clips import make_clip
from tests.waits import PATIENCE_S

End = Literal["closes", "resets", "freezes", "hums", "sings"]

EMPTY = b"\x47\x1f\xff\x10" + 184 * b"\xff"
"""A transport packet that carries nothing."""

HEAD_BYTES = 64 * len(EMPTY)
"""What a camera that sings sends at once."""

INTERVAL_S = 0.005
"""From packet to packet of those that it sends one by one."""


class Camera:
    """Serves one reader after another: each gets a clip, and then is left, or left waiting.

    One that resets breaks its connection off once it is told to `reset`.
    One that hums sends packets that carry nothing, one that sings the rest of its clip, slowly.

    After the last clip the port is closed.

    Args:
        sessions: Of each reader, the clip and what comes after it.
        listening: Whether it is there from the start; if not, `listen` brings it up.
    """

    def __init__(self, sessions: Sequence[tuple[bytes, End]], *, listening: bool = True) -> None:
        self._sessions = sessions
        self._server = socket.socket()
        self._server.bind(("127.0.0.1", 0))
        self._done = Event()
        self._resets = Semaphore(0)
        self._thread = Thread(target=self._serve)
        self.url = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        if listening:
            self.listen()

    def listen(self) -> None:
        self._server.listen()
        self._thread.start()

    def reset(self) -> None:
        self._resets.release()

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._resets.release()
        if self._thread.ident is not None:
            with suppress(OSError):  # wakes it from waiting for a reader that does not come
                self._server.shutdown(socket.SHUT_RDWR)
            self._thread.join(PATIENCE_S)
            assert not self._thread.is_alive()
        self._server.close()

    def _serve(self) -> None:
        for clip, then in self._sessions:
            try:
                reader, _ = self._server.accept()
            except OSError:
                return
            with reader:
                head = HEAD_BYTES if then == "sings" else len(clip)
                reader.sendall(clip[:head])
                if then == "freezes":
                    self._done.wait(PATIENCE_S)
                elif then == "resets":
                    assert self._resets.acquire(timeout=PATIENCE_S)
                    reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif then != "closes":
                    rest = range(head, len(clip), len(EMPTY))
                    packets = (clip[at : at + len(EMPTY)] for at in rest)
                    self._trickle(reader, packets if then == "sings" else repeat(EMPTY))
        self._server.close()

    def _trickle(self, reader: socket.socket, packets: Iterable[bytes]) -> None:
        with suppress(OSError):  # the reader has left
            for packet in packets:
                if self._done.wait(INTERVAL_S):
                    return
                reader.sendall(packet)


def without_first_frame(stream: bytes) -> bytes:
    """What comes to who joins a stream behind its first key frame."""
    size = len(EMPTY)
    packets = [stream[at : at + size] for at in range(0, len(stream), size)]
    # Those that begin a frame: a payload's start, on FFmpeg's first PID. ISO/IEC 13818-1, 2.4.3.2.
    begins = [n for n, p in enumerate(packets) if p[1] & 0x40 and p[1] & 0x1F == 1 and p[2] == 0]
    return b"".join(packets[: begins[0]] + packets[begins[1] :])


def transport_stream(
    folder: Path, *, frames: int = 12, size: tuple[int, int] = (48, 64), audio_s: float = 0.0
) -> bytes:
    """A clip as a camera sends it."""
    path = folder / f"{frames}_{size[0]}.ts"
    make_clip(path, frames=frames, size=size, audio_s=audio_s)
    return path.read_bytes()
