"""People cut from a video that was drawn: their masks are known."""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.errors import SourceError
from tests.clips import make_clip, truncate
from tests.parts import PERSON
from training.tracklets import SHORTEST, Tracklet, cut_tracklets, median_background, read_frames

HEIGHT, WIDTH, FRAMES = 120, 240, 60

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Walker:
    """Someone who walks: the left upper corner at a frame, or None where they are away."""

    place: Callable[[int], tuple[int, int] | None]
    colour: tuple[int, int, int] = (30, 60, 200)

    def mask(self, index: int) -> Mask:
        """Their pixels in a frame, those outside the picture cut off."""
        whole = np.zeros((HEIGHT, WIDTH + 200), np.bool_)
        corner = self.place(index)
        if corner is not None:
            x, y = corner
            whole[y : y + 60, x + 100 : x + 124] = PERSON
        return whole[:, 100:-100]


def ground() -> NDArray[np.uint8]:
    """Stones of different greys, light enough for shadows to show."""
    rng = np.random.default_rng(0)
    stones = rng.integers(130, 220, size=(HEIGHT // 8, WIDTH // 8, 1), dtype=np.uint8)
    grey = cv2.resize(stones, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.dstack((grey, grey, grey))


def write(path: Path, pictures: Sequence[NDArray[np.uint8]]) -> None:
    """A video without loss."""
    options = {"qp": "0", "preset": "ultrafast"}
    make_clip(path, frames=pictures, codec="libx264rgb", pix_fmt="rgb24", codec_options=options)


def film(path: Path, walkers: Sequence[Walker], *, shadows: bool = False) -> NDArray[np.uint8]:
    """Write a video of them; the ground without anyone."""
    empty = ground()
    rng = np.random.default_rng(1)
    pictures = []
    for index in range(FRAMES):
        picture = empty.astype(np.int16)
        for walker in walkers:
            corner = walker.place(index)
            if shadows and corner is not None:
                x, y = corner
                picture[y + 50 : y + 60, x - 3 : x + 30] *= 6
                picture[y + 50 : y + 60, x - 3 : x + 30] //= 10
        for walker in walkers:
            picture[walker.mask(index)] = walker.colour
        noise = rng.integers(-3, 4, size=picture.shape)
        pictures.append(np.clip(picture + noise, 0, 255).astype(np.uint8))
    write(path, pictures)
    return empty


def masks_of(tracklet: Tracklet) -> list[Mask]:
    """Masks in the frames of the video."""
    masks = []
    for (x, y, width, height), cutout in zip(tracklet.boxes, tracklet.cutouts, strict=True):
        assert cutout.shape == (height, width, 4)
        mask = np.zeros((HEIGHT, WIDTH), np.bool_)
        mask[y : y + height, x : x + width] = cutout[..., 3] > 0
        assert set(np.unique(cutout[..., 3])) <= {0, 255}
        masks.append(mask)
    return masks


def iou(first: Mask, second: Mask) -> float:
    return float((first & second).sum() / (first | second).sum())


def tracklets(
    path: Path, frames: range = range(FRAMES), excluded: Sequence[tuple[int, int]] = ()
) -> tuple[Tracklet, ...]:
    return cut_tracklets(path, frames, median_background(path, range(FRAMES)), excluded)


def to_the_right(index: int) -> tuple[int, int]:
    return 10 + 3 * index, 30


def test_the_background_is_the_scene_without_people(tmp_path: Path) -> None:
    empty = film(tmp_path / "a.mp4", [Walker(to_the_right)])
    found = median_background(tmp_path / "a.mp4", range(FRAMES))
    assert np.abs(found.astype(int) - empty).max() <= 4


def test_what_is_no_whole_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.avi").write_bytes(b"")
    make_clip(tmp_path / "cut.avi", frames=FRAMES)
    truncate(tmp_path / "cut.avi", 0.5)
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    for name, message in {
        "none.avi": "cannot be read as a video: No such file or directory",
        "empty.avi": "cannot be read as a video: Invalid data found",
        "sound.wav": "cannot be read as a video: there is none in it",
        "cut.avi": rf"ends before frame \d+, expected {FRAMES} frames",
    }.items():
        with pytest.raises(SourceError, match=rf"{name}: {message}"):
            median_background(tmp_path / name, range(FRAMES))


def test_someone_alone_is_cut_out_along_their_whole_way(tmp_path: Path) -> None:
    walker = Walker(to_the_right)
    film(tmp_path / "a.mp4", [walker])
    (tracklet,) = tracklets(tmp_path / "a.mp4")
    assert (tracklet.first, len(tracklet)) == (0, FRAMES)
    for index, mask in enumerate(masks_of(tracklet)):
        assert iou(mask, walker.mask(index)) >= 0.9
    colours = tracklet.cutouts[5][..., :3][tracklet.cutouts[5][..., 3] > 0]
    np.testing.assert_allclose(np.median(colours, axis=0), walker.colour, atol=2)


def test_only_the_frames_asked_for_are_looked_at(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [Walker(to_the_right)])
    (tracklet,) = tracklets(tmp_path / "a.mp4", range(20, 35))
    assert (tracklet.first, len(tracklet)) == (20, 15)
    assert tracklet.boxes[0, 0] == pytest.approx(to_the_right(20)[0], abs=2)
    read = list(read_frames(tmp_path / "a.mp4", range(50, 100, 5)))
    assert len(read) == 2
    assert read[0].shape == (HEIGHT, WIDTH, 3)


def test_two_people_are_two_tracklets_while_they_are_apart(tmp_path: Path) -> None:
    # They come from both sides, pass each other about frame 30, and go on.
    walkers = [Walker(to_the_right), Walker(lambda i: (190 - 3 * i, 36), (200, 40, 20))]
    film(tmp_path / "a.mp4", walkers)
    found = tracklets(tmp_path / "a.mp4")
    assert len(found) == 4
    for tracklet in found:
        frames = range(tracklet.first, tracklet.first + len(tracklet))
        for index, mask in zip(frames, masks_of(tracklet), strict=True):
            first, second = (walker.mask(index) for walker in walkers)
            assert not cv2.dilate(first.astype(np.uint8), np.ones((7, 7)))[second].any()
            assert max(iou(mask, first), iou(mask, second)) >= 0.9
        own = {int(iou(masks_of(tracklet)[n], walkers[1].mask(frames[n])) > 0.5) for n in (0, -1)}
        assert len(own) == 1


def test_people_who_touch_are_left_out(tmp_path: Path) -> None:
    beside = Walker(lambda i: (to_the_right(i)[0] + 20, 30), (200, 40, 20))
    film(tmp_path / "a.mp4", [Walker(to_the_right), beside])
    assert tracklets(tmp_path / "a.mp4") == ()


def test_people_who_are_close_are_left_out(tmp_path: Path) -> None:
    beside = Walker(lambda i: (to_the_right(i)[0] + 28, 30), (200, 40, 20))
    film(tmp_path / "a.mp4", [Walker(to_the_right), beside])
    assert tracklets(tmp_path / "a.mp4") == ()


def test_people_at_the_border_are_left_out_until_they_are_whole(tmp_path: Path) -> None:
    walker = Walker(lambda i: (3 * i - 30, 30))
    film(tmp_path / "a.mp4", [walker])
    (tracklet,) = tracklets(tmp_path / "a.mp4")
    assert tracklet.boxes[:, 0].min() >= 6
    assert 12 <= tracklet.first <= 14
    assert tracklet.first + len(tracklet) == FRAMES


def test_shadows_stay_behind(tmp_path: Path) -> None:
    walker = Walker(to_the_right)
    film(tmp_path / "a.mp4", [walker], shadows=True)
    (tracklet,) = tracklets(tmp_path / "a.mp4")
    assert len(tracklet) == FRAMES
    for index, mask in enumerate(masks_of(tracklet)):
        assert iou(mask, walker.mask(index)) >= 0.9


def test_short_and_excluded_tracklets_are_left_out(tmp_path: Path) -> None:
    def seen(first: int, count: int, x: int) -> Walker:
        return Walker(lambda i: (x + i, 30) if first <= i < first + count else None)

    film(tmp_path / "a.mp4", [seen(3, SHORTEST - 1, 20), seen(5, SHORTEST, 120)])
    (tracklet,) = tracklets(tmp_path / "a.mp4")
    assert (tracklet.first, len(tracklet)) == (5, SHORTEST)
    place = (5, int(tracklet.boxes[0, 0]))
    assert tracklets(tmp_path / "a.mp4", excluded=[place]) == ()


def test_someone_who_appears_elsewhere_is_somebody_else(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [Walker(lambda i: (20 + 2 * i if i < 30 else 50 + 2 * i, 30))])
    found = tracklets(tmp_path / "a.mp4")
    assert [(tracklet.first, len(tracklet)) for tracklet in found] == [(0, 30), (30, 30)]


@pytest.mark.parametrize(("height", "width"), [(40, 16), (60, 60), (110, 20)])
def test_what_has_not_the_shape_of_a_person_is_left_out(
    tmp_path: Path, height: int, width: int
) -> None:
    empty = ground()
    pictures = []
    for index in range(30):
        picture = empty.copy()
        x = 10 + 4 * index
        picture[6 : 6 + height, x : x + width] = (30, 60, 200)
        pictures.append(picture)
    write(tmp_path / "a.mp4", pictures)
    assert cut_tracklets(tmp_path / "a.mp4", range(30), empty) == ()
