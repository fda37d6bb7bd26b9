from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Thread

import pytest

from streamer.sources.pipe_reader import PipeReader
from tests.descriptors import open_descriptors
from tests.waits import PATIENCE_S


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            continue


def test_reads_what_there_is_then_the_end(pipe: tuple[int, int]) -> None:
    reader = PipeReader(pipe[0], "pipe", 10)
    os.write(pipe[1], b"abc")
    assert reader.read(100) == b"abc"
    os.close(pipe[1])
    assert reader.read(100) == b""
    assert reader.failure is None
    reader.release()


def test_silence_is_a_failure(pipe: tuple[int, int]) -> None:
    reader = PipeReader(pipe[0], "pipe", 0.01)
    assert reader.read(100) == b""
    assert str(reader.failure) == "pipe: no data for 0.01 s"
    os.write(pipe[1], b"late")
    assert reader.read(100) == b""
    reader.release()


def test_a_descriptor_that_cannot_be_read(pipe: tuple[int, int]) -> None:
    folder_fd = os.open("/", os.O_RDONLY)
    reader = PipeReader(folder_fd, "folder", 0.5)
    assert reader.read(100) == b""
    assert "cannot be read: Is a directory" in str(reader.failure)
    reader.release()
    os.close(folder_fd)


def test_interrupt_ends_a_waiting_read(pipe: tuple[int, int]) -> None:
    reader = PipeReader(pipe[0], "pipe", 60)
    read: list[bytes] = []
    thread = Thread(target=lambda: read.append(reader.read(100)))
    thread.start()
    reader.interrupt()
    thread.join(PATIENCE_S)
    assert read == [b""]
    assert reader.failure is None
    reader.release()
    reader.release()
    reader.interrupt()  # too late, does nothing


def test_release_leaves_the_descriptor_open(pipe: tuple[int, int]) -> None:
    PipeReader(pipe[0], "pipe", 1).release()
    os.write(pipe[1], b"x")
    assert os.read(pipe[0], 1) == b"x"


def test_release_gives_its_own_descriptors_back(pipe: tuple[int, int]) -> None:
    before = open_descriptors()
    reader = PipeReader(pipe[0], "pipe", 1)
    assert open_descriptors() > before
    reader.release()
    assert open_descriptors() == before
