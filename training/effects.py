"""What a camera does to a picture: light, blur, noise, compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Effects:
    """The same for all frames of a clip.

    Attributes:
        gains: Factors of red, green and blue.
        gamma: Exponent of the light.
        blur: Standard deviation in pixels; 0 is none.
        noise: Standard deviation in steps of 1/255.
        quality: Of a JPEG, 1 to 100; 0 leaves the frames uncompressed.
    """

    gains: tuple[float, float, float]
    gamma: float
    blur: float
    noise: float
    quality: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Effects:
        """Effects as different cameras have them."""
        red, green, blue = np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.06, 3)).tolist()
        return cls(
            gains=(red, green, blue),
            gamma=float(np.exp(rng.normal(0, 0.15))),
            blur=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.3 else 0.0,
            noise=float(rng.uniform(0, 6)),
            quality=int(rng.integers(30, 95)) if rng.random() < 0.5 else 0,
        )

    def apply(self, frame: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """A frame, uint8 [H, W, 3], as the camera gives it."""
        levels = (np.arange(256) / 255) ** self.gamma
        table = np.clip(levels[:, None] * self.gains * 255, 0, 255).astype(np.uint8)
        frame = cv2.LUT(frame, table[None]).astype(np.uint8, copy=False)
        if self.blur:
            frame = cast("NDArray[np.uint8]", cv2.GaussianBlur(frame, (0, 0), self.blur))
        if self.noise >= 1:
            noise = rng.integers(-128, 128, frame.shape, np.int8)
            # Uniform noise of that deviation: drawn ten times as fast as a normal one.
            scaled = noise * np.float32(self.noise * 12**0.5 / 256)
            frame = np.clip(frame + scaled, 0, 255).astype(np.uint8)
        if self.quality:
            _, packed = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
            frame = cast("NDArray[np.uint8]", cv2.imdecode(packed, cv2.IMREAD_COLOR))
        return frame


def recoloured(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture, uint8 [H, W, 3], in other colours, the same ones wherever it had the same."""
    order = rng.permutation(3) if rng.random() < 0.5 else np.arange(3)
    levels = (np.arange(256)[:, None] / 255) ** np.exp(rng.normal(0, 0.4, 3))
    table = levels * np.exp(rng.normal(0, 0.2, 3)) * 255
    shuffled = np.ascontiguousarray(picture[..., order])
    return cv2.LUT(shuffled, table.clip(0, 255).astype(np.uint8)[None]).astype(np.uint8, copy=False)
