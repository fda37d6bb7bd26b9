"""A real RTSP server in a process of its own, to be killed, frozen and started again."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.clips import make_clip

SERVE = (
    "import asyncio, sys; from aio_rtsp_toolkit.server import serve; "
    "asyncio.run(serve(sys.argv[1], '127.0.0.1', int(sys.argv[2])))"
)
WAIT_S = 30
CLIP = "camera.mp4"


class RtspServer:
    """Serves the clips of a folder at their own pace, on one port however often it is restarted.

    Args:
        folder: Where the clips are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, *, plays: int = 0, clip: str = CLIP) -> str:
        """Of a clip that is shown so many times; 0 for ever."""
        return f"rtsp://127.0.0.1:{self.port}/{clip}/play_count_{plays}"

    def record(self, *, frames: int = 10, size: tuple[int, int] = (48, 64)) -> None:
        """Put a clip of 20 frames per second where `url` shows it."""
        options = {"tune": "zerolatency"}
        make_clip(self.folder / CLIP, frames=frames, size=size, fps=20, codec_options=options)

    def start(self) -> None:
        """Start, and return once it answers."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self.folder), str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + WAIT_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), WAIT_S):
                return
            assert self._process.poll() is None, "the RTSP server has ended"
            assert time.monotonic() < deadline, "the RTSP server does not answer"
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the server, also a stopped one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(WAIT_S)

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
