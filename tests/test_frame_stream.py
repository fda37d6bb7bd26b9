"""`streamer.stream`: finished frames in the caller's own process."""

from __future__ import annotations

import gc
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import streamer
from model.position import cached_positions
from streamer.errors import ConfigError, SourceError
from streamer.frame_stream import FrameStream
from streamer.output import FrameResult
from streamer.window_config import StitchConfig, WindowConfig
from tests.camera import Camera
from tests.clips import make_clip
from tests.descriptors import open_descriptors
from tests.fakes import FakeSource
from tests.processes import started, words_of
from tests.waits import PATIENCE_S, until


def test_gives_every_frame_with_its_instances(tmp_path: Path, weights: str) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, frames=14)
    with streamer.stream(str(clip), weights=weights, stride=3, threshold=0.0) as frames:
        assert (frames.info.window, frames.info.stride, frames.info.live) == (6, 3, False)
        results = list(frames)
        assert frames.summary.frames == 14
    assert [result.frame.index for result in results] == list(range(14))
    instances = [instance for result in results for instance in result.instances]
    assert instances
    for instance in instances:
        assert instance.mask().shape == (48, 64)
        assert instance.mask().dtype == np.bool_
        assert 0 <= instance.score <= 1
        assert instance.category.startswith("class_")


def test_the_network_s_input_may_be_smaller_or_larger(tmp_path: Path, weights: str) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, frames=6)
    for short_side in (32, 96):
        with streamer.stream(str(clip), weights=weights, short_side=short_side) as frames:
            assert {result.frame.inputs.shape[0] for result in frames} == {short_side}


def test_leaving_early_closes_everything(tmp_path: Path, weights: str) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, frames=60)
    with streamer.stream(str(clip), weights=weights, stride=3) as frames:
        next(iter(frames))
    before = open_descriptors()
    with (
        pytest.raises(KeyError, match="mine"),
        streamer.stream(str(clip), weights=weights, stride=3) as frames,
    ):
        for _ in frames:
            raise KeyError("mine")
    with streamer.stream(str(clip), weights=weights, stride=3):
        pass  # never iterated
    with streamer.stream(clip, weights=Path(weights), stride=3) as frames:
        first = next(iter(frames))
        rest = [next(iter(frames)) for _ in range(5)]  # a second loop goes on
    assert [result.frame.index for result in (first, *rest)] == list(range(6))
    assert list(frames) == []  # nothing comes out of a stream that was left
    assert open_descriptors() == before  # and the fixture sees that no thread is left
    assert frames.summary.frames >= 1
    assert frames.info.stride == 3


def test_a_stream_that_was_left_keeps_no_network_and_is_not_entered_again(
    tmp_path: Path, weights: str
) -> None:
    make_clip(tmp_path / "clip.mp4", frames=6)
    with streamer.stream(tmp_path / "clip.mp4", weights=weights, stride=3) as frames:
        list(frames)
        seconds = frames.summary.wall_s  # what the program does after the last frame counts not
        assert frames.summary.wall_s == seconds
    gc.collect()
    kept = gc.get_referents(frames)
    found = []
    while kept:  # everything that it leads to
        each = kept.pop()
        if not any(each is other for other in found) and not isinstance(each, (type, ModuleType)):
            found.append(each)
            kept += gc.get_referents(each) if not isinstance(each, (FunctionType, CodeType)) else []
    assert not any(isinstance(each, torch.Tensor) for each in found)
    assert frames.summary.wall_s == seconds
    with pytest.raises(streamer.StreamError, match="this stream is over"):
        frames.__enter__()


def test_a_stream_that_is_open_is_not_entered_again(tmp_path: Path, weights: str) -> None:
    make_clip(tmp_path / "clip.mp4", frames=6)
    before = open_descriptors()
    with streamer.stream(tmp_path / "clip.mp4", weights=weights, stride=3) as frames:
        with pytest.raises(streamer.StreamError, match="this stream is open already"):
            frames.__enter__()
        assert len(list(frames)) == 6
    assert open_descriptors() == before


def test_a_stream_whose_source_does_not_return_is_over_too(
    monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    class Deaf(FakeSource):
        def interrupt(self) -> None:
            """It stays in its read."""

    source = Deaf(6, "blocks")
    monkeypatch.setattr("streamer.assembly.open_source", lambda *_, **__: source)
    monkeypatch.setattr("streamer.pipeline.DECODER_STOP_S", 0.1)
    stream = streamer.stream("camera", weights=weights, stride=3)
    with pytest.raises(SourceError, match=r"did not return from a read within 0\.1 s"), stream:
        next(iter(stream))
        assert source.blocked.wait(PATIENCE_S)
    source.interrupted.set()
    assert stream.summary.decoded == 6
    with pytest.raises(streamer.StreamError, match="this stream is over"):
        stream.__enter__()


def test_a_webcam_may_be_a_number_and_nothing_else_is() -> None:
    assert streamer.stream(0)._config.input == "0"
    assert streamer.stream(np.int64(1))._config.input == "1"  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="input is True; allowed: a file"):
        streamer.stream(True)


def test_options_may_be_numpy_s() -> None:
    options: dict[str, Any] = {"stride": np.int64(3), "threshold": np.float32(0.5)}
    config = streamer.stream("a.mp4", roi=np.array([0, 0, 8, 8]), **options)._config
    assert (config.window.stride, config.threshold) == (3, 0.5)
    assert streamer.stream(np.int64(0))._config.input == "0"  # type: ignore[arg-type]
    config = streamer.stream(
        "a.mp4",
        stitch=StitchConfig(accept=np.float32(0.5)),  # type: ignore[arg-type]
        window={"stride": np.int64(2)},
        roi=tuple(np.array([0, 0, 8, 8])),
        categories=(Path("a"), np.str_("b")),
    )._config
    assert (config.stitch.accept, config.window.stride) == (0.5, 2)
    assert (config.region(), config.category_names()) == ((0, 0, 8, 8), ["a", "b"])


def test_a_value_that_is_refused_is_shortened() -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    with pytest.raises(ConfigError, match=r"^input is \[\[\[0, .{190,200}…; allowed: a file, URL"):
        streamer.stream(picture)  # type: ignore[arg-type]


def test_an_option_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ConfigError, match="nested too deeply, or holds itself"):
        streamer.stream("a.mp4", categories=loop)


def test_a_group_that_a_program_makes_is_checked_there() -> None:
    wrong: list[dict[str, Any]] = [{"accept": "x"}, {"accept": None}, {"memory": None}]
    for fields in [*wrong, {"accept": 5}, {"memory": 2.5}, {"accept": float("nan")}]:
        with pytest.raises(ConfigError, match=rf"stitch\.{next(iter(fields))} is"):
            StitchConfig(**fields)


def test_stop_ends_a_loop_that_waits_for_a_lost_source(tmp_path: Path, weights: str) -> None:
    make_clip(tmp_path / "clip.ts", frames=12)
    seen: list[int] = []
    lost = threading.Event()
    with Camera([((tmp_path / "clip.ts").read_bytes(), "closes")]) as camera:
        options: dict[str, Any] = {"live": True, "reconnect_delay_s": PATIENCE_S}
        stream = streamer.stream(
            camera.url, weights=weights, stride=3, reconnect_max_delay_s=PATIENCE_S, **options
        )

        def follow() -> None:
            with stream as frames:
                for result in frames:
                    seen.append(result.frame.index)
                    if result.frame.index == 11:  # given as the source is lost, and not before
                        lost.set()

        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(follow)
            assert lost.wait(PATIENCE_S)
            stream.stop()
            done.result(PATIENCE_S)
    assert seen[-1] == 11
    assert stream.summary.frames == len(seen)
    stream.stop()  # what is over stays so


def test_a_stream_that_is_stopped_before_it_is_open_gives_nothing(
    tmp_path: Path, weights: str
) -> None:
    make_clip(tmp_path / "clip.mp4", frames=6)
    stream = streamer.stream(tmp_path / "clip.mp4", weights=weights, stride=3)
    stream.stop()
    with stream as frames:
        assert list(frames) == []


def test_a_stream_that_is_left_on_another_thread_than_its_loop_s_ends_and_is_closed(
    tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FakeSource(6, "blocks")
    monkeypatch.setattr("streamer.assembly.open_source", lambda *_, **__: source)
    before = torch.get_num_threads()
    stream = streamer.stream("camera", weights=weights, stride=3, threads=before + 1)
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(streamer.StreamError, match="another thread is in the loop"), stream:
            done = pool.submit(list, stream)
            assert source.blocked.wait(PATIENCE_S)
            until(lambda: stream.summary.frames == 3)  # those of the one window; it waits for more
        done.result(PATIENCE_S)
    assert torch.get_num_threads() == before
    assert source.interrupted.is_set()
    assert stream.summary.decoded == 6
    with pytest.raises(streamer.StreamError, match="this stream is over"):
        stream.__enter__()


DAEMON = """
import atexit, sys, threading
import streamer

@atexit.register  # before the stream's own, which therefore comes first
def look():
    try:
        stream.__enter__()
    except streamer.StreamError as error:
        print(error)

begun = threading.Event()
stream = streamer.stream(sys.argv[1], weights=sys.argv[2], loop=True)
def follow():
    with stream as frames:
        for result in frames:
            begun.set()
threading.Thread(target=follow, daemon=True).start()
begun.wait()
"""


def test_a_program_that_ends_closes_the_streams_of_its_daemon_threads(
    tmp_path: Path, weights: str
) -> None:
    make_clip(tmp_path / "clip.mp4", frames=12)
    with started(sys.executable, "-c", DAEMON, tmp_path / "clip.mp4", weights) as process:
        assert process.communicate(timeout=2 * PATIENCE_S)[0].startswith("this stream is over")
        assert process.returncode == 0


SILENT = """
import os, sys
import streamer
try:
    with streamer.stream(*sys.argv[1:2], weights=sys.argv[2], **eval(sys.argv[3])):
        print("it is open")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("kind", ["standard input", "pipe", "network", "awaited"])
def test_an_interrupt_is_heard_while_a_source_opens(
    tmp_path: Path, weights: str, kind: str
) -> None:
    options: dict[str, Any] = {"open_timeout_s": PATIENCE_S, "read_timeout_s": PATIENCE_S}
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)  # somebody writes, and says nothing
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        source = {"standard input": "-", "pipe": pipe}.get(kind, url)
        if kind == "awaited":
            server.close()
            options |= {"wait": True, "reconnect_delay_s": PATIENCE_S}
        code = "import logging; logging.basicConfig(level=20)" + SILENT
        program = (sys.executable, "-c", code, source, weights, options)
        with started(*program, stdin=held) as process:
            assert process.stderr is not None
            sign = "attempt 1 to reconnect" if kind == "awaited" else "opening"
            assert any(sign in line for line in process.stderr)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=PATIENCE_S)
    os.close(held)
    assert (process.returncode, out) == (0, "interrupted\n")


def test_works_on_any_one_thread(tmp_path: Path, weights: str) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, frames=9)

    def count() -> int:
        with streamer.stream(str(clip), weights=weights, stride=3) as frames:
            return sum(1 for _ in frames)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(count).result(60) == 9


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(
    "around",
    [
        lambda: torch.device("meta"),
        lambda: default_dtype(torch.bfloat16),
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    ],
)
def test_what_a_program_sets_for_its_own_tensors_changes_nothing(
    tmp_path: Path, weights: str, around: Callable[[], AbstractContextManager[None]]
) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, frames=12)

    def masks() -> list[NDArray[np.uint16]]:
        with streamer.stream(path, weights=weights, precision="fp32", threshold=0.0) as frames:
            return [result.labels() for result in frames]

    expected = masks()
    assert any(each.any() for each in expected)
    cached_positions.cache_clear()  # or else it would be those of before
    with around():
        found = masks()
    np.testing.assert_array_equal(found, expected)


def test_options_of_groups_are_flat(weights: str) -> None:
    options = {"frame_step": 2, "live": True, "emit_delay": 0}
    with streamer.stream(
        "lavfi:testsrc2=size=64x48:rate=10:duration=1", weights=weights, stride=2, **options
    ) as frames:
        assert frames.info.live
        assert [result.interpolated for result in frames][:4] == [False, True, False, True]


def test_pytorch_has_the_threads_and_the_rounding_afterwards_that_it_had_before(
    tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip(tmp_path / "clip.mp4", frames=3)
    before = torch.get_num_threads()
    more = before + 1
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "allow_tf32", True)
    with streamer.stream(str(tmp_path / "clip.mp4"), weights=weights, stride=3, threads=more):
        assert (torch.get_num_threads(), cudnn.allow_tf32) == (more, False)
    assert (torch.get_num_threads(), cudnn.allow_tf32) == (before, True)
    with pytest.raises(SourceError):
        streamer.stream(str(tmp_path / "gone"), weights=weights, threads=more).__enter__()
    assert torch.get_num_threads() == before


def test_the_last_of_several_streams_gives_the_settings_back(
    tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip(tmp_path / "clip.mp4", frames=3)
    before = torch.get_num_threads()
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "allow_tf32", True)
    streams = [
        streamer.stream(str(tmp_path / "clip.mp4"), weights=weights, stride=3, threads=before + n)
        for n in (1, 2)
    ]
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(streams[0])
        second.enter_context(streams[1])
        first.close()
        assert (torch.get_num_threads(), cudnn.allow_tf32) == (before + 2, False)
    assert (torch.get_num_threads(), cudnn.allow_tf32) == (before, True)


def test_an_interrupt_anywhere_in_the_opening_leaves_nothing_open(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources: list[FakeSource] = []

    def open_source(*_: object, **__: object) -> FakeSource:
        sources.append(FakeSource(6))
        return sources[-1]

    monkeypatch.setattr("streamer.assembly.open_source", open_source)
    before = torch.get_num_threads()
    stream = streamer.stream("camera", weights=weights, stride=3, threads=before + 1)
    line = 0
    try:
        while True:
            line += 1
            with pytest.raises(KeyboardInterrupt), at_line(line, FrameStream.__enter__.__code__):
                stream.__enter__()
            assert torch.get_num_threads() == before, line
            assert all(source.closed.is_set() for source in sources), line
    except pytest.fail.Exception:  # that was the last line: it is open
        stream.__exit__()
    assert len(sources) > 2


@contextmanager
def at_line(number: int, code: CodeType) -> Iterator[None]:
    """Let an interrupt come before a line of a function that is called inside."""
    lines = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        if frame.f_code is not code:
            return None
        lines += event == "line"
        if event == "line" and lines == number:
            raise KeyboardInterrupt
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(former)


def test_a_whole_group_is_an_option() -> None:
    assert streamer.stream("a.mp4", source={"fps": 3})._config.source.fps == 3
    assert streamer.stream(source="a.mp4", fps=3)._config.input == "a.mp4"
    assert streamer.stream(source=np.int64(0))._config.input == "0"
    assert streamer.stream(source=None)._config.input is None
    frames = streamer.stream("a.mp4", stitch=StitchConfig(accept=0.5), stride=3)
    assert frames._config.stitch == StitchConfig(accept=0.5)
    assert frames._config.window.stride == 3


@pytest.mark.parametrize(
    "group", [{"emit_delay": 1, "stride": 9}, WindowConfig(stride=9, emit_delay=1)]
)
@pytest.mark.parametrize("is_first", [False, True])
def test_a_field_by_itself_counts_more_than_its_group(
    group: dict[str, int] | WindowConfig, is_first: bool
) -> None:
    options: dict[str, Any] = {"window": group, "stride": 3}
    if is_first:
        options = dict(reversed(options.items()))
    window = streamer.stream("a.mp4", **options)._config.window
    assert (window.stride, window.emit_delay) == (3, 1)
    assert group in (
        {"emit_delay": 1, "stride": 9},
        WindowConfig(stride=9, emit_delay=1),
    )  # as it was


def test_an_overloaded_live_source_drops_frames_and_counts_each(weights: str) -> None:
    # Decoded as fast as it goes and never waited for: more frames than any network could take.
    source = "lavfi:testsrc2=size=64x48:rate=25:duration=40"
    with streamer.stream(source, weights=weights, live=True, stride=6, buffer=8) as frames:
        results = list(frames)
    indices = [result.frame.index for result in results]
    assert indices == sorted(set(indices))
    assert frames.summary.dropped > 0
    assert len(results) + frames.summary.dropped == 1000
    assert sum(result.dropped for result in results) + len(results) == indices[-1] + 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_stays_flat_over_thousands_of_frames(weights: str) -> None:
    source = "lavfi:testsrc2=size=320x240:rate=25:duration=160"
    megabytes = []
    with streamer.stream(source, weights=weights, threshold=0.0, stride=3) as frames:
        for result in frames:
            if result.frame.index in {1000, 3999}:
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                megabytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
    after_warm_up, at_the_end = megabytes
    assert at_the_end - after_warm_up < 30


def test_bad_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no option 'strid'; allowed: .*stride"):
        streamer.stream("x.mp4", strid=3)
    for name in ("output", "metrics", "zmq", "log"):  # what only the command line does
        with pytest.raises(ConfigError, match=f"no option '{name}'"):
            streamer.stream("x.mp4", **{name: "o.mp4"})
    with pytest.raises(ConfigError, match="window is 3; allowed: fields by their names"):
        streamer.stream("x.mp4", window=3, stride=3)
    for options, message in [
        ({"stride": 0}, "window.stride is 0"),
        ({"stride": "x"}, "window.stride is 'x'"),
        ({"stride": 2.5}, "window.stride is 2.5"),
        ({"device": torch.device("cpu")}, "device is device(type='cpu'); allowed: auto or cpu"),
        ({"window": [1]}, "window is [1]; allowed: a mapping of its options"),
        ({"source": "y.mp4"}, "source is 'y.mp4'; allowed: a mapping of its options"),
        ({"device": "gpu"}, "device is 'gpu'; allowed: auto or cpu or cuda"),
        ({"precision": "int8"}, "precision is 'int8'"),
        ({"live": "maybe"}, "source.live is 'maybe'"),
        ({"hwaccel": "vulkan"}, "source.hwaccel is 'vulkan'; allowed: auto or none or cuda"),
        ({"start": float("inf")}, "start is inf"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(message)):
            streamer.stream("x.mp4", **options)
    with pytest.raises(ConfigError, match="input is ''"):
        streamer.stream("")
    with pytest.raises(SourceError, match="/dev/video0"), streamer.stream(0):
        pass
    with (
        pytest.raises(SourceError, match=r"nowhere.mp4"),
        streamer.stream(str(tmp_path / "nowhere.mp4")),
    ):
        pass


def test_outside_a_with_block_it_says_how() -> None:
    with pytest.raises(streamer.StreamError, match="use the stream in a with block"):
        next(iter(streamer.stream("x.mp4")))


def test_what_a_program_names_is_there() -> None:
    assert {getattr(streamer, name).__name__ for name in streamer.__all__} == set(streamer.__all__)
    assert streamer.FrameResult is FrameResult
    with pytest.raises(AttributeError, match="module 'streamer' has no attribute 'FrameResults'"):
        getattr(streamer, "FrameResults")  # noqa: B009 - mypy knows that it is not there


def test_what_needs_no_pytorch_comes_without_it() -> None:
    code = """
import sys
from streamer import (
    Frame, FrameResult, Instance, SourceError, StitchConfig, StreamInfo, Summary
)
print("torch" in sys.modules)
"""
    assert words_of(code, {}, ()) == ["False"]


def test_the_package_and_a_mistyped_file_need_no_pytorch() -> None:
    code = """
import sys
import streamer
from streamer.cli import main
sys.exit(main(["gone.mp4", "--output", "o.mp4"]) != 1 or "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, stderr=subprocess.PIPE, text=True
    )
    assert (done.returncode, done.stderr) == (0, "vistr-stream: error: gone.mp4: no such file\n")
