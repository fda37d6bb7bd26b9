"""A device whose reads may never return: left behind after a while, and opened again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from threading import Thread

from streamer.errors import SourceError
from streamer.ring_buffer import Closed, RingBuffer
from streamer.source_options import SourceConfig
from streamer.sources.media import Media
from streamer.sources.picture import Picture

MAX_STUCK = 5
"""Reads that may be stuck at once, each with a thread and its device: no more are begun then."""

CLOSE_S = 2.0
"""Longest wait for a read to return when all is closed, in seconds."""


class PatientMedia:
    """Reads a media on a thread of its own, and waits for its pictures for so long only.

    A native read that is stuck cannot be ended: it stays behind on its daemon thread, which closes
    its media should it ever return. The next `pictures` open the device anew.

    Args:
        open_media: Opens the device: now, and after each time that it was lost.
        config: Time-outs.

    Raises:
        SourceError: It cannot be opened.
    """

    def __init__(self, open_media: Callable[[], Media], config: SourceConfig) -> None:
        self._open_media = open_media
        self._config = config
        self._unread: Media | None = open_media()
        self._pictures: RingBuffer[Picture] = RingBuffer(1)
        self._readers: list[Thread] = []
        self._interrupted = False
        self.name = self._unread.name
        self.live = self._unread.live
        self.rate = self._unread.rate
        self.frames = self._unread.frames
        self.corrupt = 0

    def pictures(self, start_s: Fraction) -> Iterator[Picture]:
        """The pictures as they come.

        Raises:
            SourceError: None came in time, or the device cannot be opened or read.
        """
        self._readers = [reader for reader in self._readers if reader.is_alive()]
        if len(self._readers) >= MAX_STUCK:
            raise SourceError(f"{self.name}: {MAX_STUCK} reads have not returned yet")
        pictures = self._pictures = RingBuffer(1)
        if self._interrupted:
            return
        media, self._unread = self._unread, None
        # a daemon, because a device may never return from a read
        reader = Thread(
            target=self._read, args=(media, start_s, pictures), name="device", daemon=True
        )
        self._readers.append(reader)
        reader.start()
        timeout_s = self._config.open_timeout_s + self._config.read_timeout_s
        try:
            while True:
                yield pictures.get(timeout_s)
                timeout_s = self._config.read_timeout_s
        except Closed:
            return
        except TimeoutError:
            stuck = sum(reader.is_alive() for reader in self._readers)
            raise SourceError(
                f"{self.name}: no picture for {timeout_s:g} s; reads left behind: {stuck}"
            ) from None
        finally:
            pictures.close()

    def interrupt(self) -> None:
        """From any thread: end the wait for a picture at once."""
        self._interrupted = True
        self._pictures.close()

    def close(self) -> None:
        """Close the device, unless its read does not return."""
        self._pictures.close()
        if self._unread is not None:
            self._unread.close()
            self._unread = None
        for reader in self._readers[-1:]:
            reader.join(CLOSE_S)

    def _read(self, media: Media | None, start_s: Fraction, pictures: RingBuffer[Picture]) -> None:
        try:
            media = media or self._open_media()
            before = self.corrupt
            try:
                for picture in media.pictures(start_s):
                    pictures.put(picture)
                    self.corrupt = before + media.corrupt
            finally:
                media.close()
        except Closed:
            pass  # nobody waits any more
        except BaseException as error:
            pictures.close(error)  # raised where they are awaited
        finally:
            pictures.close()
