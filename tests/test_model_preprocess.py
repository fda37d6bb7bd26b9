from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import Compose, Normalize, Resize, ToTensor

from model.preprocess import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    network_size,
    normalise,
    resize,
    resize_tensor,
)


def photo(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth shapes and noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = 90 * np.sin(rows / 9)[..., None] * np.cos(columns / 13)[..., None] + 128
    return np.clip(waves + rng.normal(0, 20, (height, width, 3)), 0, 255).astype(np.uint8)


@given(height=st.integers(1, 4000), width=st.integers(1, 4000))
@settings(max_examples=30)
def test_network_size_is_that_of_torchvision(height: int, width: int) -> None:
    shape = torch.empty(1, height, width, device="meta")
    if max(height, width) < 20 * min(height, width):
        resized = Resize(300, antialias=True)(shape)
        assert network_size((height, width), 300) == tuple(resized.shape[1:])


def test_network_size_of_hd() -> None:
    assert network_size((720, 1280), 300) == (300, 533)
    assert network_size((1280, 720), 300) == (533, 300)
    assert network_size((300, 417), 300) == (300, 417)


@pytest.mark.parametrize(("size", "short_side"), [((0, 5), 300), ((5, 5), 0)])
def test_network_size_of_nothing_is_an_error(size: tuple[int, int], short_side: int) -> None:
    with pytest.raises(ValueError, match=f"cannot resize {size[0]}x5 to a short side of"):
        network_size(size, short_side)


@pytest.mark.parametrize(
    ("height", "width"), [(720, 1280), (577, 403), (120, 180), (40, 31), (300, 700), (1, 1), (2, 9)]
)
def test_resize_equals_pil(height: int, width: int) -> None:
    image = photo(height, width)
    size = network_size((height, width), 100)
    resized = resize(image, size)
    pil = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
    assert resized.dtype == np.uint8
    assert resized.flags.c_contiguous
    assert resized.shape == (*size, 3)
    assert np.abs(resized.astype(int) - pil).mean() <= 1


def test_resize_to_its_own_size_copies_nothing() -> None:
    image = photo(30, 40)
    assert resize(image, (30, 40)) is image
    tensor = torch.from_numpy(image)
    assert resize_tensor(tensor, (30, 40)) is tensor


@pytest.mark.parametrize(("height", "width"), [(720, 1280), (577, 403), (40, 31), (1, 1)])
def test_resize_of_a_tensor_differs_by_rounding(height: int, width: int) -> None:
    image = photo(height, width)
    size = network_size((height, width), 100)
    resized = resize_tensor(torch.from_numpy(image), size)
    assert (resized.dtype, resized.shape) == (torch.uint8, (*size, 3))
    assert resized.is_contiguous()
    differences = resized.numpy().astype(int) - resize(image, size)
    assert np.abs(differences).max() <= 1
    assert abs(differences.mean()) < 0.1  # neither darker nor brighter


def test_resize_of_a_tensor_of_another_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"image is torch.float32 \(3, 4, 3\), expected uint8"):
        resize_tensor(torch.zeros(3, 4, 3), (2, 2))


def test_resize_takes_views_and_read_only_images() -> None:
    image = photo(60, 80)
    expected = resize(np.ascontiguousarray(image[5:50, ::-1]), (30, 40))
    image.flags.writeable = False
    assert np.array_equal(resize(image[5:50, ::-1], (30, 40)), expected)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))]
)
def test_resize_names_what_it_cannot_take(image: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \[H, W, 3\]"):
        resize(image, (2, 2))


def test_the_whole_preprocessing_equals_the_published_one() -> None:
    image = photo(240, 428)
    published = Compose([Resize(100), ToTensor(), Normalize(IMAGENET_MEAN, IMAGENET_STD)])
    expected = published(Image.fromarray(image))
    resized = resize(image, network_size((240, 428), 100))
    found = normalise(torch.from_numpy(resized)[None], torch.float32)[0]
    assert found.shape == expected.shape
    assert (found - expected).abs().mean() < 1 / 255 / min(IMAGENET_STD)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_normalise_keeps_the_values_in_any_precision(dtype: torch.dtype) -> None:
    frames = torch.from_numpy(photo(6, 5)).expand(2, -1, -1, -1)
    found = normalise(frames, dtype)
    assert found.dtype == dtype
    assert found.shape == (2, 3, 6, 5)
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    expected = ((frames / 255 - mean) / std).permute(0, 3, 1, 2)
    torch.testing.assert_close(found, expected.to(dtype))


@pytest.mark.parametrize(
    "frames",
    [torch.zeros(2, 4, 4, 3), torch.zeros(4, 4, 3, dtype=torch.uint8)],
)
def test_normalise_names_what_it_cannot_take(frames: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected torch.uint8 \[n, h, w, 3\]"):
        normalise(frames, torch.float32)
