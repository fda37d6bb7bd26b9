"""The MP4 sink: what players read back, also after a kill and on a full disk."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import accumulate
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.errors import SinkError
from streamer.frame import Epoch, Frame, Region
from streamer.mask import CroppedMask
from streamer.output import EndOfStream, FrameResult, Gap, Instance, Output, StreamInfo
from streamer.sink_config import Mp4Config
from streamer.sinks.drawing import colour_of
from streamer.sinks.mp4_file import TICKS_PER_S, Mp4File
from streamer.sinks.mp4_sink import Mp4Sink
from streamer.sinks.output_spec import PictureStyle
from streamer.sinks.sealing_file import SealingFile, whole_fragments_end
from streamer.sinks.segments import Segments
from streamer.sinks.sink import SinkThread
from tests.clips import frames_of
from tests.processes import killed_after_writing, started
from tests.sinks import filled, run_sink
from tests.waits import PATIENCE_S

SIZE = (48, 64)
INFO = StreamInfo("cam", ("", "person"), 36, 12, False, "run")


def result(
    index: int,
    time_s: float,
    size: tuple[int, int] = SIZE,
    *,
    level: int = 100,
    instances: tuple[Instance, ...] = (),
) -> FrameResult:
    epoch = Epoch(0, "start", size, Region(0, 0, *size))
    image = np.full((*size, 3), level, dtype=np.uint8)
    inputs = np.zeros((4, 4, 3), dtype=np.uint8)
    return FrameResult(Frame(index, epoch, None, Fraction(1), time_s, image, inputs, 0), instances)


def square(track_id: int, size: tuple[int, int], category_id: int = 1) -> Instance:
    """An instance over the middle quarter of a frame."""
    height, width = size
    crop = np.ones((height // 2, width // 2), dtype=bool)
    segment = CroppedMask(size, height // 4, width // 4, crop)
    return Instance(track_id, category_id, "person", 0.9, segment)


def write(
    path: Path,
    outputs: Iterable[Output],
    config: Mp4Config | None = None,
    style: PictureStyle = "overlay",
    segments: Segments | None = None,
) -> None:
    """Run the sink over some outputs, on this thread."""
    run_sink(Mp4Sink(str(path), style, config or Mp4Config(), segments=segments), outputs)


def boxes(path: Path) -> list[str]:
    """Types of the file's top-level MP4 boxes. Source: ISO/IEC 14496-12, 4.2."""
    content, found = path.read_bytes(), []
    while content:
        found.append(content[4:8].decode("ascii"))
        length = int.from_bytes(content[:4], "big")
        if length == 1:
            length = int.from_bytes(content[8:16], "big")
        content = content[length:] if length else b""
    return found


def test_variable_timing_is_kept(tmp_path: Path) -> None:
    times = [10.0, 10.033, 10.1, 10.100001, 11.5, 11.54]
    write(tmp_path / "out.mp4", [INFO, *(result(n, t) for n, t in enumerate(times))])
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.time_base == Fraction(1, TICKS_PER_S)
        frames = list(container.decode(stream))
        # The last frame lasts as long as the one before it.
        assert stream.duration == 138_600 + 3_600
    pts = [frame.pts for frame in frames]
    assert pts == [0, 2_970, 9_000, 9_001, 135_000, 138_600]


def test_the_last_frame_lasts_as_long_as_its_source_says(tmp_path: Path) -> None:
    file = Mp4File(str(tmp_path / "out.mp4"), SIZE, Mp4Config(keyframe_s=0.05))
    for time_s, duration_s in [(0.0, 5.0), (0.1, None), (0.2, 3.0), (0.3, 2.0)]:
        file.write(np.zeros((*SIZE, 3), np.uint8), time_s, duration_s)
    file.close()
    assert [frame.pts for frame in frames_of(tmp_path / "out.mp4")] == [0, 9_000, 18_000, 27_000]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].duration == 27_000 + 2 * TICKS_PER_S


def test_a_closed_file_is_an_ordinary_mp4(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    write(path, [result(n, n / 10) for n in range(25)], Mp4Config(keyframe_s=0.5))
    assert "moov" in boxes(path)
    assert "moof" not in boxes(path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.frames, stream.codec_context.name) == (25, "h264")
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 10


def test_key_frames_come_after_the_time_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    write(path, [result(n, n / 10) for n in range(30)], Mp4Config(keyframe_s=0.8))
    keys = [n for n, frame in enumerate(frames_of(path)) if frame.key_frame]
    assert keys == [0, 8, 16, 24]


def test_a_single_frame_lasts_a_25th_of_a_second(tmp_path: Path) -> None:
    write(tmp_path / "out.mp4", [result(0, 0.0)])
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert len(list(container.decode(stream))) == 1
        assert stream.duration == TICKS_PER_S // 25


def test_without_frames_there_is_no_file(tmp_path: Path) -> None:
    write(tmp_path / "out.mp4", [INFO, EndOfStream("end", 0, 0)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 5), (47, 64), (48, 63)])
def test_odd_sizes_are_padded_with_the_edge(tmp_path: Path, size: tuple[int, int]) -> None:
    write(tmp_path / "out.mp4", [result(n, n / 10, size, level=200) for n in range(3)])
    frames = frames_of(tmp_path / "out.mp4")
    assert len(frames) == 3
    picture = frames[0].to_ndarray(format="rgb24")
    assert picture.shape == (size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
    assert np.abs(picture.astype(int) - 200).max() <= 5


def test_a_new_size_goes_on_in_another_file(tmp_path: Path) -> None:
    sizes = [(48, 64), (48, 64), (32, 32), (48, 64)]
    results = [result(n, n / 10, size) for n, size in enumerate(sizes)]
    epoch = results[-1].frame.epoch
    write(tmp_path / "out.mp4", [*results[:3], Gap(epoch), results[3]])
    found = {path.name: [f.pts for f in frames_of(path)] for path in tmp_path.iterdir()}
    assert found == {"out.mp4": [0, 9000], "out.1.mp4": [0], "out.2.mp4": [0]}
    assert frames_of(tmp_path / "out.1.mp4")[0].width == 32


def test_players_are_told_of_oblong_pixels(tmp_path: Path) -> None:
    shown = result(0, 0.0)
    oblong = replace(shown.frame.epoch, pixel_aspect=Fraction(64, 45))
    shown = replace(shown, frame=replace(shown.frame, epoch=oblong))
    write(tmp_path / "out.mp4", [shown])
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.sample_aspect_ratio == Fraction(64, 45)
        assert stream.display_aspect_ratio == Fraction(64, 45) * SIZE[1] / SIZE[0]


def test_another_shape_of_pixels_begins_a_file(tmp_path: Path) -> None:
    results = [result(0, 0.0), result(1, 0.1)]
    oblong = replace(results[1].frame.epoch, pixel_aspect=Fraction(64, 45))
    results[1] = replace(results[1], frame=replace(results[1].frame, epoch=oblong))
    write(tmp_path / "out.mp4", results)
    for name, aspect in (("out.mp4", 1), ("out.1.mp4", Fraction(64, 45))):
        with av.open(str(tmp_path / name)) as container:
            assert container.streams.video[0].sample_aspect_ratio == aspect


def test_a_segment_ends_at_its_time_whatever_else_begins_a_file(tmp_path: Path) -> None:
    times = [0.0, 0.9, 1.0, 1.5, 1.9, 4.2]  # a camera that was gone from 2 to 4 s
    sizes = [(48, 64)] * 3 + [(32, 32)] * 2 + [(48, 64)]
    results = [result(n, *each) for n, each in enumerate(zip(times, sizes, strict=True))]
    write(tmp_path / "out.mp4", results, segments=Segments(1))
    found = {path.name: [f.pts for f in frames_of(path)] for path in tmp_path.iterdir()}
    assert found == {
        "out.mp4": [0, 81_000],
        "out.1.mp4": [0],
        "out.2.mp4": [0, 36_000],
        "out.3.mp4": [0],
    }


def test_a_camera_that_was_away_for_longer_than_an_mp4_can_say_goes_on_in_another_file(
    tmp_path: Path,
) -> None:
    times = [0.0, 0.1, 8 * 3600, 8 * 3600 + 0.1]
    write(tmp_path / "out.mp4", [result(n, time_s) for n, time_s in enumerate(times)])
    found = {path.name: [f.pts for f in frames_of(path)] for path in tmp_path.iterdir()}
    assert found == {"out.mp4": [0, 9000], "out.1.mp4": [0, 9000]}


@pytest.mark.parametrize("segment_s", [None, 1.5])
def test_a_full_file_goes_on_in_another(tmp_path: Path, segment_s: float | None) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 96, 128, 3), dtype=np.uint8)
    results = [result(n, n / 10, (96, 128)) for n in range(60)]
    shown = [replace(each, frame=replace(each.frame, pixels=image))
             for each, image in zip(results, noise, strict=True)]  # fmt: skip
    segments = Segments(segment_s, 0.05)
    write(tmp_path / "out.mp4", shown, Mp4Config(keyframe_s=0.3), segments=segments)
    paths = [tmp_path / "out.mp4", *(tmp_path / f"out.{n}.mp4" for n in range(1, 60))]
    parts = [path for path in paths if path.exists()]
    counts = [len(frames_of(part)) for part in parts]
    sizes = [part.stat().st_size for part in parts]
    assert sum(counts) == 60
    fragment = max(sizes) / max(counts) * 4  # three frames, and the index
    assert max(sizes) < 50_000 + fragment
    if segment_s is None:
        assert len(parts) > 3
        assert min(sizes[:-1]) >= 50_000
    else:
        starts = list(accumulate(counts[:-1], initial=0))
        assert {15, 30, 45} < set(starts)


def test_a_new_epoch_of_the_same_size_stays_in_the_file(tmp_path: Path) -> None:
    first, second = result(0, 0.0), result(1, 5.0)
    gap = Gap(Epoch(1, "reconnect", SIZE, Region(0, 0, *SIZE)))
    write(tmp_path / "out.mp4", [first, gap, second])
    assert [frame.pts for frame in frames_of(tmp_path / "out.mp4")] == [0, 450_000]


def bars(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Eight colours side by side: the corners of the RGB cube."""
    colours = [(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    columns = np.repeat(np.array(colours, dtype=np.uint8), size[1] // 8, axis=0)
    return np.ascontiguousarray(np.broadcast_to(columns, (size[0], *columns.shape)))


@pytest.mark.parametrize(("size", "tag"), [((64, 256), 6), ((720, 256), 1)])
def test_colours_survive_and_are_tagged(tmp_path: Path, size: tuple[int, int], tag: int) -> None:
    picture = bars(size)
    file = Mp4File(str(tmp_path / "out.mp4"), size, Mp4Config(crf=1))
    file.write(picture, 0.0)
    file.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        codec = container.streams.video[0].codec_context
        tags = (codec.color_primaries, codec.color_trc, codec.colorspace, codec.color_range)
        assert tags == (tag, tag, tag, 1)  # 1: limited range
        decoded = next(container.decode(video=0)).to_ndarray(format="rgb24")
    centers = slice(16, None, 32)
    difference = decoded[:, centers].astype(int) - picture[:, centers].astype(int)
    assert np.abs(difference).max() <= 8


def test_sd_colours_are_right_for_readers_that_ignore_tags(tmp_path: Path) -> None:
    picture = bars((64, 256))
    file = Mp4File(str(tmp_path / "out.mp4"), (64, 256), Mp4Config(crf=1))
    file.write(picture, 0.0)
    file.close()
    planes = frames_of(tmp_path / "out.mp4")[0].to_ndarray(format="yuv420p")
    decoded = cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420)  # BT.601, limited range
    centers = slice(16, None, 32)
    difference = decoded[:, centers].astype(int) - picture[:, centers].astype(int)
    assert np.abs(difference).max() <= 8


@pytest.mark.parametrize("height", [96, 720])
def test_binary_is_black_and_white(tmp_path: Path, height: int) -> None:
    size = (height, 128)
    frames = [result(n, n / 10, size, instances=(square(1, size),)) for n in range(3)]
    write(tmp_path / "out.mp4", frames, style="binary")
    for frame in frames_of(tmp_path / "out.mp4"):
        picture = frame.to_ndarray(format="rgb24")
        assert picture[height // 4 + 8 : -height // 4 - 8, 40:88].min() >= 250
        assert picture[: height // 4 - 8].max() <= 5


@pytest.mark.parametrize("style", ["overlay", "instances", "classes", "frame"])
def test_styles_reach_the_file(tmp_path: Path, style: PictureStyle) -> None:
    size = (96, 128)
    frame = result(0, 0.0, size, instances=(square(3, size, category_id=8),))
    write(tmp_path / "out.mp4", [frame], Mp4Config(crf=5), style)
    center = frames_of(tmp_path / "out.mp4")[0].to_ndarray(format="rgb24")[60, 64].astype(int)
    expected = {
        "overlay": np.array(colour_of(3)) * 0.45 + 100 * 0.55,
        "instances": np.array(colour_of(3)),
        "classes": np.array(colour_of(8)),
        "frame": np.array((100, 100, 100)),
    }[style]
    assert np.abs(center - expected).max() <= 12


def test_side_by_side_is_twice_as_wide(tmp_path: Path) -> None:
    size = (96, 128)
    frame = result(0, 0.0, size, instances=(square(3, size),))
    write(tmp_path / "out.mp4", [frame], Mp4Config(crf=5), "side_by_side")
    picture = frames_of(tmp_path / "out.mp4")[0].to_ndarray(format="rgb24").astype(int)
    assert picture.shape == (96, 256, 3)
    assert np.abs(picture[60, 64] - 100).max() <= 8
    assert np.abs(picture[60, 192] - (np.array(colour_of(3)) * 0.45 + 55)).max() <= 12


def test_quality_and_preset_reach_the_encoder(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    contents = []
    for number, (crf, preset) in enumerate([(10, "ultrafast"), (45, "ultrafast"), (10, "medium")]):
        path = tmp_path / f"{number}.mp4"
        file = Mp4File(str(path), (96, 128), Mp4Config(crf=crf, preset=preset))  # type: ignore[arg-type]
        file.write(noise, 0.0)
        file.close()
        contents.append(path.read_bytes())
    fine, coarse, medium = contents
    assert len(coarse) < len(fine) / 4
    # x264 writes its settings into the stream: ultrafast alone does without CABAC.
    assert b" cabac=0 " in fine
    assert b" cabac=1 " in medium


WRITE_AND_WAIT = """
import sys
import numpy as np
from streamer.sink_config import Mp4Config
from streamer.sinks.mp4_file import Mp4File
file = Mp4File(sys.argv[1], (48, 64), Mp4Config(keyframe_s=1.0))
for index in range(48):
    file.write(np.full((48, 64, 3), 4 * index, np.uint8), index / 10)
print("written", flush=True)
sys.stdin.read()
"""


def test_a_killed_run_leaves_the_frames_up_to_the_last_key_frame(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    killed_after_writing(WRITE_AND_WAIT, path)
    frames = frames_of(path)
    assert [frame.pts for frame in frames] == [n * 9_000 for n in range(40)]
    levels = [int(frame.to_ndarray(format="rgb24")[24, 32, 0]) for frame in frames]
    assert np.abs(np.subtract(levels, np.arange(40) * 4)).max() <= 6


# The soft limit stands for a full disk; raised again before closing, it stands for one that got
# room meanwhile, when an index written over a torn file would hide what is whole.
WRITE_UNTIL_FULL = """
import resource, sys
import numpy as np
from streamer.sink_config import Mp4Config
from streamer.errors import SinkError
from streamer.sinks.mp4_file import Mp4File
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
noise = np.random.default_rng(0)
file = Mp4File(sys.argv[1], (96, 128), Mp4Config(keyframe_s=0.5))
try:
    for index in range(400):
        file.write(noise.integers(0, 255, (96, 128, 3), dtype=np.uint8), index / 10)
except SinkError as error:
    print(error)
if sys.argv[2] == "room":
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
try:
    file.close()
except SinkError as error:
    print(error)
"""


@pytest.mark.parametrize("later", ["full", "room"])
def test_a_full_disk_is_named_and_what_was_written_stays(tmp_path: Path, later: str) -> None:
    path = tmp_path / "out.mp4"
    with started(sys.executable, "-c", WRITE_UNTIL_FULL, path, later) as writer:
        output, errors = writer.communicate(timeout=PATIENCE_S)
    assert errors == ""
    assert output.splitlines()[0] == f"{path}: File too large"
    whole = frames_of(path)
    assert len(whole) >= 5
    assert len(whole) % 5 == 0  # a fragment has as many
    assert [frame.pts for frame in whole] == [n * 9_000 for n in range(len(whole))]


WRITE_UNTIL_EACH_LIMIT = """
import resource, sys
from contextlib import suppress
import av
import numpy as np
from streamer.sink_config import Mp4Config
from streamer.errors import SinkError
from streamer.sinks.mp4_file import Mp4File
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
images = np.random.default_rng(0).integers(0, 255, (17, 48, 64, 3), dtype=np.uint8)

def write(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    file = Mp4File(sys.argv[1], (48, 64), Mp4Config(keyframe_s=0.5))
    sizes = []
    with suppress(SinkError):
        for index, image in enumerate(images):
            file.write(image, index / 10)
            sizes.append(file.written_bytes)
    with suppress(SinkError):
        file.close()
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    with av.open(sys.argv[1]) as container:
        return sizes, len(list(container.decode(video=0)))

sizes, _ = write(hard)
first, second, third = sorted(set(sizes))[2:]  # after nothing, and the file's head
around = range(third - 200, third + 400, 7)
for limit in [*range(first, third, 400), *around, third + 4500]:
    print(sum(end <= limit for end in (first, second, third)), write(limit)[1])
"""


def test_wherever_a_full_disk_tears_a_file_whole_fragments_can_be_read(tmp_path: Path) -> None:
    with started(sys.executable, "-c", WRITE_UNTIL_EACH_LIMIT, tmp_path / "out.mp4") as writer:
        output, errors = writer.communicate(timeout=PATIENCE_S)
    assert errors == ""
    *torn, after = [line.split() for line in output.splitlines()]
    assert {tuple(line) for line in torn} == {("1", "5"), ("2", "10"), ("3", "15")}
    assert after == ["3", "17"]  # only the index of the whole is missing


def test_the_disk_is_full_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    # Nothing is written before the first key frame after the start: here only by close.
    source = WRITE_UNTIL_FULL.replace("200_000", "1_000").replace("range(400)", "range(4)")
    with started(sys.executable, "-c", source, path, "full") as writer:
        output, errors = writer.communicate(timeout=PATIENCE_S)
    assert (output, errors) == (f"{path}: File too large\n", "")


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"gone/out\.mp4: the folder .*gone does not exist"):
        Mp4Sink(str(tmp_path / "gone" / "out.mp4"), "overlay", Mp4Config())
    with pytest.raises(SinkError, match=r"gone/out\.mp4: No such file or directory"):
        Mp4File(str(tmp_path / "gone" / "out.mp4"), SIZE, Mp4Config())
    with pytest.raises(SinkError, match="is a folder, expected a file"):
        Mp4Sink(str(tmp_path), "overlay", Mp4Config())
    with pytest.raises(SinkError, match="/dev/full: is not a regular file"):
        Mp4Sink("/dev/full", "overlay", Mp4Config())


def test_after_an_error_only_closing_is_left() -> None:
    file = Mp4File("/dev/full", SIZE, Mp4Config())
    image = np.zeros((*SIZE, 3), np.uint8)
    file.write(image, 0.0)  # fits FFmpeg's buffer
    with pytest.raises(SinkError, match="/dev/full: No space left on device"):
        file.write(image, 0.1)
    with pytest.raises(SinkError, match="/dev/full: cannot be written after an earlier error"):
        file.write(image, 2.0)
    file.close()


def test_a_small_write_after_a_failed_one_is_refused_too(tmp_path: Path) -> None:
    with SealingFile(str(tmp_path / "file"), "w") as file:
        assert file.write(b"whole") == 5
    with SealingFile("/dev/full", "w") as file:
        with pytest.raises(OSError, match="No space left"):
            file.write(b"too much")
        with pytest.raises(OSError, match="an earlier write failed"):
            file.write(b"")
    assert (tmp_path / "file").read_bytes() == b"whole"


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_was_moved_while_it_was_written_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, replaced: bool
) -> None:
    path = tmp_path / "out.mp4"
    sink = Mp4Sink(str(path), "frame", Mp4Config())
    sink.drain(filled([result(0, 0.0), result(1, 0.1, (32, 32))]))
    (tmp_path / "out.1.mp4").rename(tmp_path / "moved.mp4")
    if replaced:
        (tmp_path / "out.1.mp4").touch()
    sink.close()
    assert "out.1.mp4: was removed or replaced while it was written" in caplog.text
    assert sink.written == [path]
    assert len(frames_of(tmp_path / "moved.mp4")) == 1


def test_a_frame_too_large_for_the_codec(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"out\.mp4: frames of 17000x16; H\.264 allows 16384"):
        Mp4File(str(tmp_path / "out.mp4"), (16, 17_000), Mp4Config())


def test_closing_without_a_frame_leaves_an_empty_file(tmp_path: Path) -> None:
    Mp4File(str(tmp_path / "out.mp4"), SIZE, Mp4Config()).close()
    assert (tmp_path / "out.mp4").read_bytes() == b""


def test_a_sink_thread_writes_the_file_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    thread = SinkThread(f"mp4 {path}", partial(Mp4Sink, str(path), "overlay", Mp4Config()))
    thread.start()
    outputs: Sequence[Output] = [INFO, result(0, 0.0), result(1, 0.1), EndOfStream("end", 2, 0)]
    for output in outputs:
        thread.put(output)
    assert thread.finish(PATIENCE_S) is None
    assert len(frames_of(path)) == 2
    assert f"mp4 {path}" not in {running.name for running in threading.enumerate()}


@pytest.mark.parametrize(("missing", "end"), [(0, 52), (1, 29)])
def test_a_fragment_is_whole_with_its_last_byte(tmp_path: Path, missing: int, end: int) -> None:
    sizes = [(b"moov", 12), (b"mdat", 17), (b"moof", 10), (b"mdat", 13)]
    boxes = b"".join(size.to_bytes(4, "big") + kind + bytes(size - 8) for kind, size in sizes)
    (tmp_path / "a.mp4").write_bytes(boxes[: len(boxes) - missing])
    with (tmp_path / "a.mp4").open("rb") as file:
        assert whole_fragments_end(file.fileno()) == end
