"""A training run: from its configuration to weights, checkpoints, losses and figures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress

import torch
from torch import nn
from tqdm import tqdm

from model import LIGHT, VisTR
from model.layout import store_channels_last
from streamer.device import choose_device, device_errors, has_native_bf16
from streamer.errors import DeviceError, SinkError, SourceError, StreamError
from streamer.output_path import check_folder, check_unwritten, make_folder
from training.assets import Assets
from training.clip import Clip
from training.criterion import losses
from training.divergence import DivergedError, Divergence
from training.feed import BatchShape, FeedError, StepBatches, batches, frame_size
from training.network import Trainee, window_times
from training.optimiser import hold_taps_in_time, make_optimiser
from training.resume import (
    alone,
    check_fits,
    check_unused,
    held_out_every,
    last_written,
    restore,
)
from training.run_config import TrainConfig
from training.schedule import rate
from training.sources import open_sources
from training.state import (
    checkpoint,
    fresh_network,
    load_trainee,
    read_checkpoint,
    say_new_categories,
    short_sided,
    with_categories,
    with_groups,
    write_checkpoint,
    write_network,
)
from training.step_log import append, cut, logged_steps
from training.targets import Batch
from training.tube_figures import shown, tube_figures

log = logging.getLogger(__name__)


class _StoppedError(Exception):
    """The run is to end while it evaluates."""


class Run:
    """A run in a folder; one that was interrupted there goes on where its last checkpoint was.

    Args:
        config: What to do.

    Attributes:
        step: Steps done.
        stopping: Set it, and the run ends after the step that it is at, with a checkpoint; an
            evaluation is left, and made when the run goes on.

    Raises:
        ConfigError: An option is out of range, or does not fit the checkpoint.
        SourceError: Data cannot be read.
        CheckpointError: Weights cannot be read.
        DeviceError: There is no such device, or it failed, or ran out of memory.
        SinkError: The folder cannot be made or written to, or another run writes it, or has since
            this one was made.
        DivergedError: The loss became infinite or NaN, or its gradient did again and again.
    """

    def __init__(self, config: TrainConfig) -> None:
        check_folder(str(config.out))
        check_unwritten(config.lock)
        self.config = config
        self.step = 0
        self.stopping = False
        self._divergence = Divergence(config.checkpoint)
        self._losses = config.out / "losses.jsonl"
        self._figures = config.out / "figures.jsonl"
        self._device = choose_device(config.device)
        is_cpu = self._device.type == "cpu"
        self._bf16 = config.precision == "bf16" or (
            config.precision == "auto" and is_cpu and has_native_bf16(self._device)
        )
        is_rounded = config.precision == "auto"  # to TF32; PyTorch does by itself in convolutions
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = is_rounded
        self._known = last_written(config.checkpoint)
        saved = read_checkpoint(config.checkpoint) if self._known is not None else None
        if saved is None:
            check_unused(config, self._losses, self._figures)
        trainee = self._first_network(resumed=saved is not None)
        self._sources = open_sources(config.data, trainee.net.slots)
        if saved is None:
            say_new_categories(trainee.net.categories[1:], self._sources.categories)
        trainee = with_categories(trainee, self._sources.categories, config.seed)
        trainee = with_groups(trainee, config.groups, config.seed)
        if saved is not None:
            check_fits(saved, trainee, config)
        config.check_frames(trainee.net.frames)
        with device_errors(self._device, "while loading the network"):
            self._trainee = trainee.to(self._device)
        store_channels_last(self._trainee.net)
        if config.frames < trainee.net.frames and not config.consecutive:
            hold_taps_in_time(trainee.net)
        self._evaluated = trainee.net.frames if config.consecutive else config.frames
        self._optimiser = make_optimiser(self._trainee, config)
        make_folder(config.out)
        self._val_every = held_out_every(saved, config)
        if saved is not None:
            self.step = restore(saved, self._trainee, self._optimiser)

    def _first_network(self, *, resumed: bool) -> Trainee:
        """What the run starts from; where it goes on, only the sizes of that count."""
        config = self.config
        if config.start is not None:
            return load_trainee(config.start)
        if resumed:
            return Trainee(VisTR(LIGHT))
        return fresh_network(Assets(config.data.assets).backbone, config.seed)

    def go(self) -> None:
        """Train up to the last step, or until `stopping` is set.

        Raises:
            FeedError: A process that makes the batches failed, unless the run was to stop; what was
                learnt before is kept.
            StreamError: See the class. What was learnt before an error of the data or of the
                device, or of diverging losses, is kept.
        """
        with alone(self.config.lock):
            if last_written(self.config.checkpoint) != self._known:
                raise SinkError(
                    f"{self.config.checkpoint}: another run has written it meanwhile; the same "
                    "command goes on from there"
                )
            for lines in (self._losses, self._figures):
                cut(lines, self.step)
            self._go_on()

    def _go_on(self) -> None:
        config = self.config
        if self._figures_are_due():
            self._evaluate()
            if self._figures_are_due():  # it was interrupted again
                return
        if self.step >= config.steps:
            log.warning("%s has %d steps already: nothing is left", config.out, self.step)
            return
        try:
            self._train()
        except (SourceError, FeedError, DivergedError) as error:
            self._keep()  # what was learnt before: a step that fails leaves the weights alone
            # A signal to all processes ends those that make the batches; it is here by now, too.
            if not (self.stopping and isinstance(error, FeedError)):
                raise
        except DeviceError:
            # Memory runs out before the weights change. A device that is lost gives none back.
            with suppress(StreamError):
                self._keep()
            raise
        self._sources.say_left_out()

    def _train(self) -> None:
        config = self.config
        progress = tqdm(
            self._batches(), initial=self.step, total=config.steps, unit="step", disable=None
        )
        for batch in progress:
            parts = self._learn(batch)
            self.step += 1
            append(self._losses, {"step": self.step, **parts})
            progress.set_postfix(loss=f"{sum(parts.values()):.2f}")
            is_due = self._figures_are_due()  # at the last step, too
            is_kept = is_due or self.step % config.checkpoint_every == 0 or self.stopping
            if is_kept or self.step == 1:  # a disk that is full tells at once
                self._keep()
            # After the checkpoint: a run that fails or is killed in between evaluates, going on.
            if is_due and not self.stopping:
                self._evaluate()
            if is_kept and self.stopping:
                break

    def _keep(self) -> None:
        if not self.step:  # nothing was learnt, and the options may change freely
            return
        short_side = self.config.short_sides[-1]
        state = checkpoint(self._trainee, self._optimiser, self.step, short_side)
        state["val_every"] = self._val_every
        write_checkpoint(self.config.checkpoint, state)
        self._known = last_written(self.config.checkpoint)

    def _batches(self) -> Iterator[Batch]:
        config = self.config
        shape = BatchShape(
            config.frames,
            self._trainee.net.frames,
            config.pixels,
            config.short_sides,
            config.aspects,
            config.consecutive,
        )
        steps = StepBatches(self._sources.train, shape, config.seed, config.steps)
        return batches(steps, self.step, config.workers)

    def _learn(self, batch: Batch) -> dict[str, float]:
        config = self.config
        factor = rate(self.step, config.steps, config.warmup)
        for group in self._optimiser.param_groups:
            group["lr"] = group["full_rate"] * factor
        remedy = "fewer pixels, smaller short_sides or fewer frames (consecutive) need less"
        with device_errors(self._device, f"in step {self.step + 1}", remedy):
            on_device = batch.to(self._device)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
                parts = losses(self._trainee, on_device, config.losses)
            total = torch.stack(list(parts.values())).sum()
            self._divergence.check_loss(float(total.detach()), self.step + 1)
            self._optimiser.zero_grad()
            total.backward()
            norm = nn.utils.clip_grad_norm_(self._trainee.parameters(), config.clip_norm)
            if self._divergence.allows(norm, self.step + 1):
                self._optimiser.step()
            return {name: round(float(part.detach()), 5) for name, part in parts.items()}

    def _figures_are_due(self) -> bool:
        config = self.config
        is_due = self.step % config.evaluate_every == 0 or self.step == config.steps
        return self.step > 0 and is_due and self.step not in logged_steps(self._figures)

    def _evaluate(self) -> None:
        """Write the network and, unless the run is to stop, what it is worth by now; say it."""
        config = self.config
        net = short_sided(self._trainee.export(self._evaluated), config.short_sides[-1])
        write_network(net, config.out / "network.safetensors")
        try:
            figures = tube_figures(net, self._held_out())
        except _StoppedError:
            return
        report = {"step": self.step, **figures.stats}
        if "person" in net.categories:
            people = figures.categories.get(net.categories.index("person"), {})
            report["person_AP50"] = people.get("AP50", -1)
        append(self._figures, report)
        tqdm.write(f"step {self.step}: AP {shown(report['AP'])}, AP50 {shown(report['AP50'])}")

    def _held_out(self) -> Iterator[Clip]:
        """The evaluation's clips, always the same ones."""
        config = self.config
        size = frame_size(config.short_sides[-1], config.aspects[0])
        times = window_times(self._evaluated, self._trainee.net.frames).tolist()
        for position in range(config.evaluate_clips):
            if self.stopping:
                raise _StoppedError
            yield self._sources.held_out(position, times, size)
