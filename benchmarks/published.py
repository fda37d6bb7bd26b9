"""A stream and a reader of it, on a thread of the same process, over a Unix socket (``ipc``)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from model import VisTR
from streamer.assembly import assemble
from streamer.client import MaskSubscriber
from streamer.client.received import ReceivedFrame
from streamer.config import StreamConfig
from streamer.run import Run
from streamer.sink_assembly import publishers
from streamer.stats import Summary


def run_published(
    net: VisTR, config: StreamConfig, receive: Callable[[ReceivedFrame], None]
) -> Summary:
    """Run a stream to its end; it waits for the reader before it begins.

    Args:
        net: As the product runs it.
        config: What to read, and how; it is published on a socket of its own.
        receive: Called with each frame that the reader gets, on the reader's thread.

    Raises:
        StreamError: The stream or its reader failed.
    """
    with TemporaryDirectory() as folder:
        endpoint = f"ipc://{Path(folder) / 'stream'}"
        published = replace(config, publish=[endpoint], zmq=replace(config.zmq, wait_subscribers=1))
        run_id = str(uuid.uuid4())
        assembly = assemble(published, net, run_id)
        sinks = publishers(published, run_id)
        for sink in sinks:
            sink.start()
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(_read, endpoint, receive)
            summary = Run(assembly.pipeline, sinks, assembly.info).execute()
            reading.result()
            return summary


def _read(endpoint: str, receive: Callable[[ReceivedFrame], None]) -> None:
    with MaskSubscriber(endpoint, timeout_s=60) as subscriber:
        for frame in subscriber:
            receive(frame)
