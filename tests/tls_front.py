"""A door of TLS before a server that knows none."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from threading import Thread

import trustme

from tests.waits import PATIENCE_S


class TlsFront:
    """Passes what comes over TLS on to a TCP port of this machine, and back.

    Args:
        port: Of the server.
        authority: Who signs its certificate.

    Attributes:
        port: Its own.
    """

    def __init__(self, port: int, authority: trustme.CA) -> None:
        self._server_port = port
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self._loop = asyncio.new_event_loop()
        serving = asyncio.start_server(self._pass_on, "127.0.0.1", 0, ssl=context)
        self._server = self._loop.run_until_complete(serving)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = Thread(target=self._loop.run_forever)

    def __enter__(self) -> TlsFront:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled at the end, which asyncio would log; refused while the server is away.
        with suppress(asyncio.CancelledError, OSError):
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
            await asyncio.gather(_pump(reader, to_server), _pump(from_server, writer))
        writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):  # either end may be gone at any time
            while data := await source.read(2**16):
                sink.write(data)
                await sink.drain()
    finally:
        sink.close()
