"""What a camera does to a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.effects import Effects, recoloured

NONE = Effects(gains=(1, 1, 1), gamma=1, blur=0, noise=0, quality=0)
FRAME = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
GREY = np.full((200, 200, 3), 100, np.uint8)


def test_no_effects_change_nothing() -> None:
    np.testing.assert_array_equal(NONE.apply(FRAME, np.random.default_rng(0)), FRAME)


def test_light_is_multiplied_by_channel_and_bent() -> None:
    rng = np.random.default_rng(0)
    dyed = replace(NONE, gains=(2, 1, 0.5)).apply(GREY, rng)
    assert dyed[0, 0].tolist() == [200, 100, 50]
    bent = replace(NONE, gamma=2).apply(GREY, rng)
    assert bent[0, 0].tolist() == [int(255 * (100 / 255) ** 2)] * 3
    bright = replace(NONE, gains=(9, 9, 9)).apply(GREY, rng)
    assert (bright == 255).all()


def test_noise_has_the_deviation_asked_for_and_is_new_in_each_frame() -> None:
    rng = np.random.default_rng(0)
    noisy = replace(NONE, noise=5)
    first, second = noisy.apply(GREY, rng), noisy.apply(GREY, rng)
    assert abs(first.std() - 5) < 0.1
    assert abs(first.mean() - 100) < 1
    assert (first != second).mean() > 0.9


def test_blur_and_compression_take_detail_away_and_keep_the_light() -> None:
    for effects in (replace(NONE, blur=1), replace(NONE, quality=30)):
        blurred = effects.apply(FRAME, np.random.default_rng(0))
        assert blurred.shape == FRAME.shape
        assert blurred.dtype == np.uint8
        assert blurred.std() < 0.9 * FRAME.std()
        np.testing.assert_allclose(blurred.mean((0, 1)), FRAME.mean((0, 1)), atol=4)


def test_drawn_effects_are_those_of_the_random_numbers() -> None:
    drawn = [Effects.draw(np.random.default_rng(seed)) for seed in (1, 1, *range(2, 30))]
    assert drawn[0] == drawn[1]
    assert {effects.quality > 0 for effects in drawn} == {True, False}
    assert {effects.blur > 0 for effects in drawn} == {True, False}


def test_other_colours_are_the_same_wherever_they_were() -> None:
    """A table for each channel, of one of the picture's own channels."""
    dyed = [recoloured(FRAME, np.random.default_rng(seed)) for seed in range(20)]
    swapped = 0
    for picture in dyed:
        sources = [
            [len(np.unique(picture[..., into][FRAME[..., out] == 128])) for out in range(3)]
            for into in range(3)
        ]
        assert [row.count(1) for row in sources] == [1, 1, 1]
        swapped += [row.index(1) for row in sources] != [0, 1, 2]
    assert 0 < swapped < 20
