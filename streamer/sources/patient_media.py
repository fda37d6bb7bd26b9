"""A source whose reads may never return: left behind after a while, and opened again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from threading import Thread
from traceback import clear_frames

from streamer.errors import SourceError, StreamError
from streamer.other_thread import is_left
from streamer.ring_buffer import Closed, RingBuffer
from streamer.source_config import SourceConfig
from streamer.sources.media import Media, SourceCounts
from streamer.sources.picture import Picture

MAX_STUCK = 5
"""Reads that may be stuck at once, each with a thread and a connection: then no more are begun."""

GRACE_S = 1.0
"""Beyond the read time-out, for a read to end by itself and to give what it holds."""

CLOSE_S = 1.0
"""Longest wait for a read to return when all is closed, in seconds."""


class PatientMedia:
    """Reads a medium on a thread of its own, and waits for a live one's pictures for so long only.

    Pictures are what counts: a camera whose encoder hangs may go on with sound and reports. A
    native read that is stuck cannot be ended: it stays behind on its daemon thread, which closes
    its medium should it ever return. The next `pictures` open the source anew.

    Args:
        open_media: Opens the source, with the place where it counts: now, and after each time that
            it was lost.
        config: Time-outs.

    Attributes:
        live: See `Media`. No longer once a live source was opened again and is not live any more,
            as an HLS event that is over: then there are no further pictures.

    Raises:
        SourceError: It cannot be opened.
        StreamError: Nobody waits for it any more (`streamer.other_thread`).
    """

    def __init__(self, open_media: Callable[[SourceCounts], Media], config: SourceConfig) -> None:
        if is_left():  # rather than try again and again what nobody waits for
            raise StreamError("the opening was interrupted")
        self._open_media = open_media
        self._config = config
        self.counts = SourceCounts()
        self._unread: Media | None = open_media(self.counts)
        self._readers: list[_Reader] = []
        self._interrupted = False
        self.name = self._unread.name
        self.live = self._unread.live
        self.rate = self._unread.rate
        self.frames = self._unread.frames

    def pictures(self, start_s: Fraction) -> Iterator[Picture]:
        """The pictures as they come.

        Raises:
            SourceError: None came in time, or the source cannot be opened or read.
            DeviceError: What must decode them does not.
        """
        self._readers = [reader for reader in self._readers if reader.is_alive()]
        if len(self._readers) >= MAX_STUCK:
            raise SourceError(f"{self.name}: {MAX_STUCK} reads have not returned yet")
        reader = _Reader(start_s, self.counts)
        self._readers.append(reader)  # before the look: an interruption from now on finds it
        if self._interrupted:
            return
        corrupt = self.counts.corrupt  # up to the latest picture
        media = self._unread
        reader.begin(self._open if media is None else lambda: media)
        self._unread = None  # not before the thread that closes it runs
        patience_s = self._config.read_timeout_s + GRACE_S
        # What is no camera may be decoded for long up to where it is to begin, and its reads end.
        timeout_s = self._config.open_timeout_s + patience_s if self.live else None
        try:
            while True:
                picture = reader.next(timeout_s)
                corrupt = self.counts.corrupt
                yield picture
                timeout_s = patience_s if self.live else None
        except Closed:
            return
        except StreamError as error:
            # With its traceback it would keep the buffer, which keeps it.
            raise error.with_traceback(None) from error.__cause__
        except TimeoutError:
            why = self._why(self.counts.corrupt - corrupt)
            raise SourceError(f"{self.name}: no picture for {timeout_s:g} s; {why}") from None
        finally:
            reader.leave()
            del reader  # it keeps the error, which keeps what is here and in callers

    def interrupt(self) -> None:
        """From any thread: end the wait for a picture at once."""
        self._interrupted = True
        for reader in self._readers[-1:]:
            reader.leave()

    def close(self) -> None:
        """Close the source, unless its read does not return."""
        if self._unread is not None:
            self._unread.close()
            self._unread = None
        for reader in self._readers[-1:]:
            reader.leave()
            if reader.ident is not None:
                reader.join(CLOSE_S)

    def _why(self, failed: int) -> str:
        """Why no picture came, while so many packets failed."""
        if failed:
            return f"{failed} packets came damaged, or could not be decoded"
        return f"reads left behind: {sum(reader.is_alive() for reader in self._readers)}"

    def _open(self) -> Media | None:
        """The media, opened again, on the reader's thread; None if it is over."""
        media = self._open_media(self.counts)
        if self.live and not media.live:
            self.live = False
            media.close()
            return None
        return media


class _Reader(Thread):
    """Reads a medium to its end, or until it is left behind.

    Args:
        start_s: Where to begin.
        counts: Where the medium counts.

    Attributes:
        pictures: What it gave, one at a time; closed at the end, with the error if there was one.
    """

    def __init__(self, start_s: Fraction, counts: SourceCounts) -> None:
        super().__init__(name="reader", daemon=True)  # it may never return from a read
        self.pictures: RingBuffer[Picture] = RingBuffer(1)
        self._start_s = start_s
        self._counts = counts
        self._open_media: Callable[[], Media | None] = _nothing
        self._media: Media | None = None

    def next(self, timeout_s: float | None) -> Picture:
        """The next picture, waited for so long; while some are skipped, longer.

        Raises:
            TimeoutError: None came.
            Closed: There are no further ones.
        """
        while True:
            skipped = self._counts.skipped
            try:
                return self.pictures.get(timeout_s)
            except TimeoutError:
                if self._counts.skipped == skipped:
                    raise

    def begin(self, open_media: Callable[[], Media | None]) -> None:
        """Start to read what a function gives, on this thread; None if there is nothing."""
        self._open_media = open_media
        self.start()

    def leave(self) -> None:
        """From any thread: nobody wants more. A read that can be woken is."""
        self.pictures.close()
        media = self._media
        if media is not None:
            media.interrupt()

    def run(self) -> None:
        """Read; whatever goes wrong is raised where pictures are awaited."""
        try:
            self._media = self._open_media()
            if self._media is not None:
                try:
                    self._read(self._media)
                finally:
                    self._media.close()
        except Closed:
            pass  # nobody waits any more
        except BaseException as error:
            _let_go(error)
            self._forget()  # before somebody learns of the error
            self.pictures.close(error)
        finally:
            self._forget()
            self.pictures.close()

    def _read(self, media: Media) -> None:
        if self.pictures.closed:
            return
        for picture in media.pictures(self._start_s):
            self.pictures.put(picture)

    def _forget(self) -> None:
        """Keep no medium: a decoder has threads, which live as long as it does."""
        self._open_media = _nothing
        self._media = None


def _nothing() -> None:
    return None


def _let_go(error: BaseException | None) -> None:
    """Take out of an error what the functions held that it left: decoders, and itself.

    Who keeps such an error, as the buffer does, would keep them until Python looks for cycles.
    """
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
