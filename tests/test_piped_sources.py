"""Sources that are pipes: standard input, and what the file system shows as one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from streamer.errors import ConfigError, SourceError
from streamer.frame import Frame
from streamer.source_config import SourceConfig
from streamer.sources.selection import Selection
from streamer.sources.source_opening import open_source
from tests.clips import make_clip
from tests.sources import SHORT_SIDE, opened, read, read_broken
from tests.waits import PATIENCE_S


def test_standard_input_is_read_from_the_start_asked_for(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.ts", frames=30)
    read_fd, write_fd = os.pipe()

    def feed() -> None:
        with os.fdopen(write_fd, "wb") as pipe:
            pipe.write((tmp_path / "a.ts").read_bytes())

    thread = Thread(target=feed)
    thread.start()
    source = open_source("-", SourceConfig(), Selection(start_s=0.5), SHORT_SIDE, stdin_fd=read_fd)
    frames = list(source)
    source.close()
    thread.join(PATIENCE_S)
    os.close(read_fd)
    assert (len(frames), source.name, source.live) == (25, "standard input", False)


@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
@pytest.mark.parametrize("start_s", [0, 0.5])
def test_a_pipe_may_be_given_by_a_path(tmp_path: Path, name: str, start_s: float) -> None:
    """As a shell gives one for ``<(…)``."""
    make_clip(tmp_path / name, frames=30)
    read_fd, write_fd = os.pipe()

    def feed() -> None:
        with suppress(BrokenPipeError), os.fdopen(write_fd, "wb") as pipe:
            pipe.write((tmp_path / name).read_bytes())

    thread = Thread(target=feed)
    thread.start()
    try:
        frames = read(f"/dev/fd/{read_fd}", Selection(start_s=start_s))
    finally:
        os.close(read_fd)
        thread.join(PATIENCE_S)
    assert [frame.time_s for frame in frames] == [index / 10 for index in range(len(frames))]
    assert len(frames) == 30 - 10 * start_s


def test_a_pipe_given_by_a_path_cannot_be_looped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ts")
    read_fd, write_fd = os.pipe()
    for spec in (tmp_path / "pipe.ts", f"file:{tmp_path}/pipe.ts", f"/dev/fd/{read_fd}"):
        with pytest.raises(ConfigError, match=r"source\.loop is True; allowed: False for .*"):
            opened(spec, loop=True)
    for fd in (read_fd, write_fd):
        os.close(fd)


def test_standard_input_that_stays_silent_or_ends() -> None:
    read_fd, write_fd = os.pipe()
    for message in ("standard input: no data for 0.05 s", "ends before the video begins"):
        with pytest.raises(SourceError, match=message):
            open_source("-", SourceConfig(read_timeout_s=0.05), Selection(), 32, stdin_fd=read_fd)
        if write_fd is not None:
            os.close(write_fd)
            write_fd = None  # type: ignore[assignment]
    os.close(read_fd)


def test_standard_input_that_stalls_is_an_error_after_its_frames(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.ts", frames=20)
    read_fd, write_fd = os.pipe()
    os.write(write_fd, (tmp_path / "a.ts").read_bytes())
    source = open_source("-", SourceConfig(read_timeout_s=0.1), Selection(), 32, stdin_fd=read_fd)
    frames, message = read_broken(source)
    assert message == "standard input: no data for 0.1 s after 20 frames"
    assert len(frames) == 20
    os.close(read_fd)
    os.close(write_fd)


def test_interrupt_ends_a_wait_for_standard_input(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.ts", frames=100)  # more than FFmpeg wants to see for opening
    read_fd, write_fd = os.pipe()
    feeder = Thread(target=os.write, args=(write_fd, (tmp_path / "a.ts").read_bytes()))
    feeder.start()
    source = open_source("-", SourceConfig(read_timeout_s=100), Selection(), 32, stdin_fd=read_fd)
    frames: list[Frame] = []
    seen = Event()

    def consume() -> None:
        for frame in source:
            frames.append(frame)
            if len(frames) == 50:
                seen.set()
        source.close()

    thread = Thread(target=consume)
    thread.start()
    assert seen.wait(PATIENCE_S)
    feeder.join(PATIENCE_S)
    source.interrupt()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert 50 <= len(frames) <= 100
    os.close(read_fd)
    os.close(write_fd)
