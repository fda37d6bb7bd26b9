"""Web servers on loopback, for as long as a test needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


class FileHandler(SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing about requests."""

    def log_message(self, *_: object) -> None:
        pass


def files_of(
    folder: Path, handler: type[FileHandler] = FileHandler
) -> Callable[..., BaseHTTPRequestHandler]:
    """What serves the files of a folder."""
    return partial(handler, directory=str(folder))


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server that answers as `handler` does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
