"""What decodes a container's video: NVDEC, a GPU's decoder, or the CPU."""

from __future__ import annotations

import logging
from typing import Literal

import av
import torch
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.codeccontext import VideoCodecContext

from streamer.errors import DeviceError

log = logging.getLogger(__name__)


class DecoderChoice:
    """Chooses the decoder whenever a container is opened, and says which it became.

    FFmpeg decodes on the CPU what NVDEC refuses, even in the middle of a video, so that every frame
    has to be looked at.

    Args:
        name: Of the source, for messages.
        wanted: ``source.hwaccel``.
        device: The network's; NVDEC comes into question only where that is CUDA.
    """

    def __init__(
        self, name: str, wanted: Literal["auto", "none", "cuda"], device: torch.device
    ) -> None:
        self._name = name
        is_nvidia = device.type == "cuda" and torch.version.hip is None
        self._in_question = wanted != "none" and is_nvidia
        self._must = wanted == "cuda"
        self._device = device
        self._obstacle: str | None = None
        self._was_on_device: bool | None = None

    def hwaccel(self) -> HWAccel | None:
        """What to open the container with, on the thread that opens it; None for the CPU.

        Raises:
            DeviceError: NVDEC must decode, and is not to be had.
        """
        if not self._in_question:
            return None
        try:
            hwaccel = cuda_hwaccel(self._device)
        except (av.FFmpegError, RuntimeError, ValueError) as error:
            self._obstacle = f"FFmpeg cannot use the GPU ({str(error).splitlines()[0]})"
            self._refuse(self._obstacle)
            return None
        self._obstacle = None
        return hwaccel

    def check(self, on_device: bool, codec: VideoCodecContext) -> None:
        """Look at the way that a frame came.

        Args:
            on_device: Whether it lies on the device, decoded there.
            codec: What decoded it.

        Raises:
            DeviceError: NVDEC must decode, and did not.
        """
        if not self._in_question or on_device == self._was_on_device:
            return
        if on_device:
            self._was_on_device = True
            log.info("%s: decoded by NVDEC", self._name)
            return
        video = f"{codec.name} of {codec.width}x{codec.height}"
        reason = self._obstacle or (
            f"it does not take this video ({video}), or the driver's libnvcuvid is missing"
            if codec.is_hwaccel
            else f"FFmpeg has no way to it for {codec.name}"
        )
        self._refuse(reason)
        self._was_on_device = False
        log.info("%s: decoded on the CPU, not by NVDEC: %s", self._name, reason)

    def _refuse(self, reason: str) -> None:
        if self._must:
            # No SourceError: opening the source again would not help.
            raise DeviceError(
                f"{self._name}: source.hwaccel is 'cuda', but NVDEC cannot decode: {reason}; "
                "allowed: auto, none"
            )


def cuda_hwaccel(device: torch.device) -> HWAccel:
    """FFmpeg's CUDA device in PyTorch's CUDA context, whose memory both then share.

    Raises:
        av.FFmpegError: There is no driver, or the device cannot be opened.
        RuntimeError: PyTorch cannot use the device, or FFmpeg was built without CUDA.
        ValueError: FFmpeg was built without any decoder that NVDEC helps.
    """
    if "cuda" not in hwdevices_available():
        raise RuntimeError("it was built without CUDA")
    # Any work makes PyTorch's context current on this thread, and FFmpeg takes that. It is the
    # device's primary one, but asked for that, FFmpeg refuses it: it wants it with other flags.
    torch.zeros(1, device=device)
    hwaccel = HWAccel(
        "cuda",
        allow_software_fallback=True,
        options={"primary_ctx": "0", "current_ctx": "1"},
        is_hw_owned=True,
    )
    hwaccel.create(av.Codec("h264", "r"))  # now, where an error cannot be one of the source
    return hwaccel
