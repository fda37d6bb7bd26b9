"""The edge to the network: windows in, kept instance slots out, on CPU or CUDA."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model import FrameFeatures, VisTR, WindowState
from model.cuda_graphs import GraphedVisTR
from model.postprocess import FRAME_SCORE_CUT, all_finite, box_logits, slot_scores
from streamer.device import SMALLER_INPUT, check_finite, working_on
from streamer.frame import Frame
from streamer.frame_features import encode_passes, frames_per_pass
from streamer.stitching.colour_histograms import colour_shares, mask_colours
from streamer.window import Prediction, Window


@dataclass(frozen=True, slots=True, eq=False)
class EncodedFrame:
    """What is computed of a frame by itself, on the network's device.

    Attributes:
        features: Of this frame alone.
        colours: [1, 3 * BINS, h, w], as `colour_shares` gives them.
    """

    features: FrameFeatures
    colours: Tensor


class Predictor(Protocol):
    """Says what is in a window. Windows of an epoch come in order."""

    def encode_ahead(self, waiting: Sequence[Frame]) -> None:
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
    def encode_ahead(self, waiting: Sequence[Frame]) -> None:
        """Compute the features of what waits, as soon as there are frames for whole passes.

        Raises:
            DeviceError: The device failed, or ran out of memory.
        """
        new = [frame for frame in waiting if frame.index not in self._encoded]
        least = frames_per_pass(self._net)
        new = new[: len(new) // least * least]
        if new:
            with working_on(self._device, f"on {len(new)} frames", SMALLER_INPUT):
                self._encode(new)

    @torch.inference_mode()
    def predict(self, window: Window) -> Prediction:
        """The slots of `window` whose score and category are wanted, best first.

        Raises:
            DeviceError: The device failed, or ran out of memory, or its outputs are not finite.
        """
        doing = f"on a window of {len(window.indices)} frames"
        with working_on(self._device, doing, SMALLER_INPUT):
            # Frames that left are forgotten.
            held = self._encoded.keys() & set(window.real)
            self._encoded = {index: self._encoded[index] for index in held}
            self._encode([frame for frame in window.new if frame.index not in held])
            features = [self._encoded[index].features for index in window.indices]
            colours = torch.cat([self._encoded[index].colours for index in window.real])
            return self._read_out(self._net.relate(FrameFeatures.cat(features)), colours)

    def close(self) -> None:
        """Forget all frames."""
        self._encoded.clear()

    def _encode(self, frames: Sequence[Frame]) -> None:
        waiting = iter(frames)
        for pixels, features in encode_passes(self._net, [frame.inputs for frame in frames]):
            colours = colour_shares(pixels)
            for i, frame in enumerate(islice(waiting, len(pixels))):
                self._encoded[frame.index] = EncodedFrame(features[i], colours[i : i + 1])

    def _read_out(self, state: WindowState, colours: Tensor) -> Prediction:
        """Select slots, segment only those, and copy the results to the host.

        Args:
            state: Of the window.
            colours: Of its real frames, [T, 3 * BINS, h, w].
        """
        length = len(colours)
        scores, frame_scores, frame_categories = slot_scores(state.logits[:length])
        classes = len(self._kept_classes)
        votes = F.one_hot(frame_categories, classes).float().mean(dim=0)
        slots = self._select(scores, self._kept_classes[votes.argmax(dim=1)])
        votes *= self._kept_classes  # a track never turns into an unwanted category
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
        arrays = _on_host(
            finite=all_finite(state.logits) & all_finite(boxes) & all_finite(masks),
            scores=scores,
            class_votes=votes,
            embeddings=F.normalize(embeddings, dim=1),
            boxes=boxes,
            presence=presence,
            masks=masks,
            colours=mask_colours(colours, masks),
        )
        check_finite(bool(arrays.pop("finite")), state.logits.dtype)
        is_present = arrays.pop("presence").astype(np.bool_)
        return Prediction(**arrays, presence=is_present)

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
    copied = torch.empty_like(packed, device="cpu", pin_memory=True).copy_(packed)
    split = torch.split(copied, [part.numel() for part in parts.values()])
    pairs = zip(split, parts.items(), strict=True)
    return {name: some.view(part.shape).numpy() for some, (name, part) in pairs}
