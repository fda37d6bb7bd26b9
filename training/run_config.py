"""What a training run is to do."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from model.architecture import MAX_SHORT_SIDE, MIN_SHORT_SIDE
from streamer.config import MAX_THREADS
from streamer.errors import ConfigError
from streamer.option_check import check
from training.assets import DEFAULT_FOLDER
from training.composer import Composition
from training.criterion import LossConfig

MAX_SEED = 2**63 - 1
"""Of torch's generators."""


@dataclass(frozen=True)
class DataConfig:
    """Where clips come from: composed from assets, unless YouTube-VIS annotations are given.

    Attributes:
        assets: Folder of the parts of composed clips, as `training.fetch` fills it.
        composition: What composed clips show.
        annotations: YouTube-VIS JSON to train on.
        images: Folder that its file names are relative to.
        val_annotations: YouTube-VIS JSON to evaluate on during training.
        val_images: Folder of those.
        val_every: Without `val_annotations`, of every how many videos of `annotations` about one is
            kept for evaluation.
        drawings: Whether clips are composed of the assets' drawings, too.
        skip_bad: Whether to leave bad videos and annotations out, counted, instead of stopping.
    """

    assets: Path = DEFAULT_FOLDER
    composition: Composition = field(default_factory=Composition)
    annotations: Path | None = None
    images: Path | None = None
    val_annotations: Path | None = None
    val_images: Path | None = None
    val_every: int = 10
    drawings: bool = True
    skip_bad: bool = False

    def __post_init__(self) -> None:
        check(self.val_every >= 2, "data.val_every", self.val_every, "2 and more")
        given = {"images": self.images, "val_annotations": self.val_annotations}
        for name, path in (given | {"val_images": self.val_images}).items():
            if path is not None and self.annotations is None:
                raise ConfigError(f"data.{name} is {path}, but data.annotations is not given")
        if self.annotations is not None and self.images is None:
            raise ConfigError("data.annotations needs data.images, the folder of its images")
        if (self.val_annotations is None) != (self.val_images is None):
            raise ConfigError("data.val_annotations and data.val_images need each other")

    @property
    def held_out_every(self) -> int | None:
        """One in how many annotated videos is held out; 0 for none, None where there are none."""
        if self.annotations is None:
            return None
        return self.val_every if self.val_annotations is None else 0


@dataclass(frozen=True)
class TrainConfig:
    """A run.

    Attributes:
        out: Folder for checkpoints, losses and curves; a run that was interrupted there goes on.
        start: Weights to start from: a checkpoint of an earlier run, a VisTR's weights as
            `load_vistr` reads them, or ``default``, those that ship. None: a light network whose
            backbone knows ImageNet.
        data: Where clips come from.
        frames: Frames T of a clip, a divisor of the window's 36.
        consecutive: Whether these follow each other; otherwise they have random places in the
            window. Evaluation is on whole windows then, and else on frames evenly spread over them.
            Frames of data sets always follow each other: say true, unless they are one or a window.
        pixels: Pixels of all frames in a step.
        short_sides: Shorter sides of the frames in pixels, one of them for each step. The last one
            is what the finished network expects.
        aspects: Ratios of width to height from 0.05 to 20, one of them for each step; videos are
            stretched to it.
        steps: Steps of the run.
        rate: Learning rate at its highest.
        backbone_rate: The same for the backbone; 0 leaves it as it is, which saves its backward
            pass.
        warmup: Steps in which the rates rise.
        weight_decay: Of AdamW.
        clip_norm: Longest gradient.
        groups: Groups of slots that learn side by side.
        seed: Of data and initial parameters.
        losses: Weights of the losses.
        checkpoint_every: Steps between checkpoints; there is one of the first step, too.
        evaluate_every: Steps between evaluations.
        evaluate_clips: Held-out clips of each evaluation.
        precision: Arithmetic of the network: ``bf16`` (autocast), ``fp32``, or ``auto``: bf16 on
            CPUs that compute in it (others emulate it, ten times slower), fp32 elsewhere, with
            products and convolutions in TF32 on CUDA, where gradients in bf16 were NaN now
            and then.
        device: Where the network runs.
        threads: Threads on the CPU; 0 leaves it to torch.
        workers: Processes that compose batches or read them. One keeps up with a few CPU cores; a
            GPU wants as many as there are cores. The batches are the same.
    """

    out: Path
    start: Path | None = None
    data: DataConfig = field(default_factory=DataConfig)
    frames: int = 36
    consecutive: bool = False
    pixels: int = 24 * 160 * 213
    short_sides: tuple[int, ...] = (160,)
    aspects: tuple[float, ...] = (4 / 3, 16 / 9)
    steps: int = 1000
    rate: float = 1e-4
    backbone_rate: float = 1e-5
    warmup: int = 100
    weight_decay: float = 1e-4
    clip_norm: float = 0.1
    groups: int = 1
    seed: int = 0
    losses: LossConfig = field(default_factory=LossConfig)
    checkpoint_every: int = 100
    evaluate_every: int = 500
    evaluate_clips: int = 50
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        counts = ("frames", "pixels", "steps", "groups", "checkpoint_every", "evaluate_every")
        for name in (*counts, "workers"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "1 and more")
        for name in ("rate", "backbone_rate", "weight_decay", "warmup", "evaluate_clips"):
            check(0 <= getattr(self, name) < math.inf, name, getattr(self, name), "0 and more")
        check(self.clip_norm > 0, "clip_norm", self.clip_norm, "above 0")
        check(0 <= self.seed <= MAX_SEED, "seed", self.seed, f"0 to {MAX_SEED}")
        check(0 <= self.threads <= MAX_THREADS, "threads", self.threads, f"0 to {MAX_THREADS}")
        if not all(MIN_SHORT_SIDE <= side <= MAX_SHORT_SIDE for side in self.short_sides or (0,)):
            raise ConfigError(
                f"short_sides are {self.short_sides}, expected one or more, from "
                f"{MIN_SHORT_SIDE} to {MAX_SHORT_SIDE}"
            )
        fits = all(0.05 <= aspect <= 20 for aspect in self.aspects or (0,))
        check(fits, "aspects", self.aspects, "one or more, from 0.05 to 20")

    def check_frames(self, window: int) -> None:
        """See that clips fit a network's window of so many frames.

        Raises:
            ConfigError: They do not.
        """
        if window % self.frames:
            raise ConfigError(
                f"frames is {self.frames}, expected a divisor of the window's {window}"
            )
        if self.data.annotations and 1 < self.frames < window:
            allowed = f"true, as a data set's frames are; or else frames 1 or {window}"
            check(self.consecutive, "consecutive", self.consecutive, allowed)

    @property
    def checkpoint(self) -> Path:
        """What the run goes on from."""
        return self.out / "checkpoint.pt"

    @property
    def lock(self) -> Path:
        """What keeps other runs out of the folder."""
        return self.out / "run.lock"
