"""Other looks for pictures of objects: what changes, and what stays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.disguise import SIDE, disguised


def picture(side: int = 120) -> np.ndarray:
    """RGBA: an orange disc with a white spot, on nothing."""
    y, x = np.ogrid[:side, :side]
    alpha = ((x - side / 2) ** 2 + (y - side / 2) ** 2 < (0.4 * side) ** 2) * np.uint8(255)
    colours = np.zeros((side, side, 3), np.uint8)
    colours[alpha > 0] = (240, 140, 20)
    colours[side // 2 :, : side // 2][alpha[side // 2 :, : side // 2] > 0] = 250
    return np.dstack((colours, alpha))


@pytest.fixture(scope="module")
def looks() -> list[np.ndarray]:
    return [disguised(picture(), np.random.default_rng(seed)) for seed in range(60)]


def test_the_same_numbers_give_the_same_looks() -> None:
    one, same, other = (disguised(picture(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert one.shape != other.shape or (one != other).any()


def test_colours_go_all_round_and_to_grey(looks: list[np.ndarray]) -> None:
    hues, saturations = [], []
    for look in looks:
        solid = np.ascontiguousarray(look[look[..., 3] == 255][None, :, :3])
        hsv = cv2.cvtColor(solid, cv2.COLOR_RGB2HSV_FULL)[0]
        strongest = hsv[hsv[:, 1].argmax()]
        hues.append(int(strongest[0]) if strongest[1] > 30 else -1)
        saturations.append(int(strongest[1]))
    found, _ = np.histogram([hue for hue in hues if hue >= 0], bins=4, range=(0, 256))
    assert (found > 0).all()
    assert min(saturations) < 60
    assert max(saturations) > 200


def test_the_build_stays_and_proportions_change(looks: list[np.ndarray]) -> None:
    """One piece of about the same share of its picture, wider or narrower."""
    share = (picture()[..., 3] > 127).mean()
    widths = [look.shape[1] for look in looks]
    assert min(widths) < 100
    assert max(widths) > 145
    for look in looks:
        solid = (look[..., 3] > 127).astype(np.uint8)
        pieces, _, stats, _ = cv2.connectedComponentsWithStats(solid)
        assert stats[1:, cv2.CC_STAT_AREA].max() > 0.98 * solid.sum(), pieces
        assert abs(solid.mean() - share) < 0.15


def test_colours_stay_weighted_by_opacity(looks: list[np.ndarray]) -> None:
    for look in looks:
        # Both were interpolated, and rounded.
        assert (look[..., :3].astype(int) <= look[..., 3:].astype(int) + 1).all()


def test_large_pictures_become_smaller_and_small_ones_stay() -> None:
    assert disguised(picture(400), np.random.default_rng(0)).shape[0] == SIDE
    assert disguised(picture(50), np.random.default_rng(0)).shape[0] == 50
