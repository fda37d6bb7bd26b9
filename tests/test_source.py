from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from threading import Event, Thread

import av
import numpy as np
import pytest
from PIL import Image

from streamer.errors import SourceError, UnforeseenError
from streamer.frame import Frame, Region
from streamer.source_config import SourceConfig
from streamer.sources.media import SourceCounts
from streamer.sources.picture import Picture
from streamer.sources.selection import Selection
from streamer.sources.source import Source
from tests.clips import draw, make_clip, make_images, make_slides, write_image
from tests.sources import opened, read
from tests.waits import PATIENCE_S


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    make_clip(tmp_path / "a.mp4", frames=30, gop=10)
    return tmp_path / "a.mp4"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts"])
def test_every_frame_once_in_order(tmp_path: Path, suffix: str) -> None:
    drawn = make_clip(tmp_path / f"a{suffix}", frames=15)
    source = opened(tmp_path / f"a{suffix}")
    frames = list(source)
    source.close()
    assert [frame.index for frame in frames] == list(range(15))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 10 for i in range(15)])
    assert (source.expected_frames, source.counts.corrupt, source.live) == (15, 0, False)
    for frame, image in zip(frames, drawn, strict=True):
        assert np.abs(frame.image.astype(int) - image).mean() < 8
        assert frame.inputs.shape == (32, 42, 3)
        assert frame.capture_unix_ns is None


def test_timestamps_stay_exact(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mkv", frames=4, pts=[0, 33, 67, 900], time_base=Fraction(1, 1000))
    frames = read(tmp_path / "a.mkv")
    assert [(frame.pts, frame.time_base) for frame in frames] == [
        (pts, Fraction(1, 1000)) for pts in (0, 33, 67, 900)
    ]
    assert [frame.time_s for frame in frames] == [0, 0.033, 0.067, 0.9]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts", ".flv"])
@pytest.mark.parametrize(
    ("selection", "first", "count"),
    [
        (Selection(start_s=1.3), 13, 17),
        (Selection(start_s=1.31), 14, 16),
        (Selection(start_s=0.1, duration_s=0.3), 1, 3),
        (Selection(start_s=2.0, max_frames=4), 20, 4),
        (Selection(duration_s=100), 0, 30),
    ],
)
def test_a_selection_begins_and_ends_at_the_frames_asked_for(
    tmp_path: Path, suffix: str, selection: Selection, first: int, count: int
) -> None:
    drawn = make_clip(tmp_path / f"a{suffix}", frames=30, gop=7)
    source = opened(tmp_path / f"a{suffix}", selection)
    frames = list(source)
    source.close()
    assert len(frames) == count
    assert (frames[0].index, frames[0].time_s) == (0, 0)
    distances = [np.abs(frames[0].image.astype(int) - image).mean() for image in drawn]
    assert int(np.argmin(distances)) == first
    if suffix != ".flv":  # whose duration counts from zero, not from its first frame
        assert source.expected_frames == count


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize(("start_s", "first"), [(0.04, 1), (0.52, 13), (1.16, 29)])
def test_a_start_in_what_does_not_say_where_it_begins(
    tmp_path: Path, start_s: float, first: int, b_frames: int
) -> None:
    path = tmp_path / "a.m2v"
    drawn = make_clip(path, frames=30, fps=25, codec="mpeg2video",
                      codec_options={"bf": str(b_frames), "b": "2000000"})  # fmt: skip
    frames = read(path, Selection(start_s=start_s))
    assert len(frames) == 30 - first
    distances = [np.abs(frames[0].image.astype(int) - image).mean() for image in drawn]
    assert int(np.argmin(distances)) == first


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".flv"])
def test_a_start_behind_the_end_is_an_error(tmp_path: Path, suffix: str) -> None:
    make_clip(tmp_path / f"a{suffix}")
    with pytest.raises(SourceError, match=r"no frame .* after the first 9 s"):
        opened(tmp_path / f"a{suffix}", Selection(start_s=9))


def test_a_region_is_the_networks_input_and_leaves_the_image_whole(clip: Path) -> None:
    (frame,) = read(clip, Selection(roi=(10, 5, 20, 30), max_frames=1))
    assert frame.epoch.region == Region(top=5, left=10, height=30, width=20)
    assert frame.image.shape == (48, 64, 3)
    assert frame.inputs.shape == (48, 32, 3)


@pytest.mark.parametrize(
    ("roi", "message"),
    [
        ((60, 0, 10, 10), r"\[60, 0, 10, 10\].*beyond the frame of 64x48"),
        ((0, 40, 10, 10), "beyond the frame of 64x48"),
        ((0, 0, 50, 4), "50x4 is more elongated than 8:1"),
    ],
)
def test_a_region_that_does_not_fit_is_refused(
    clip: Path, roi: tuple[int, int, int, int], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        opened(clip, Selection(roi=roi))


def test_size_change_begins_an_epoch(tmp_path: Path) -> None:
    for index, size in enumerate([(24, 32), (24, 32), (32, 24), (24, 32)]):
        write_image(tmp_path / f"{index}.png", draw(index, size))
    frames = read(tmp_path)
    assert [(frame.epoch.index, frame.epoch.reason) for frame in frames] == [
        (0, "start"),
        (0, "start"),
        (1, "size"),
        (2, "size"),
    ]
    assert frames[2].epoch.size == (32, 24)
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_a_size_change_inside_a_stream(tmp_path: Path) -> None:
    make_clip(tmp_path / "1.ts", frames=5, size=(48, 64))
    make_clip(tmp_path / "2.ts", frames=5, size=(64, 48))
    joined = tmp_path / "joined.ts"
    joined.write_bytes((tmp_path / "1.ts").read_bytes() + (tmp_path / "2.ts").read_bytes())
    frames = read(joined)
    assert {frame.epoch.size for frame in frames} == {(48, 64), (64, 48)}
    assert frames[-1].epoch.reason == "size"
    assert all(a.time_s < b.time_s for a, b in itertools.pairwise(frames))


@pytest.mark.parametrize("height", [48, 64])
def test_a_change_of_the_pixels_shape_begins_an_epoch(tmp_path: Path, height: int) -> None:
    joined = tmp_path / "joined.ts"
    with joined.open("wb") as file:
        for name, size, aspect in (("1.ts", (48, 64), "4/3"), ("2.ts", (height, 64), "16/11")):
            make_clip(tmp_path / name, frames=12, size=size, codec_options={"aspect": aspect})
            file.write((tmp_path / name).read_bytes())
    found = {
        frame.epoch.index: (frame.epoch.size, frame.epoch.pixel_aspect, frame.epoch.reason)
        for frame in read(joined)
    }
    assert found == {
        0: ((48, 64), Fraction(4, 3), "start"),
        1: ((height, 64), Fraction(16, 11), "size"),
    }


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"bf": "3", "b_strategy": "0", "sc_threshold": "0"}),
        ("libx264", {"bf": "0"}),
        ("mpeg4", {"bf": "2"}),
        ("mjpeg", {}),
    ],
)
def test_reordered_pictures_of_an_avi_are_timed(
    tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    path = tmp_path / "a.avi"
    pix_fmt = "yuvj420p" if codec == "mjpeg" else None
    drawn = make_clip(path, frames=30, codec=codec, pix_fmt=pix_fmt, codec_options=options)
    for first in (0, 3, 17):
        frames = read(path, Selection(start_s=first / 10 - 0.05))
        assert [frame.time_s for frame in frames] == pytest.approx(np.arange(30 - first) / 10)
        difference = frames[0].image.astype(int) - drawn[first]
        assert np.abs(difference).mean() < 5


def test_how_long_the_last_frame_is_shown_is_known(tmp_path: Path) -> None:
    make_slides(tmp_path / "a.mp4", [1, 0.5, 6])
    assert [frame.duration_s for frame in read(tmp_path / "a.mp4")] == [1, 0.5, 6]
    part = read(tmp_path / "a.mp4", Selection(duration_s=2.5))
    assert [frame.duration_s for frame in part] == [1, 0.5, 1]
    make_images(tmp_path / "f", frames=1)
    assert [frame.duration_s for frame in read(tmp_path / "f", fps=4)] == [0.25]


@pytest.mark.parametrize("start_s", [0.0, 1.5])
def test_a_looped_file_begins_an_epoch_each_time_and_its_clock_goes_on(
    clip: Path, start_s: float
) -> None:
    once = round(30 - start_s * 10)
    frames = read(clip, Selection(start_s=start_s, max_frames=2 * once + 1), loop=True)
    assert [frame.epoch.reason for frame in frames[::once]] == ["start", "loop", "loop"]
    assert frames[once].pts == frames[0].pts
    assert [frame.index for frame in frames] == list(range(2 * once + 1))
    assert frames[-1].time_s == pytest.approx(2 * once / 10)


class Emptied:
    """Two pictures the first time that it is read, and none any more."""

    name, live, rate, frames, counts = "emptied", False, Fraction(10), None, SourceCounts()

    def __init__(self) -> None:
        self.passes = 0

    def pictures(self, start_s: Fraction) -> Iterator[Picture]:
        self.passes += 1
        assert self.passes < 10, "it is read again and again"
        for index in range(2 if self.passes == 1 else 0):
            yield Picture(av.VideoFrame(64, 48, "rgb24"), index, Fraction(1, 10), None)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_nobody_knows_how_many_frames_a_loop_has(clip: Path) -> None:
    source = opened(clip, loop=True)
    source.close()
    assert source.expected_frames is None


def test_a_loop_ends_with_a_pass_without_a_frame() -> None:
    source = Source(Emptied(), SourceConfig(loop=True), Selection(), 32)
    assert len(list(source)) == 2
    source.close()


def test_a_file_as_live_carries_arrival_times_and_ends_cleanly(clip: Path) -> None:
    source = opened(clip, live=True)
    frames = list(source)
    source.close()
    assert source.live
    assert len(frames) == 30
    assert {frame.capture_clock for frame in frames} == {"arrival"}
    assert all(frame.capture_unix_ns for frame in frames)


def test_realtime_waits_and_can_be_interrupted(tmp_path: Path) -> None:
    # The second frame is due in an hour: only the interrupt can end this.
    make_clip(tmp_path / "a.mkv", frames=2, pts=[0, 3_600_000])
    source = opened(tmp_path / "a.mkv", realtime=True)
    seen = Event()
    frames: list[Frame] = []

    def consume() -> None:
        for frame in source:
            frames.append(frame)
            seen.set()
        source.close()

    thread = Thread(target=consume)
    thread.start()
    assert seen.wait(PATIENCE_S)
    source.interrupt()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert len(frames) == 1


def test_realtime_keeps_the_pace(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mkv", frames=4, fps=20)
    frames = read(tmp_path / "a.mkv", realtime=True)
    # no frame may come early; how late depends on the machine
    assert frames[-1].decoded_ns - frames[0].decoded_ns >= 0.149e9


def test_realtime_is_counted_from_the_first_frame(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from each frame, or every wait would be longer than the one before."""
    now_ns, waits_s = 10**12, []

    class Watch(Event):
        def wait(self, timeout: float | None = None) -> bool:
            nonlocal now_ns
            assert timeout is not None
            waits_s.append(timeout)
            now_ns += round(timeout * 1e9)
            return False

    source = opened(clip, Selection(max_frames=8), realtime=True)
    source._interrupted = Watch()
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    assert len(list(source)) == 8
    source.close()
    assert waits_s == pytest.approx([0.1] * 7)


class Camera:
    """Is lost after each pass; some of its pictures are skipped to catch up.

    Args:
        passes: Pictures skipped before each one, and after the last.
    """

    name, live, rate, frames = "camera", True, Fraction(10), None

    def __init__(self, *passes: tuple[int, ...]) -> None:
        self.counts = SourceCounts()
        self.opened = 0
        self.ended = Event()
        self._passes = passes

    def pictures(self, start_s: Fraction) -> Iterator[Picture]:
        *before, behind = self._passes[self.opened]
        self.opened += 1
        for index, skipped in enumerate(before):
            self.counts.skipped += skipped
            frame = av.VideoFrame(64, 48, "rgb24")
            yield Picture(frame, index, Fraction(1, 10), skipped=skipped)
        self.counts.skipped += behind
        raise SourceError("camera: lost")

    def interrupt(self) -> None:
        assert self.ended.wait(PATIENCE_S)  # others may be told first

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("max_frames", "indices"),
    [(6, [0, 4, None, 7, 9, None, 10, 11]), (2, [0, 4]), (3, [0, 4, None, 7])],
)
def test_skipped_pictures_are_numbered_and_not_among_the_frames_asked_for(
    max_frames: int, indices: list[int | None]
) -> None:
    camera = Camera((0, 3, 2), (0, 1, 0), (0, 0, 0))
    config = SourceConfig(reconnect_delay_s=1e-3, reconnect_max_delay_s=1e-3)
    source = Source(camera, config, Selection(max_frames=max_frames), 32)
    assert [frame and frame.index for frame in source] == indices
    source.close()


def test_an_interrupted_wait_for_a_camera_opens_it_no_more() -> None:
    camera = Camera((0, 0), (0, 0))
    config = SourceConfig(reconnect_delay_s=1e4, reconnect_max_delay_s=1e4)
    source = Source(camera, config, Selection(), 32)
    frames = iter(source)
    assert next(frames) is not None
    assert next(frames) is None
    thread = Thread(target=source.interrupt)
    thread.start()
    assert list(frames) == []
    camera.ended.set()
    thread.join(PATIENCE_S)
    assert camera.opened == 1
    source.close()


def test_an_error_of_the_process_stays_one(tmp_path: Path) -> None:
    make_images(tmp_path, frames=2)
    (tmp_path / "3.png").symlink_to("/proc/self/mem")  # of which no byte can be read
    with pytest.raises(UnforeseenError, match=r"3\.png: Input/output error after 2 of 3 frames$"):
        read(tmp_path)


def test_a_moving_png_is_read_by_its_own_times(tmp_path: Path) -> None:
    images = [Image.fromarray(draw(index, (48, 64))) for index in range(5)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:], duration=200)
    frames = read(tmp_path / "a.png")
    assert [frame.time_s for frame in frames] == [0, 0.2, 0.4, 0.6, 0.8]
    for frame, image in zip(frames, images, strict=True):
        assert np.array_equal(frame.image, np.asarray(image))


def test_recordings_of_two_sizes_follow_each_other_in_time(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.ts", frames=10)
    make_clip(tmp_path / "b.ts", frames=10, size=(64, 48))
    with (tmp_path / "a.ts").open("ab") as joined:
        joined.write((tmp_path / "b.ts").read_bytes())
    frames = read(tmp_path / "a.ts")
    assert {frame.epoch.index for frame in frames} == {0, 1}
    assert [frame.time_s for frame in frames] == pytest.approx([i / 10 for i in range(20)])
