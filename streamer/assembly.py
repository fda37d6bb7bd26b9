"""Putting a run together from its configuration: network, source, stages and sinks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from model import CheckpointError as ModelCheckpointError
from model import VisTR, load_vistr
from model.inference import optimise_for_inference
from model.postprocess import all_finite
from streamer.category_check import folded
from streamer.config import StreamConfig
from streamer.cpu_quota import choose_threads
from streamer.device import check_finite, choose_device, choose_dtype, device_errors
from streamer.errors import CheckpointError, ConfigError
from streamer.option_check import check
from streamer.other_thread import on_another_thread
from streamer.output import StreamInfo
from streamer.pipeline import Pipeline, Stages
from streamer.predictor import VistrPredictor
from streamer.ring_buffer import Overflow, RingBuffer
from streamer.scheduler import WindowScheduler
from streamer.sources.decoder_thread import DecoderThread
from streamer.sources.selection import Selection
from streamer.sources.source import Source
from streamer.sources.source_opening import open_source
from streamer.stitching.device_upsampling import upsampler_on
from streamer.stitching.merger import FrameMerger
from streamer.stitching.stitcher import Stitcher
from streamer.torch_settings import SETTINGS

# Chosen by eye. A half and a third of the published window of 36 frames: each frame of a file is in
# two windows, and merged over both; those of a live source come out sooner.
FILE_STRIDE, FILE_EMIT_DELAY = 18, 1
LIVE_STRIDE, LIVE_EMIT_DELAY = 12, 0
THRESHOLD = 0.5

PUBLISHED = ("vistr_r50.pth", "vistr_r101.pth")
LINKED = "; the published files are linked at github.com/Epiphqny/VisTR"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assembly:
    """A pipeline that is ready to run, and what there is to know about it.

    Attributes:
        pipeline: Not started; it owns the source from here on.
        source_name: The source's name, without credentials.
        info: What its sinks are to be told.
        expected_frames: Results to expect; None where unknown.
        endless: Whether the source is live, or a file that is looped.
    """

    pipeline: Pipeline
    source_name: str
    info: StreamInfo
    expected_frames: int | None
    endless: bool


def load(config: StreamConfig) -> VisTR:
    """The network that a configuration asks for, checked against the rest of it.

    Raises:
        CheckpointError: The weights cannot be loaded, or are not what was expected.
        ConfigError: The stride or the categories do not fit them.
        DeviceError: The device is absent or too small, or the weights are not finite in its
            arithmetic.
    """
    device = choose_device(config.device)
    dtype = choose_dtype(config.precision, device)
    threads = choose_threads(config.threads)
    SETTINGS.apply(threads)
    net = _load_network(config, device, dtype)
    stride = config.window.stride
    check(
        stride == "auto" or stride <= net.frames,
        "window.stride",
        stride,
        f"from 1 to {net.frames}, the window of the weights",
    )
    _category_ids(config, net)  # only to refuse unknown names before the source is opened
    log.info(
        "network on %s in %s, its backbone in %s; %s; windows of %d; weights: %s",
        *(device, net.dtype, next(net.parameters()).dtype),
        f"threads: {threads}" if device.type == "cpu" else f"CUDA graphs: {config.cuda_graphs}",
        *(net.frames, config.weights or "the default, for demonstration"),
    )
    if not net.trained:
        log.warning(
            "these weights are untrained: masks, categories and ids mean nothing; "
            "pass a trained checkpoint with --weights"
        )
    return net


def _load_network(config: StreamConfig, device: torch.device, dtype: torch.dtype) -> VisTR:
    """The network of a configuration's weights, ready to predict."""
    try:
        net = load_vistr(
            config.weights,
            frames=config.window.size,
            slots=config.slots,
            backbone=config.backbone,
            categories=config.category_file,
        )
    except ModelCheckpointError as error:
        path = Path(config.weights or "")
        hint = LINKED if path.name in PUBLISHED and not path.exists() else ""
        raise CheckpointError(f"{error}{hint}") from error
    with device_errors(device, "while loading the weights"):
        optimise_for_inference(net, device, dtype)
        finite = all(bool(all_finite(parameter)) for parameter in net.parameters())
    # Where an activation follows, nobody would see it later: oneDNN's ReLU turns NaN into 0.
    check_finite(finite, dtype, does="has weights of")
    return net


def assemble(config: StreamConfig, net: VisTR, run_id: str) -> Assembly:
    """Open the source and put the stages behind it; Ctrl-C is heard while it opens.

    Args:
        config: What the user asked for.
        net: From `load`.
        run_id: The run's UUID.

    Raises:
        SourceError: The source cannot be opened.
        DeviceError: What must decode it cannot.
        ConfigError: An option does not fit the source or the device.
    """
    with ExitStack() as undo:
        source = _open_source(config, net.short_side, next(net.parameters()).device)
        undo.callback(source.close)
        assembly = _assemble_around(source, config, net, run_id)
        undo.pop_all()
    return assembly


def _open_source(config: StreamConfig, short_side: int, device: torch.device) -> Source:
    """Open the source, while Ctrl-C is heard; interrupted, its opening may stay behind.

    The network must not stay behind with it: PyTorch aborts a process that ends while another
    thread lets go of tensors.
    """
    selection = Selection(config.start, config.duration, config.max_frames, config.region())
    return on_another_thread(
        lambda: open_source(
            config.input_or_shipped(),
            config.source,
            selection,
            config.short_side or short_side,
            device=device,
        ),
        discard=lambda late: late.close(),
    )


def _assemble_around(source: Source, config: StreamConfig, net: VisTR, run_id: str) -> Assembly:
    stages = make_stages(config, net, live=source.live)
    info = StreamInfo(
        stream=config.stream,
        categories=tuple(net.categories),
        window=net.frames,
        stride=stages.scheduler.stride,
        live=source.live,
        run=run_id,
        masks=config.masks,
    )
    wanted = config.source.buffer
    if wanted == "auto":
        wanted = stages.scheduler.longest_stride * config.window.frame_step
    overflow: Overflow = "drop_oldest" if source.live else "block"
    decoder = DecoderThread(source, RingBuffer(wanted, overflow))
    endless = source.live or config.source.loop
    pipeline = Pipeline(decoder, stages)
    return Assembly(pipeline, source.name, info, source.expected_frames, endless)


def choose_stride(config: StreamConfig, net: VisTR, *, live: bool) -> int:
    """New frames per window: as asked for, or what ``auto`` is for the source and the weights."""
    if config.window.stride != "auto":
        return config.window.stride
    return min(LIVE_STRIDE if live else FILE_STRIDE, net.frames)


def make_stages(config: StreamConfig, net: VisTR, *, live: bool) -> Stages:
    """The stages of one run, as a configuration asks for them.

    Args:
        config: What the user asked for.
        net: From `load`.
        live: Whether the source is live, which decides what ``auto`` is.
    """
    window, stitch = config.window, config.stitch
    stride = choose_stride(config, net, live=live)
    delay = LIVE_EMIT_DELAY if live else FILE_EMIT_DELAY
    delay = delay if window.emit_delay == "auto" else window.emit_delay
    threshold = THRESHOLD if config.threshold == "auto" else config.threshold
    return Stages(
        scheduler=WindowScheduler(
            net.frames,
            stride,
            window.frame_step,
            warm_up=live,
            grows=live and window.stride == "auto",
        ),
        predictor=VistrPredictor(
            net,
            threshold,
            _category_ids(config, net),
            masks=config.masks,
            graphs=config.cuda_graphs,
        ),
        stitcher=Stitcher(accept=stitch.accept, memory=stitch.memory),
        merger=FrameMerger(
            delay,
            net.categories,
            boxes_only=not config.masks,
            upsample=upsampler_on(next(net.parameters()).device),
        ),
    )


def _category_ids(config: StreamConfig, net: VisTR) -> Sequence[int] | None:
    """The ids of the categories to keep; None for all."""
    names = config.category_names()
    if names is None:
        return None
    known = net.categories[1:]
    for name in names:
        if folded(name) not in map(folded, known):
            raise ConfigError(f"categories: {name!r} is unknown; allowed: {', '.join(known)}")
    wanted = set(map(folded, names))
    return [category_id for category_id, name in enumerate(known, 1) if folded(name) in wanted]
