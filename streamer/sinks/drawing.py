"""Drawing instances: over their frame, or in flat colours on black.

Only the crops of the masks are touched, never a mask of the whole frame. Where masks overlap,
later instances lie on top, as in `FrameResult.labels`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.mask import Mask
from streamer.output import FrameResult, Instance
from streamer.sinks.output_spec import PictureStyle

Image = NDArray[np.uint8]
Rgb = tuple[int, int, int]

WHITE: Rgb = (255, 255, 255)
BLACK: Rgb = (0, 0, 0)

_OPACITY = 0.45
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# 256 fully saturated hues. OpenCV's colour maps are BGR.
_HUES: Image = np.ascontiguousarray(
    cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_HSV)[:, 0, ::-1],
    dtype=np.uint8,
)
_GOLDEN_RATIO_CONJUGATE = (5**0.5 - 1) / 2


def colour_of(number: int) -> Rgb:
    """A bright colour for an id: always the same, and far from those of the ids next to it.

    Hues follow the golden-ratio sequence over OpenCV's HSV colour map, so any few consecutive ids
    are spread around the colour wheel. There are 256 hues: ids far apart may share one.

    Args:
        number: A track id or a category id.

    Returns:
        Red, green and blue, 0 to 255.
    """
    red, green, blue = _HUES[int(number * _GOLDEN_RATIO_CONJUGATE % 1.0 * 256)].tolist()
    return red, green, blue


def render(result: FrameResult, style: PictureStyle, shown_at: float = 1.0) -> Image:
    """A finished frame as a picture in one of the styles.

    Args:
        result: The frame.
        style: How to show it.
        shown_at: The scale that the picture will be shown at, up to 1: the smaller, the larger the
            letters.

    Returns:
        uint8 [H, W, 3], RGB, at the frame's own size (twice its width with ``side_by_side``);
        never to be written to, as with ``frame`` it is the frame's own array.
    """
    colours: dict[str, Callable[[Instance], Rgb]] = {
        "instances": lambda instance: colour_of(instance.track_id),
        "classes": lambda instance: colour_of(instance.category_id),
        "binary": lambda _: WHITE,
    }
    if style in colours:  # without the image, which may have to be fetched
        return draw_flat(result.frame.epoch.size, result.instances, colours[style])
    image = result.frame.image
    if style == "overlay":
        return draw_overlay(image, result.instances, shown_at)
    if style == "side_by_side":
        return np.hstack([image, draw_overlay(image, result.instances, shown_at)])
    return image


def draw_flat(
    size: tuple[int, int], instances: Sequence[Instance], colour: Callable[[Instance], Rgb]
) -> Image:
    """Instances in plain colours on black.

    Args:
        size: (height, width) of the picture.
        instances: What to draw; later ones lie on top.
        colour: Gives an instance's colour.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    canvas: Image = np.zeros((*size, 3), dtype=np.uint8)
    for instance in instances:
        view = _under(canvas, instance.segment)
        cv2.copyTo(np.full_like(view, colour(instance)), _as_uint8(instance.segment), view)
    return canvas


def draw_overlay(image: Image, instances: Sequence[Instance], shown_at: float = 1.0) -> Image:
    """Instances over their frame: a tint, a thin contour and a label ``#id category score`` each.

    Args:
        image: uint8 [H, W, 3], RGB; not changed.
        instances: What to draw, best first: the best get the best places for their labels.
        shown_at: See `render`.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    canvas = image.copy()
    for instance in instances:
        _tint(canvas, instance.segment, colour_of(instance.track_id))
    thickness = max(1, round(min(canvas.shape[:2]) / 540), round(1 / shown_at))
    for instance in instances:
        segment = instance.segment
        contours, _ = cv2.findContours(
            _as_uint8(segment), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=segment.bbox_xywh[:2]
        )
        cv2.drawContours(canvas, contours, -1, colour_of(instance.track_id), thickness)
    taken: list[tuple[int, int, int, int]] = []
    for instance in instances:
        _draw_label(canvas, instance, taken, shown_at)
    return canvas


def _under(canvas: Image, segment: Mask) -> Image:
    """The part of the canvas that a mask's crop covers, as a view."""
    left, top, width, height = segment.bbox_xywh
    return canvas[top : top + height, left : left + width]


def _as_uint8(segment: Mask) -> Image:
    """The crop as OpenCV wants masks: uint8 [h, w], rows contiguous."""
    return np.ascontiguousarray(segment.crop).view(np.uint8)


def _tint(canvas: Image, segment: Mask, colour: Rgb) -> None:
    """Blend a colour into the mask's pixels."""
    # One table per channel is five times faster than arithmetic on the pixels.
    levels = np.arange(256)[:, None] * (1 - _OPACITY) + np.array(colour) * _OPACITY
    view = _under(canvas, segment)
    cv2.copyTo(cv2.LUT(view, levels.astype(np.uint8)[None]), _as_uint8(segment), view)


def _draw_label(
    canvas: Image, instance: Instance, taken: list[tuple[int, int, int, int]], shown_at: float
) -> None:
    """Write an instance's label near its box, inside the frame, beside those that are there.

    Args:
        canvas: uint8 [H, W, 3], RGB; drawn on.
        instance: Whose label.
        taken: left, top, width, height of the labels already drawn; this one is added.
        shown_at: See `render`.
    """
    height, width = canvas.shape[:2]
    least_px = round(11 / shown_at)  # smaller letters cannot be read
    letter_px = max(least_px, round(min(height, width) * 0.02))
    thickness = max(1, round(letter_px / 12))
    scale = cv2.getFontScaleFromHeight(_FONT, letter_px, thickness)
    pad = letter_px // 4
    name = f"#{instance.track_id}"
    # On a small frame, a short label is better than one that covers it or is cut off.
    texts = {f"{name} {instance.category} {instance.score:.2f}": width // 4, name: width}
    for text, room in texts.items():
        (text_width, text_height), baseline = cv2.getTextSize(text, _FONT, scale, thickness)
        label = (text_width + 2 * pad, text_height + baseline + pad)
        if label[0] <= room and label[1] <= height:
            break
    else:
        return
    left, top = _place(label, instance.bbox_xywh, (height, width), taken)
    taken.append((left, top, *label))
    colour = colour_of(instance.track_id)
    cv2.rectangle(canvas, (left, top, *label), colour, cv2.FILLED)
    # Rec. 601 luma decides which text stands out; from where on was chosen by eye.
    luma = float(np.dot(colour, (0.299, 0.587, 0.114)))
    origin = (left + pad, top + text_height + pad // 2)
    ink = BLACK if luma > 110 else WHITE
    cv2.putText(canvas, text, origin, _FONT, scale, ink, thickness, cv2.LINE_AA)


def _place(
    label: tuple[int, int],
    box_xywh: tuple[int, int, int, int],
    size: tuple[int, int],
    taken: Sequence[tuple[int, int, int, int]],
) -> tuple[int, int]:
    """Where a label goes: above its box, below, beside or in it, where it hides other labels least.

    Args:
        label: Its (width, height); fits the frame.
        box_xywh: The box that it belongs to.
        size: (height, width) of the frame.
        taken: Labels placed before, xywh.

    Returns:
        left, top.
    """
    width, height = label
    left, top, box_width, box_height = box_xywh
    right, bottom = left + box_width, top + box_height
    wanted = [
        *((x, y) for y in (top - height, bottom) for x in (left, right - width)),
        *((x, y) for y in (top, bottom - height) for x in (right, left - width)),
        (left, top),
    ]
    places = [
        (min(max(0, x), size[1] - width), min(max(0, y), size[0] - height)) for x, y in wanted
    ]
    # The first of equals.
    return min(places, key=lambda place: sum(_shared((*place, *label), other) for other in taken))


def _shared(a_xywh: tuple[int, int, int, int], b_xywh: tuple[int, int, int, int]) -> int:
    """Pixels that two boxes share."""
    sides = (
        min(a_xywh[axis] + a_xywh[axis + 2], b_xywh[axis] + b_xywh[axis + 2])
        - max(a_xywh[axis], b_xywh[axis])
        for axis in (0, 1)
    )
    width, height = (max(0, side) for side in sides)
    return width * height
