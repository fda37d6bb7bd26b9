"""`streamer.sinks.images_sink`: one image a frame, read back by another library."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from streamer.errors import SinkError
from streamer.output import EndOfStream, FrameResult
from streamer.sink_config import ImagesConfig
from streamer.sinks.drawing import colour_of, render
from streamer.sinks.images_sink import ImagesSink
from streamer.sinks.output_spec import ImageStyle
from tests.results import box_mask, epoch, frame_result, stream_info
from tests.sinks import filled, run_sink

SIZE = (12, 16)
LEFT, TOP = box_mask(SIZE, 2, 0, 8, 5), box_mask(SIZE, 0, 3, 4, 9)


def write(
    folder: Path,
    results: Iterable[FrameResult],
    style: ImageStyle = "binary",
    *,
    clean: bool = False,
    **options: object,
) -> None:
    """Run the sink over some results, on this thread."""
    sink = ImagesSink(str(folder), style, ImagesConfig(**options), clean=clean)  # type: ignore[arg-type]
    run_sink(sink, [stream_info(), *results])


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_every_frame_has_its_image_also_those_without_objects(tmp_path: Path) -> None:
    results = [
        frame_result(0, SIZE, {}),
        frame_result(1, SIZE, {1: LEFT}),
        frame_result(2, SIZE, {}),
    ]
    write(tmp_path / "new" / "masks", results)
    assert names(tmp_path / "new" / "masks") == {"0.png", "1.png", "2.png"}
    empty, mask = (read(tmp_path / "new" / "masks" / f"{n}.png") for n in (0, 1))
    assert empty.shape == SIZE
    assert not empty.any()
    assert np.array_equal(mask, LEFT * 255)


def test_classes_have_their_colours_and_later_ones_lie_on_top(tmp_path: Path) -> None:
    result = frame_result(0, SIZE, {1: LEFT, 2: TOP}, category_ids={1: 1, 2: 2})
    write(tmp_path, [result], "classes")
    image = read(tmp_path / "0.png")
    assert np.all(image[TOP] == colour_of(2))
    assert np.all(image[LEFT & ~TOP] == colour_of(1))
    assert not image[~(LEFT | TOP)].any()


def test_a_cutout_keeps_the_objects_pixels_on_a_transparent_ground(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    write(tmp_path, [frame_result(0, SIZE, {1: LEFT, 2: TOP}, image=photo)], "cutout")
    image = read(tmp_path / "0.png")
    assert image.shape == (*SIZE, 4)
    assert np.array_equal(image[..., 3], (LEFT | TOP) * 255)
    assert np.array_equal(image[..., :3], photo * (LEFT | TOP)[..., None])


def test_tracks_have_a_folder_each_with_the_frames_that_show_them(tmp_path: Path) -> None:
    results = [frame_result(0, SIZE, {4: LEFT}), frame_result(1, SIZE, {4: TOP, 7: LEFT})]
    write(tmp_path, results, "tracks")
    assert names(tmp_path) == {"4/0.png", "4/1.png", "7/1.png"}
    assert np.array_equal(read(tmp_path / "4" / "1.png"), TOP * 255)
    assert np.array_equal(read(tmp_path / "7" / "1.png"), LEFT * 255)


def test_the_folder_is_what_was_written_however_many_images(tmp_path: Path) -> None:
    sink = ImagesSink(str(tmp_path), "binary", ImagesConfig(), clean=False)
    assert sink.written == []
    run_sink(sink, [stream_info(), frame_result(0), frame_result(1)])
    assert sink.written == [tmp_path]


def test_tracks_of_earlier_runs_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, [frame_result(n, SIZE, {4: LEFT}) for n in range(3)], "tracks")
    assert not caplog.text
    write(tmp_path, [frame_result(0, SIZE, {4: TOP})], "tracks")
    assert "holds 3 numbered images of earlier runs" in caplog.text


@pytest.mark.parametrize("style", ["overlay", "side_by_side", "instances", "frame"])
def test_pictures_are_those_of_the_video(tmp_path: Path, style: ImageStyle) -> None:
    result = frame_result(3, SIZE, {1: LEFT})
    write(tmp_path, [result], style, format="png")
    assert np.array_equal(read(tmp_path / "3.png"), render(result, style))


def test_frames_are_jpeg_and_masks_png_unless_asked_otherwise(tmp_path: Path) -> None:
    photo = np.broadcast_to(np.linspace(0, 250, 16, dtype=np.uint8)[None, :, None], (*SIZE, 3))
    result = frame_result(0, SIZE, {1: LEFT}, image=np.ascontiguousarray(photo))
    write(tmp_path / "frames", [result], "frame")
    write(tmp_path / "masks", [result], "binary", format="jpg", quality=100)
    assert names(tmp_path) == {"frames/0.jpg", "masks/0.jpg"}
    assert np.abs(read(tmp_path / "frames" / "0.jpg").astype(int) - photo).max() < 8
    mask = read(tmp_path / "masks" / "0.jpg")
    assert mask.shape == SIZE
    assert np.array_equal(mask > 127, LEFT)


def test_a_jpeg_is_as_good_as_asked(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    errors = []
    for quality in (20, 60, 100):
        folder = tmp_path / str(quality)
        write(folder, [frame_result(0, SIZE, {}, image=photo)], "frame", quality=quality)
        errors.append(np.abs(read(folder / "0.jpg").astype(int) - photo).mean())
    assert errors[0] > errors[1] > errors[2]


def test_frames_keep_their_index_where_others_were_dropped_or_the_size_changed(
    tmp_path: Path,
) -> None:
    wide = epoch((12, 20), index=1, reason="size")
    results = [frame_result(0), frame_result(5, dropped=4), frame_result(6, masks={}, within=wide)]
    write(tmp_path, results)
    assert names(tmp_path) == {"0.png", "5.png", "6.png"}
    assert read(tmp_path / "6.png").shape == (12, 20)


def old_files(folder: Path) -> set[str]:
    """What a user may have in a folder beside the images of an earlier run; returns its names."""
    (folder / "12").mkdir(parents=True)
    (folder / "3.png").mkdir()
    kept = {
        "a1.png",
        "1a.jpg",
        "1.jpeg",
        "0.PNG",
        "-1.png",
        "1.png.txt",
        ".png",
        "٣.png",
        "12/0.png",
    }
    for name in {*kept, "0.png", "007.jpg", "99.png"}:
        (folder / name).write_text("mine")
    return kept


def test_cleaning_removes_numbered_images_and_nothing_else(tmp_path: Path) -> None:
    kept = old_files(tmp_path)
    elsewhere = tmp_path.parent / f"{tmp_path.name}.5.png"
    elsewhere.write_text("linked")
    (tmp_path / "5.png").symlink_to(elsewhere)
    write(tmp_path, [frame_result(1)], clean=True)
    assert names(tmp_path) == kept | {"1.png"}
    assert (tmp_path / "3.png").is_dir()
    assert elsewhere.read_text() == "linked"


def test_without_cleaning_old_images_stay_and_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = old_files(tmp_path)
    with caplog.at_level(logging.WARNING):
        write(tmp_path, [frame_result(0)])
    assert names(tmp_path) == kept | {"0.png", "007.jpg", "99.png"}
    assert "holds 3 numbered images of earlier runs" in caplog.text
    assert cv2.imread(str(tmp_path / "0.png"), cv2.IMREAD_GRAYSCALE) is not None


def test_a_second_run_is_refused_before_it_cleans_anything(tmp_path: Path) -> None:
    first = ImagesSink(f"{tmp_path}/", "binary", ImagesConfig(), clean=False)
    first.drain(filled([stream_info(), frame_result(0)]))
    with pytest.raises(SinkError, match="/: another run writes it"):
        ImagesSink(f"{tmp_path}/", "binary", ImagesConfig(), clean=True)
    first.close()
    assert names(tmp_path) == {"0.png"}
    write(tmp_path, [frame_result(1)], clean=True)
    assert names(tmp_path) == {"1.png"}


def test_a_run_that_does_not_begin_cleans_nothing(tmp_path: Path) -> None:
    (tmp_path / "0.png").touch()
    sink = ImagesSink(str(tmp_path), "binary", ImagesConfig(), clean=True)
    run_sink(sink, [EndOfStream("failed", 0, 0)])
    assert names(tmp_path) == {"0.png"}


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"cannot make the folder .*file: File exists"):
        write(tmp_path / "file", [])
    (tmp_path / "masks" / "0.png").mkdir(parents=True)
    with pytest.raises(SinkError, match=r"masks/0\.png: Is a directory"):
        write(tmp_path / "masks", [frame_result(0)])
