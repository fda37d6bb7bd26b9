"""The edge to the network: windows in, kept instance slots out, on CPU or CUDA."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model import FrameFeatures, VisTR, WindowState
from model.cuda_graphs import GraphedVisTR
from model.postprocess import FRAME_SCORE_CUT, slot_categories, slot_scores
from streamer.colours import mask_colours
from streamer.device import SMALLER_INPUT, default_stream, device_errors
from streamer.encoding import EncodedFrame, encode_frames, frames_per_pass
from streamer.errors import DeviceError
from streamer.frame import Frame
from streamer.window import Prediction, Window

CERTAIN_LOGIT = 10.0
"""Logit of a pixel that is surely inside: its probability differs from 1 by less than 1e-4."""


def box_logits(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Mask logits of rectangles: certain inside, certain outside.

    Args:
        boxes: [..., 4], cxcywh in [0, 1].
        size: (height, width) of the masks.

    Returns:
        float32 [..., height, width].
    """
    height, width = size
    x, y, box_width, box_height = boxes.float()[..., None].unbind(-2)  # [..., 1] each
    rows = (torch.arange(height, device=boxes.device) + 0.5) / height
    columns = (torch.arange(width, device=boxes.device) + 0.5) / width
    # A box that is thinner than a pixel has one, too.
    inside_rows = (rows - y).abs() <= (box_height / 2).clamp(min=0.5 / height)
    inside_columns = (columns - x).abs() <= (box_width / 2).clamp(min=0.5 / width)
    inside = inside_rows[..., :, None] & inside_columns[..., None, :]
    return torch.where(inside, CERTAIN_LOGIT, -CERTAIN_LOGIT)


def is_sound(numbers: Tensor) -> Tensor:
    """Whether all are finite: in one pass, by their sum, in which nothing else overflows."""
    exact = torch.promote_types(numbers.dtype, torch.float32)
    return numbers.sum(dtype=exact).isfinite()


def check_sound(sound: bool, dtype: torch.dtype) -> None:
    """Raise a `DeviceError` unless the network's answers, in its dtype, are sound."""
    if not sound:
        raise DeviceError(
            f"the network answers with NaN or infinity in {dtype}; in another --precision, such "
            "as fp32, it may not"
        )


class Predictor(Protocol):
    """Says what is in a window. Windows of an epoch come in order."""

    def prepare(self, waiting: Sequence[Frame]) -> None:
        """Begin with frames that the next window will hold, oldest first; all so far, each time."""
        ...

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
        masks: Whether to segment; otherwise masks are the boxes' pixels.
        graphs: Whether to replay CUDA graphs, where the device is CUDA.
    """

    def __init__(
        self,
        net: VisTR,
        threshold: float,
        keep: Collection[int] | None = None,
        *,
        masks: bool = True,
        graphs: bool = False,
    ) -> None:
        self._device = next(net.parameters()).device
        self._net = GraphedVisTR(net) if graphs and self._device.type == "cuda" else net
        self._masks = masks
        self._threshold = threshold
        classes = len(net.categories)
        self._kept_classes = torch.ones(classes, dtype=torch.bool, device=self._device)
        if keep is not None:
            self._kept_classes[:] = False
            self._kept_classes[list(keep)] = True
        self._encoded: dict[int, EncodedFrame] = {}

    @torch.inference_mode()
    def prepare(self, waiting: Sequence[Frame]) -> None:
        """Compute the features of what waits, as soon as there are frames for whole passes.

        Raises:
            DeviceError: The device failed, or ran out of memory.
        """
        new = [frame for frame in waiting if frame.index not in self._encoded]
        least = frames_per_pass(self._net)
        new = new[: len(new) // least * least]
        if new:
            doing = f"on {len(new)} frames"
            with default_stream(self._device), device_errors(self._device, doing, SMALLER_INPUT):
                self._encode(new)

    @torch.inference_mode()
    def predict(self, window: Window) -> Prediction:
        """The slots of `window` whose score and category are wanted, best first.

        Raises:
            DeviceError: The device failed, or ran out of memory, or the answers are no numbers.
        """
        doing = f"on a window of {len(window.indices)} frames"
        with default_stream(self._device), device_errors(self._device, doing, SMALLER_INPUT):
            # Frames that left are forgotten.
            held = self._encoded.keys() & set(window.real)
            self._encoded = {index: self._encoded[index] for index in held}
            self._encode([frame for frame in window.new if frame.index not in held])
            features = [self._encoded[index].features for index in window.indices]
            colours = torch.cat([self._encoded[index].colours for index in window.real])
            return self._keep(self._net.relate(FrameFeatures.cat(features)), colours)

    def close(self) -> None:
        """Forget all frames."""
        self._encoded.clear()

    def _encode(self, frames: Sequence[Frame]) -> None:
        encoded = encode_frames(self._net, [frame.inputs for frame in frames])
        for frame, each in zip(frames, encoded, strict=True):
            self._encoded[frame.index] = each

    def _keep(self, state: WindowState, colours: Tensor) -> Prediction:
        """Select slots, segment only them, and bring all home.

        Args:
            state: Of the window.
            colours: Of its real frames, [T, 3 * BINS, h, w].
        """
        length = len(colours)
        scores, frame_scores, frame_categories = slot_scores(state.logits[:length])
        classes = len(self._kept_classes)
        # Votes for unwanted categories are left out, so that a track never turns into one.
        votes = F.one_hot(frame_categories, classes).float().mean(dim=0) * self._kept_classes
        wanted = self._kept_classes[slot_categories(frame_categories, classes)]
        slots = self._select(scores, wanted)
        # Indexing by a list would wait for the device each time.
        chosen = torch.tensor(slots, dtype=torch.int64, device=scores.device)
        boxes = state.boxes[:length].index_select(1, chosen)
        embeddings = state.embeddings[:length].index_select(1, chosen).float().mean(dim=0)
        presence = frame_scores.index_select(1, chosen) >= FRAME_SCORE_CUT
        scores, votes = scores[chosen], votes[chosen]
        if self._masks:
            masks = self._net.segment(state, slots)[:length]
        else:
            height, width = state.features.adapted[-1].shape[-2:]
            masks = box_logits(boxes, (height, width))
        home = _on_host(
            is_sound=is_sound(state.logits) & is_sound(boxes) & is_sound(masks),
            scores=scores,
            class_votes=votes,
            embeddings=F.normalize(embeddings, dim=1),
            boxes=boxes,
            presence=presence,
            masks=masks,
            colours=mask_colours(colours, masks),
        )
        check_sound(bool(home.pop("is_sound")), state.logits.dtype)
        presence_at_home = home.pop("presence").astype(np.bool_)
        return Prediction(**home, presence=presence_at_home)

    def _select(self, scores: Tensor, wanted: Tensor) -> list[int]:
        """Slots to keep, best first, of scores and of whether a slot's category is wanted, [K]."""
        ranked = torch.where(wanted & (scores >= self._threshold), scores, -1).tolist()
        best_first = sorted(range(len(ranked)), key=lambda slot: -ranked[slot])
        return [slot for slot in best_first if ranked[slot] >= 0]


def _on_host(**parts: Tensor) -> dict[str, NDArray[np.float32]]:
    """Tensors as float32 arrays in the host's memory."""
    if not next(iter(parts.values())).is_cuda:
        return {name: part.float().contiguous().numpy() for name, part in parts.items()}
    # In one copy, to pinned memory: CUDA copies to other memory at part of the speed.
    packed = torch.cat([part.float().flatten() for part in parts.values()])
    home = torch.empty(packed.shape, pin_memory=True).copy_(packed)
    split = torch.split(home, [part.numel() for part in parts.values()])
    pairs = zip(split, parts.items(), strict=True)
    return {name: some.view(part.shape).numpy() for some, (name, part) in pairs}
