"""An RTMP server in a process of its own, to be killed, frozen and started again.

It is FFmpeg's command line, from the extra ``dev``, which waits for one reader and plays to it.
"""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

from imageio_ffmpeg import get_ffmpeg_exe

from tests.waits import PATIENCE_S


class RtmpServer:
    """Plays a clip for ever, at its own pace, on one port however often it is restarted.

    Args:
        clip: H.264.
    """

    def __init__(self, clip: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"rtmp://127.0.0.1:{port}/live/camera"
        playing = ["-re", "-stream_loop", "-1", "-i", str(clip), "-c", "copy"]
        self._command = [
            *(get_ffmpeg_exe(), "-loglevel", "quiet", "-nostdin"),
            *(*playing, "-f", "flv", "-listen", "1", self.url),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start. It listens a moment later, which only its one reader may try."""
        self._process = subprocess.Popen(self._command)

    def freeze(self) -> None:
        """Stop the server; its connection stands."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """Kill the server, also a frozen one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)

    def __enter__(self) -> RtmpServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
