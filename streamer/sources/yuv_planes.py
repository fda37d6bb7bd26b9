"""A picture in a decoder's own form on a device, and as RGB."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from av import VideoFrame
from av.video.reformatter import Colorspace
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from streamer.sources.picture import ColourCoding, Orientation

_WEIGHTS = {
    Colorspace.ITU709: (0.2126, 0.0722),
    Colorspace.FCC: (0.30, 0.11),
    Colorspace.ITU601: (0.299, 0.114),
    Colorspace.SMPTE240M: (0.212, 0.087),
    Colorspace.BT2020: (0.2627, 0.0593),
}
"""Kr and Kb, the shares of red and blue in luma.

Source: ITU-T H.273, table 4: ITU-R BT.709, FCC title 47, ITU-R BT.601, SMPTE ST 240, ITU-R BT.2020.
"""


@dataclass(frozen=True, slots=True, eq=False)
class YuvPlanes:
    """A picture of 4:2:0 samples, stored in half the memory of RGB.

    Attributes:
        luma: uint8 [h, w], or uint16 with the value in the high bits.
        chroma: The same type, Cb and Cr, [h / 2, w / 2, 2]; PyAV rounds odd sizes down.
        colours: What they mean.
        orientation: How the picture is shown.
    """

    luma: Tensor
    chroma: Tensor
    colours: ColourCoding
    orientation: Orientation

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), upright."""
        return self.orientation.size(*self.luma.shape)

    def rgb(self) -> Tensor:
        """uint8 [H, W, 3], full range, upright, contiguous, on the picture's device.

        It waits for nothing on the device. Four pixels share their chroma, and fractions are cut
        off, because swscale does so: both ways of decoding shall look the same to the network.

        Source: ITU-T H.273, equations 38 to 40 (ranges) and 43 to 45 (matrix).
        """
        unit = 256 if self.luma.dtype == torch.uint16 else 1
        black, luma_range, chroma_range = (0, 255, 255) if self.colours.is_full else (16, 219, 224)
        red_share, blue_share = _WEIGHTS[self.colours.matrix]
        luma = (self.luma.float() - black * unit) * (255 / (luma_range * unit))
        chroma = (self.chroma.float() - 128 * unit) * (255 / (chroma_range * unit))
        # Plain numbers, not tensors of them, which would be copied to the device and waited for.
        blue = chroma[..., 0] * (2 * (1 - blue_share))
        red = chroma[..., 1] * (2 * (1 - red_share))
        green = (red * red_share + blue * blue_share) / (red_share + blue_share - 1)
        rgb = _doubled(torch.stack((red, green, blue), dim=-1), *luma.shape)
        rgb += luma[..., None]
        return self._upright(rgb.clamp_(0, 255).to(torch.uint8))

    def _upright(self, image: Tensor) -> Tensor:
        orientation = self.orientation
        if orientation.is_transposed:
            image = image.transpose(0, 1)
        flips = (orientation.flips_rows, orientation.flips_columns)
        return image.flip([axis for axis, flip in enumerate(flips) if flip]).contiguous()


def _doubled(samples: Tensor, height: int, width: int) -> Tensor:
    """Repeat samples [h, w, c] in both directions, [height, width, c]."""
    rows, columns = (
        (torch.arange(length, device=samples.device) // 2).clamp_(max=stored - 1)
        for length, stored in ((height, samples.shape[0]), (width, samples.shape[1]))
    )
    return samples[rows[:, None], columns]


def copy_planes(frame: VideoFrame) -> YuvPlanes | None:
    """A decoded picture of its own memory, where the frame's is: the decoder has little of it.

    On a device the copy is made in the order of the calling thread's stream, and not waited for.

    Args:
        frame: With NV12, P010 or P016 planes, on the CPU or on CUDA's default stream.

    Returns:
        None if its planes are of another kind.
    """
    try:
        # PyTorch would ask for a stream to wait on, which PyAV cannot: all share the default one.
        views = [from_dlpack(plane.__dlpack__()) for plane in frame.planes]
    except NotImplementedError:
        return None
    if len(views) != 2 or views[1].shape != (frame.height // 2, frame.width // 2, 2):
        return None
    luma, chroma = (view.clone(memory_format=torch.contiguous_format) for view in views)
    return YuvPlanes(luma, chroma, ColourCoding.of(frame), Orientation.of(frame))
