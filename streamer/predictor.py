"""The edge to the network: windows in, kept instance slots out, on CPU or CUDA."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F

from model import FrameFeatures, VisTR, WindowState
from model.postprocess import FRAME_SCORE_CUT, slot_categories, slot_scores
from model.preprocess import normalise
from streamer.device import device_errors
from streamer.window import Prediction, Window

ENCODE_CHUNK = 6
"""Frames per pass of the backbone: bounds its memory; larger is not faster on a CPU."""


class Predictor(Protocol):
    """Says what is in a window. Windows of an epoch come in order."""

    def predict(self, window: Window) -> Prediction:
        """The slots of `window` that reach the threshold."""
        ...

    def close(self) -> None:
        """Release the features held."""
        ...


class VistrPredictor:
    """Runs VisTR on windows, computing the features of each frame once.

    Args:
        net: The network, on its device and in its dtype already.
        threshold: Score that a slot needs.
        keep: Category ids to keep; None keeps all.
    """

    def __init__(self, net: VisTR, threshold: float, keep: Collection[int] | None = None) -> None:
        self._net = net
        parameter = next(net.parameters())
        self._device, self._dtype = parameter.device, parameter.dtype
        self._threshold = threshold
        classes = len(net.categories)
        self._kept_classes = torch.ones(classes, dtype=torch.bool, device=self._device)
        if keep is not None:
            self._kept_classes[:] = False
            self._kept_classes[list(keep)] = True
        self._features: dict[int, FrameFeatures] = {}

    @torch.inference_mode()
    def predict(self, window: Window) -> Prediction:
        """The slots of `window` whose score and category are wanted, best first.

        Raises:
            DeviceError: The device failed, or ran out of memory.
        """
        frames = len(window.indices)
        with device_errors(self._device, f"on a window of {frames} frames"):
            self._encode(window)
            state = self._net.relate(FrameFeatures.cat([self._features[i] for i in window.indices]))
            return self._keep(state, window.length)

    def close(self) -> None:
        """Forget all features."""
        self._features.clear()

    def _encode(self, window: Window) -> None:
        """Add the new frames' features; drop those of frames that left."""
        real = set(window.real)
        self._features = {i: kept for i, kept in self._features.items() if i in real}
        for start in range(0, len(window.new), ENCODE_CHUNK):
            chunk = window.new[start : start + ENCODE_CHUNK]
            frames = torch.from_numpy(np.stack([frame.inputs for frame in chunk]))
            if self._device.type == "cuda":
                # Pinned, so that the one copy per frame overlaps with what the device still does.
                frames = frames.pin_memory().to(self._device, non_blocking=True)
            encoded = self._net.encode(normalise(frames, self._dtype))
            self._features |= {frame.index: encoded[i] for i, frame in enumerate(chunk)}

    def _keep(self, state: WindowState, length: int) -> Prediction:
        """Select slots, segment only them, and bring all home in one copy."""
        scores, frame_scores, frame_categories = slot_scores(state.logits[:length])
        classes = len(self._kept_classes)
        # Votes for unwanted categories are left out, so that a track never turns into one.
        votes = F.one_hot(frame_categories, classes).float().mean(dim=0) * self._kept_classes
        wanted = self._kept_classes[slot_categories(frame_categories, classes)]
        ranked = torch.where(wanted & (scores >= self._threshold), scores, -1).tolist()
        best_first = sorted(range(len(ranked)), key=lambda slot: -ranked[slot])
        slots = [slot for slot in best_first if ranked[slot] >= 0]
        masks = self._net.segment(state, slots)[:length]
        embeddings = state.embeddings[:length, slots].float().mean(dim=0)
        on_device = (
            scores[slots],
            votes[slots],
            F.normalize(embeddings, dim=1),
            state.boxes[:length, slots],
            frame_scores[:, slots] >= FRAME_SCORE_CUT,
            masks,
        )
        packed = torch.cat([part.float().flatten() for part in on_device]).cpu()
        parts = torch.split(packed, [part.numel() for part in on_device])
        arrays = [p.view(d.shape).numpy() for p, d in zip(parts, on_device, strict=True)]
        return Prediction(
            scores=arrays[0],
            class_votes=arrays[1],
            embeddings=arrays[2],
            boxes=arrays[3],
            presence=arrays[4].astype(np.bool_),
            masks=arrays[5],
        )
