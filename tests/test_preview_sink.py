"""`streamer.sinks.preview_sink`: animations, read back by another library."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageSequence

from streamer.errors import SinkError
from streamer.output import FrameResult
from streamer.sink_config import PreviewConfig
from streamer.sinks.drawing import render
from streamer.sinks.output_spec import PictureStyle
from streamer.sinks.preview_sink import PreviewSink
from tests.results import box_mask, epoch, frame_result
from tests.sinks import filled, run_sink

SIZE = (48, 64)


def write(
    path: Path, results: Iterable[FrameResult], style: str = "frame", **options: float
) -> None:
    run_sink(PreviewSink(str(path), style, PreviewConfig(**options)), results)  # type: ignore[arg-type]


def levels(count: int, fps: int = 10) -> list[FrameResult]:
    """Frames of one grey each, 20 levels brighter from one to the next, round and round."""
    images = (np.full((*SIZE, 3), 20 * n % 256, np.uint8) for n in range(count))
    return [frame_result(n, SIZE, {}, image=image, fps=fps) for n, image in enumerate(images)]


def read(path: Path) -> tuple[list[int], list[int], tuple[int, int]]:
    """Grey levels and durations in ms of the frames, and their (width, height)."""
    with Image.open(path) as animation:
        assert animation.info["loop"] == 0  # for ever
        frames = list(ImageSequence.Iterator(animation))
        greys, times = [], []
        for number in range(len(frames)):
            animation.seek(number)
            greys.append(int(np.asarray(animation.convert("RGB")).mean()))
            times.append(int(animation.info["duration"]))
        return greys, times, animation.size


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_every_frame_is_shown_for_its_time(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"p.{ending}"
    write(path, levels(12))
    greys, times, size = read(path)
    assert np.abs(np.subtract(greys, np.arange(12) * 20 % 256)).max() <= 3
    assert times == [100] * 12
    assert size == (64, 48)


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_it_is_no_faster_no_longer_and_no_wider_than_asked(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"p.{ending}"
    write(path, levels(60, fps=20), fps=5, duration_s=2, width=32)
    greys, times, size = read(path)
    assert np.abs(np.subtract(greys, np.arange(0, 40, 4) * 20 % 256)).max() <= 3
    assert times == [200] * 10
    assert size == (32, 24)


@pytest.mark.parametrize(
    ("style", "aspect", "scale"),
    [("overlay", 1, 0.5), ("side_by_side", 1, 0.25), ("overlay", 2, 0.25)],
)
def test_lines_are_as_wide_as_the_preview_needs(
    tmp_path: Path, style: PictureStyle, aspect: int, scale: float
) -> None:
    shape = replace(epoch(SIZE), pixel_aspect=Fraction(aspect))
    result = frame_result(0, masks={1: box_mask(SIZE, 9, 7, 29, 23)}, within=shape)
    write(tmp_path / "p.gif", [result], style, width=32)
    with Image.open(tmp_path / "p.gif") as picture:
        shown = np.asarray(picture.convert("RGB")).astype(int)
    drawn = cv2.resize(render(result, style, scale), picture.size, interpolation=cv2.INTER_AREA)
    assert np.abs(shown - drawn).max() <= 3


def test_a_rate_that_is_no_divisor_keeps_up_with_the_video(tmp_path: Path) -> None:
    write(tmp_path / "p.webp", levels(60, fps=30), fps=12)
    _, times, _ = read(tmp_path / "p.webp")
    assert len(times) == 24
    assert abs(sum(times) - 2000) <= 20


@pytest.mark.parametrize("ending", ["gif", "webp"])
@pytest.mark.parametrize("fps", [40, 50])
def test_no_frame_is_so_short_that_browsers_would_show_it_for_longer(
    tmp_path: Path, ending: str, fps: int
) -> None:
    write(tmp_path / f"p.{ending}", levels(60, fps=60), fps=fps)
    _, times, _ = read(tmp_path / f"p.{ending}")
    assert min(times) >= 20
    assert abs(sum(times) - 1000) <= 30


@pytest.mark.parametrize("ending", ["gif", "webp"])
@pytest.mark.parametrize(
    ("aspect", "width", "size"),
    [("2", 480, (128, 48)), ("2", 64, (64, 24)), ("1/2", 480, (32, 48))],
)
def test_oblong_pixels_become_square(
    tmp_path: Path, ending: str, aspect: str, width: int, size: tuple[int, int]
) -> None:
    oblong = replace(epoch(SIZE), pixel_aspect=Fraction(aspect))
    path = tmp_path / f"p.{ending}"
    write(path, [frame_result(0, masks={}, within=oblong)], width=width)
    with Image.open(path) as picture:
        assert picture.size == size


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_frames_of_a_burst_are_shown_no_faster_than_asked(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"p.{ending}"
    results = levels(5)
    for result, time_s in zip(results, (0.0, 1.0, 1.03, 1.06, 1.2), strict=True):
        object.__setattr__(result.frame, "time_s", time_s)
    write(path, results)
    greys, times, _ = read(path)
    assert np.abs(np.subtract(greys, [0, 20, 80])).max() <= 3
    assert times[:2] == [1000, 200]
    assert times[2] == (100 if ending == "gif" else 600)  # libwebp shows the last for the mean


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_it_is_complete_before_the_run_ends(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"p.{ending}"
    path.write_bytes(b"of an earlier run")
    sink = PreviewSink(str(path), "frame", PreviewConfig(duration_s=1))
    results = levels(20)
    sink.drain(filled(results[:5]))
    assert path.read_bytes() == b"of an earlier run"
    sink.drain(filled(results[5:]))
    assert len(read(path)[0]) == 10
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    sink.close()


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_a_second_run_is_refused_and_takes_nothing_from_the_first(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"p.{ending}"
    first, second = (PreviewSink(str(path), "frame", PreviewConfig()) for _ in range(2))
    first.drain(filled(levels(5)))
    with pytest.raises(SinkError, match=rf"p\.{ending}: another run writes it"):
        run_sink(second, levels(2))
    assert second.written == []
    first.close()
    assert len(read(path)[0]) == 5
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ["gif", "webp"])
@pytest.mark.parametrize("good", [0, 3])
def test_a_preview_that_failed_leaves_the_one_before(
    tmp_path: Path, ending: str, good: int
) -> None:
    path = tmp_path / f"p.{ending}"
    path.write_bytes(b"of an earlier run")
    results = levels(good + 1)
    object.__setattr__(results[good].frame, "pixels", np.zeros((*SIZE, 2), np.uint8))
    sink = PreviewSink(str(path), "frame", PreviewConfig())
    with pytest.raises(ValueError, match="shape"):
        run_sink(sink, results)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        path.name: b"of an earlier run"
    }
    assert sink.written == []


def test_styles_and_sizes_that_change(tmp_path: Path) -> None:
    mask = box_mask(SIZE, 8, 8, 32, 32)
    small = epoch((24, 32), index=1, reason="size")
    results = [frame_result(0, SIZE, {1: mask}), frame_result(1, masks={}, within=small)]
    write(tmp_path / "p.gif", results, "binary")
    with Image.open(tmp_path / "p.gif") as animation:
        first = np.asarray(animation.convert("L"))
        assert np.array_equal(first > 127, mask)
        animation.seek(1)
        assert not np.asarray(animation.convert("L")).any()
        assert animation.size == (64, 48)


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_one_frame_is_a_still_and_none_is_no_file(tmp_path: Path, ending: str) -> None:
    write(tmp_path / f"one.{ending}", levels(1))
    with Image.open(tmp_path / f"one.{ending}") as picture:
        assert picture.size == (64, 48)
    write(tmp_path / f"none.{ending}", [])
    assert not (tmp_path / f"none.{ending}").exists()


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="does not exist"):
        PreviewSink(str(tmp_path / "gone" / "p.gif"), "frame", PreviewConfig())
    (tmp_path / "p.gif").touch()
    sink = PreviewSink(str(tmp_path / "p.gif"), "frame", PreviewConfig())
    (tmp_path / "p.gif").unlink()
    (tmp_path / "p.gif").mkdir()
    sink.drain(filled(levels(1)))
    with pytest.raises(SinkError, match=r"p\.gif: Is a directory"):
        sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["p.gif"]


def test_a_name_with_colons_is_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("10:00:00.gif"), levels(2))
    assert len(read(tmp_path / "10:00:00.gif")[0]) == 2


@pytest.mark.parametrize(
    ("duration_s", "expected"), [(None, [100] * 5), (2.5, [100] * 4 + [2500]), (60, [9600])]
)
def test_the_last_frame_of_a_gif_is_shown_for_its_time(
    tmp_path: Path, duration_s: float | None, expected: list[int]
) -> None:
    results = levels(5)
    for result in results:
        object.__setattr__(result.frame, "duration_s", duration_s)
    write(tmp_path / "p.gif", results)
    assert read(tmp_path / "p.gif")[1][-len(expected) :] == expected


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_a_frame_of_another_shape_keeps_its_own(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"p.{ending}"
    tall = frame_result(1, (96, 64), {}, image=np.full((96, 64, 3), 200, np.uint8))
    write(path, [*levels(1), tall, frame_result(2, SIZE, {}, image=tall.frame.image[:48])])
    with Image.open(path) as animation:
        animation.seek(1)
        row = np.asarray(animation.convert("L"))[24]
        animation.seek(2)
        filled = np.asarray(animation.convert("L"))
    assert (row[:15].max(), row[49:].max()) < (8, 8)
    assert row[17:47].min() > 190
    assert filled.min() > 190
