"""A door before `benchmarks.rtsp_server`, whose server knows neither passwords nor UDP."""

from __future__ import annotations

import re
import socket
from base64 import b64encode
from contextlib import suppress
from hashlib import md5
from io import BufferedIOBase
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Literal

Challenge = Literal["Basic", "Digest"]
REALM, NONCE = "camera", "1f2e3d4c"
OVER_TCP = "RTP/AVP/TCP;unicast;interleaved=0-1"


class RtspFront(ThreadingTCPServer):
    """Passes RTSP on to a server, from readers that know the password, over TCP or UDP.

    Args:
        port: Of the server, on this machine.
        credentials: ``user:password`` that a reader needs; None lets everybody in. May be changed
            while it runs.
        challenge: How it asks for them.
        udp: Whether video travels over UDP, and over nothing else; the server's own over TCP.

    Attributes:
        refused: Requests without the password so far.
    """

    def __init__(
        self,
        port: int,
        *,
        credentials: str | None = None,
        challenge: Challenge = "Basic",
        udp: bool = False,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Passage)
        self.server_port = port
        self.credentials = credentials
        self.challenge = challenge
        self.udp = udp
        self.refused = 0
        self._thread = Thread(target=self.serve_forever, args=(0.01,))

    def url(self, name: str) -> str:
        """Of a file of the server, shown for ever."""
        return f"rtsp://127.0.0.1:{self.server_address[1]}/{name}/play_count_0"

    def __enter__(self) -> RtspFront:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()  # joins the readers' threads: they have to be gone

    def lets_in(self, request: str) -> bool:
        """Whether a request shows the password. Source: RFC 2617, 2 and 3.2.2 without a qop."""
        if self.credentials is None:
            return True
        user, password = self.credentials.split(":", 1)
        if self.challenge == "Basic":
            shown = "Basic " + b64encode(self.credentials.encode()).decode()
            return f"\r\nAuthorization: {shown}\r\n" in request
        method, uri, _ = request.split(" ", 2)
        secret = f"{_md5(f'{user}:{REALM}:{password}')}:{NONCE}:{_md5(f'{method}:{uri}')}"
        return f'response="{_md5(secret)}"' in request


class _Passage(StreamRequestHandler):
    """One reader's connection."""

    server: RtspFront

    def handle(self) -> None:
        reader = self.connection
        with (
            suppress(OSError),  # either end may be gone at any time
            socket.create_connection(("127.0.0.1", self.server.server_port)) as camera,
            socket.socket(type=socket.SOCK_DGRAM) as rtp,
        ):
            rtp.bind(("127.0.0.1", 0))
            self.rtp, self.ports = rtp, (0, 0)
            back = Thread(target=self._pass_back, args=(camera,))
            back.start()
            try:
                while request := _message(self.rfile):
                    self._pass_on(request, camera)
            finally:
                for end in (camera, reader):
                    with suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
                back.join()

    def _pass_on(self, request: bytes, camera: socket.socket) -> None:
        if request[:1] == b"$":  # the reader's own reports
            camera.sendall(request)
            return
        text = request.decode()
        sequence = re.search(r"CSeq: \d+", text)
        numbered = sequence[0] if sequence else ""
        if not self.server.lets_in(text):
            self.server.refused += 1
            asked = f'{self.server.challenge} realm="{REALM}", nonce="{NONCE}"'
            self._answer("401 Unauthorized", numbered, f"WWW-Authenticate: {asked}")
            return
        if self.server.udp and text.startswith("SETUP"):
            asked_ports = re.search(r"client_port=(\d+)-(\d+)", text)
            if asked_ports is None:
                self._answer("461 Unsupported Transport", numbered)
                return
            self.ports = (int(asked_ports[1]), int(asked_ports[2]))
            text = re.sub(r"Transport: .*", f"Transport: {OVER_TCP}\r", text)
        camera.sendall(text.encode())

    def _answer(self, status: str, *headers: str) -> None:
        lines = [f"RTSP/1.0 {status}", *headers, "", ""]
        self.connection.sendall("\r\n".join(lines).encode())

    def _pass_back(self, camera: socket.socket) -> None:
        with suppress(OSError), camera.makefile("rb") as stream:
            while message := _message(stream):
                if self.server.udp and message[:1] == b"$":
                    self.rtp.sendto(message[4:], ("127.0.0.1", self.ports[message[1]]))
                    continue
                if self.server.udp:
                    here, (rtp, rtcp) = self.rtp.getsockname()[1], self.ports
                    way = f"RTP/AVP;unicast;client_port={rtp}-{rtcp};server_port={here}-{here}"
                    message = message.replace(OVER_TCP.encode(), way.encode())
                self.connection.sendall(message)
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _message(stream: BufferedIOBase) -> bytes:
    """The next request, answer or frame of video; empty at the end. Source: RFC 2326, 10.12."""
    first = stream.read(1)
    if first == b"$":
        head = first + stream.read(3)
        return head + stream.read(int.from_bytes(head[2:], "big"))
    lines = [first + stream.readline()]
    while lines[-1].strip():
        lines.append(stream.readline())
    message = b"".join(lines)
    length = re.search(rb"content-length: (\d+)", message, re.IGNORECASE)
    return message + stream.read(int(length[1]) if length else 0)


def _md5(text: str) -> str:
    return md5(text.encode()).hexdigest()
