"""A real RTSP server in a process of its own, to be killed, frozen and started again.

It is aio-rtsp-toolkit's, from the extra ``dev``: RTP over TCP, at the pace of a file's timestamps.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from streamer.errors import StreamError

SERVE = (
    "import asyncio, sys; from aio_rtsp_toolkit.server import serve; "
    "asyncio.run(serve(sys.argv[1], '127.0.0.1', int(sys.argv[2])))"
)
WAIT_S = 30


class RtspServer:
    """Serves the MP4s of a folder, on one port however often it is restarted.

    Args:
        folder: Where the files are; H.264.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, name: str, *, plays: int = 0) -> str:
        """Of a file that is shown so many times; 0 for ever."""
        return f"rtsp://127.0.0.1:{self.port}/{name}/play_count_{plays}"

    def start(self) -> None:
        """Start, and return once it answers.

        Raises:
            StreamError: It does not.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self.folder), str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + WAIT_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), WAIT_S):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise StreamError("the RTSP server does not answer; is the extra dev installed?")
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server."""
        if self._process is not None:
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
