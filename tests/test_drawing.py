"""Masks onto images."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from fractions import Fraction
from typing import get_args

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.frame import Epoch, Frame, Region
from streamer.mask import CroppedMask
from streamer.output import FrameResult, Instance
from streamer.sinks import drawing
from streamer.sinks.drawing import BLACK, WHITE, colour_of, draw_flat, draw_overlay, render
from streamer.sinks.output_spec import PictureStyle

SIZE = (120, 200)


def ellipse(
    center: tuple[int, int], axes: tuple[int, int], size: tuple[int, int] = SIZE
) -> CroppedMask:
    mask = cv2.ellipse(np.zeros(size, np.uint8), center, axes, 0, 0, 360, 1, cv2.FILLED)
    segment = CroppedMask.from_array(np.asarray(mask, dtype=bool))
    assert segment is not None
    return segment


def instance(track_id: int, segment: CroppedMask, category_id: int = 26) -> Instance:
    return Instance(track_id, category_id, "person", 0.875, segment)


def result(image: NDArray[np.uint8], *instances: Instance) -> FrameResult:
    size = (image.shape[0], image.shape[1])
    epoch = Epoch(0, "start", size, Region(0, 0, *size))
    inputs = np.zeros((4, 4, 3), dtype=np.uint8)
    return FrameResult(Frame(0, epoch, 0, Fraction(1, 10), 0.0, image, inputs, 0), instances)


def gray(size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    return np.full((*size, 3), 100, dtype=np.uint8)


def hue(number: int) -> float:
    red, green, blue = colour_of(number)
    return colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)[0]


def test_colours_are_vivid_and_far_apart_for_neighbouring_ids() -> None:
    for first in (0, 1, 50, 10**9):
        hues = sorted(hue(number) for number in range(first, first + 8))
        gaps = np.diff([*hues, hues[0] + 1])
        assert gaps.min() > 0.05, first
        assert all(max(colour_of(first + n)) == 255 for n in range(8))


def test_colours_stay_the_same() -> None:
    assert colour_of(7) == colour_of(7)
    assert colour_of(7) != colour_of(8)


@pytest.mark.parametrize("style", ["instances", "classes", "binary"])
def test_flat_styles_colour_exactly_the_masks(style: str) -> None:
    first = instance(1, ellipse((50, 60), (20, 30)), category_id=5)
    second = instance(2, ellipse((150, 60), (20, 30)), category_id=6)
    picture = render(result(gray(), first, second), style)
    colours = {
        "instances": (colour_of(1), colour_of(2)),
        "classes": (colour_of(5), colour_of(6)),
        "binary": (WHITE, WHITE),
    }[style]
    assert np.all(picture[first.mask()] == colours[0])
    assert np.all(picture[second.mask()] == colours[1])
    assert np.all(picture[~(first.mask() | second.mask())] == BLACK)


def test_later_instances_lie_on_top_like_in_the_label_map() -> None:
    below, above = instance(1, ellipse((90, 60), (30, 30))), instance(2, ellipse((110, 60), (9, 9)))
    outcome = result(gray(), below, above)
    picture = draw_flat(SIZE, outcome.instances, lambda one: colour_of(one.track_id))
    for position, one in enumerate(outcome.instances, start=1):
        assert np.all(picture[outcome.labels() == position] == colour_of(one.track_id))


def test_overlay_tints_the_mask_and_leaves_the_rest_and_the_frame_alone() -> None:
    image = gray()
    one = instance(1, ellipse((150, 80), (30, 20)))
    picture = render(result(image, one), "overlay")
    assert np.all(image == 100)
    inside = picture[80, 150].astype(int)
    tinted = 100 * 0.55 + np.array(colour_of(1)) * 0.45
    assert np.abs(inside - tinted).max() <= 1
    changed = (picture != image).any(axis=2)
    assert changed[one.mask()].all()
    assert not changed[101:].any(), "below the mask there is nothing"
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    edge = one.mask() & (cv2.erode(one.mask().view(np.uint8), cross) == 0)
    outlined = np.all(picture == colour_of(1), axis=2)
    assert outlined[edge].mean() > 0.8  # the label hides some of it at most


def test_holes_are_outlined_not_filled() -> None:
    mask = ellipse((150, 80), (30, 30)).array()
    mask[70:90, 140:160] = False
    segment = CroppedMask.from_array(mask)
    assert segment is not None
    picture = draw_overlay(gray(), [instance(1, segment)])
    assert np.all(picture[80, 150] == 100)
    assert np.all(picture[80, 139] == colour_of(1))


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (20, 30), (72, 96), (240, 427), (1080, 1920)])
@pytest.mark.parametrize("where", ["top left", "bottom right", "all of it"])
def test_overlay_at_any_size_and_border(size: tuple[int, int], where: str) -> None:
    height, width = size
    mask = np.zeros(size, dtype=bool)
    rows = {"top left": slice(0, 1), "bottom right": slice(height - 1, None)}
    columns = {"top left": slice(0, 1), "bottom right": slice(width - 1, None)}
    mask[rows.get(where, slice(None)), columns.get(where, slice(None))] = True
    segment = CroppedMask.from_array(mask)
    assert segment is not None
    picture = draw_overlay(gray(size), [instance(123, segment)])
    assert picture.shape == (*size, 3)
    assert (picture != 100).any(axis=2)[mask].all()


def labels(
    size: tuple[int, int], *instances: Instance, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[int, int, int, int]]:
    """left, top, width, height of each label: what is in its colour only when labels are drawn."""
    with_labels = draw_overlay(gray(size), instances)
    with monkeypatch.context() as patch:
        patch.setattr(drawing, "_draw_label", lambda *_: None)
        differs = (with_labels != draw_overlay(gray(size), instances)).any(axis=2)
    own = [np.all(with_labels == colour_of(one.track_id), axis=2) & differs for one in instances]
    return [tuple(cv2.boundingRect(pixels.astype(np.uint8))) for pixels in own]


def test_the_label_sits_above_the_box(monkeypatch: pytest.MonkeyPatch) -> None:
    one = instance(4, ellipse((200, 150), (30, 40), (240, 800)))
    [(left, top, width, height)] = labels((240, 800), one, monkeypatch=monkeypatch)
    assert left == one.bbox_xywh[0]
    assert top + height in range(one.bbox_xywh[1], one.bbox_xywh[1] + 2)
    assert width > 80, "#4 person 0.88"


def test_a_label_stays_inside_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    one = instance(4, ellipse((799, 0), (30, 40), (240, 800)))
    [(left, top, width, height)] = labels((240, 800), one, monkeypatch=monkeypatch)
    assert top == 0
    assert left + width in (799, 800)  # the outline of the mask may be its last column
    assert width > 80
    assert height > 10


def test_a_small_frame_gets_a_short_label(monkeypatch: pytest.MonkeyPatch) -> None:
    one = instance(4, ellipse((60, 50), (20, 15), (72, 96)))
    [(_, _, width, height)] = labels((72, 96), one, monkeypatch=monkeypatch)
    assert 10 <= width <= 40
    assert height >= 10


def test_labels_do_not_hide_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    # Three of the same box: above it, below it and beside it.
    stack = [instance(number, ellipse((200, 120), (40, 50), (240, 800))) for number in (1, 2, 3)]
    places = [label[:2] for label in labels((240, 800), *stack, monkeypatch=monkeypatch)]
    left, top, width, height = stack[0].bbox_xywh
    assert places[0][1] < top
    assert places[1] == (left, top + height)
    assert places[2] == (left + width, top)


def test_labels_of_a_crowd_hide_each_other_no_more_than_they_must(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As people who stand one behind another: the boxes' corners are next to each other.
    crowd = [
        instance(number, ellipse((300 + 4 * number, 250 + 3 * number), (20, 60), (480, 640)))
        for number in range(1, 7)
    ]
    boxes = labels((480, 640), *crowd, monkeypatch=monkeypatch)
    assert len({(left, top) for left, top, *_ in boxes}) == len(crowd)
    areas = [width * height for *_, width, height in boxes]
    assert min(areas) > 0.9 * max(areas)  # of what is to be seen of each: none lies on another


def test_letters_are_larger_where_the_picture_will_be_shown_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = result(gray((480, 1280)), instance(1, ellipse((250, 250), (50, 50), (480, 1280))))
    small, large = (render(one, "overlay", shown_at) for shown_at in (1.0, 0.5))
    changed = [(picture == colour_of(1)).all(axis=2).sum() for picture in (small, large)]
    assert changed[1] > 2 * changed[0]


def test_a_crowd_is_drawn_even_where_no_label_has_room() -> None:
    crowd = [instance(number, ellipse((30, 20), (10, 10), (40, 60))) for number in range(1, 9)]
    picture = draw_overlay(gray((40, 60)), crowd)
    assert (picture != 100).any(axis=2)[crowd[0].mask()].all()


def test_text_stands_out_from_its_background(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 12):
        one = instance(number, ellipse((200, 150), (30, 40), (240, 400)))
        [(left, top, width, height)] = labels((240, 400), one, monkeypatch=monkeypatch)
        picture = draw_overlay(gray((240, 400)), [one])
        label = cv2.cvtColor(picture[top : top + height, left : left + width], cv2.COLOR_RGB2GRAY)
        assert int(label.max()) - int(label.min()) > 90, number


def test_masks_that_are_not_contiguous() -> None:
    crop = np.asfortranarray(np.ones((10, 20), dtype=bool))
    one = instance(1, CroppedMask(SIZE, 30, 40, crop))
    assert np.all(draw_flat(SIZE, [one], lambda _: WHITE)[30:40, 40:60] == WHITE)


def test_only_what_shows_the_image_asks_for_it() -> None:
    asked = []

    class Held:
        shape = (*SIZE, 3)

        def rgb(self) -> NDArray[np.uint8]:
            asked.append(style)
            return np.zeros(self.shape, np.uint8)

    plain = result(np.zeros((*SIZE, 3), np.uint8), instance(1, ellipse((60, 60), (30, 20))))
    held = replace(plain, frame=replace(plain.frame, pixels=Held()))
    for style in get_args(PictureStyle):
        assert np.array_equal(render(held, style), render(plain, style))
    assert asked == ["overlay", "side_by_side", "frame"]
