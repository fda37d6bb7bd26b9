"""`streamer.assembly`: what options become, and what ``auto`` is."""

from __future__ import annotations

import gc
import signal
import threading
import weakref
from contextlib import closing
from copy import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from model import VisTR, save_vistr
from streamer import assembly as assembly_module
from streamer.assembly import assemble, load, make_stages
from streamer.config import StreamConfig
from streamer.errors import CheckpointError, DeviceError
from streamer.output import FrameResult
from streamer.scheduler import WindowScheduler
from streamer.source_config import SourceConfig
from streamer.torch_settings import SETTINGS
from streamer.window_config import StitchConfig, WindowConfig
from tests.clips import make_clip
from tests.frames import make_epoch, make_frame
from tests.results import RUN
from tests.tiny_vistr import save_tiny_vistr, tiny_vistr
from tests.waits import PATIENCE_S, until

ENDLESS = "lavfi:testsrc2=size=64x48:rate=25"


@pytest.fixture(scope="module")
def net() -> VisTR:
    return tiny_vistr(frames=36)


def first_due(scheduler: WindowScheduler) -> int:
    """The index of the frame with which an epoch's first window is due."""
    epoch = make_epoch(size=(4, 4))
    return next(index for index in range(100) if scheduler.add(make_frame(index, epoch)))


@pytest.mark.parametrize(
    ("live", "stride", "longest", "emit_delay", "first"),
    [(True, 12, 36, 0, 11), (False, 18, 18, 1, 35)],
)
def test_auto_is_what_suits_a_live_source_or_a_file(
    net: VisTR, live: bool, stride: int, longest: int, emit_delay: int, first: int
) -> None:
    stages = make_stages(StreamConfig(), net, live=live)
    assert (stages.scheduler.stride, stages.scheduler.longest_stride) == (stride, longest)
    assert stages.merger._emit_delay == emit_delay
    assert first_due(stages.scheduler) == first


@pytest.mark.parametrize("live", [True, False])
def test_auto_asks_no_more_than_the_window_of_the_weights(live: bool) -> None:
    assert make_stages(StreamConfig(), tiny_vistr(frames=6), live=live).scheduler.stride == 6


@pytest.mark.parametrize("live", [True, False])
def test_what_is_asked_for_reaches_the_stages(net: VisTR, live: bool) -> None:
    config = StreamConfig(
        window=WindowConfig(stride=6, emit_delay=3, frame_step=2),
        stitch=StitchConfig(accept=0.4, memory=50),
    )
    stages = make_stages(config, net, live=live)
    scheduler, stitcher = stages.scheduler, stages.stitcher
    # A stride that is given does not grow.
    assert (scheduler.stride, scheduler.longest_stride, scheduler._frame_step) == (6, 6, 2)
    assert stages.merger._emit_delay == 3
    assert (stitcher._accept, stitcher._memory) == (0.4, 50)


def test_only_the_categories_asked_for_are_shown(net: VisTR, tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", frames=4)

    def shown(**options: Any) -> set[str]:
        config = StreamConfig(input=str(tmp_path / "clip.mp4"), threshold=0.0, **options)
        pipeline = assemble(config, net, RUN).pipeline
        with closing(pipeline):
            results = [each for each in pipeline.outputs() if isinstance(each, FrameResult)]
        return {instance.category for result in results for instance in result.instances}

    known = shown()
    assert known
    assert shown(categories=sorted(known)) == known
    assert shown(categories=[name.upper().replace("_", " ") for name in known]) == known
    others = set(net.categories[1:]) - known
    assert others
    assert shown(categories=sorted(others)) == set()


def test_a_name_that_several_categories_have_means_all_of_them(net: VisTR, tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", frames=4)
    config = StreamConfig(
        input=str(tmp_path / "clip.mp4"), threshold=0.0, categories=["background"]
    )
    same = copy(net)
    same.categories = ("background",) * len(net.categories)
    pipeline = assemble(config, same, RUN).pipeline
    with closing(pipeline):
        results = [each for each in pipeline.outputs() if isinstance(each, FrameResult)]
    assert all(result.instances for result in results)


@pytest.mark.parametrize(
    ("live", "frame_step", "buffer", "most"),
    [
        (False, 1, "auto", 18),
        (False, 2, "auto", 36),
        (True, 1, "auto", 36),
        (True, 2, "auto", 72),
        (True, 1, 7, 7),
    ],
)
def test_as_many_frames_may_wait_as_a_window_takes(
    net: VisTR, live: bool, frame_step: int, buffer: Any, most: int
) -> None:
    config = StreamConfig(
        input=ENDLESS,
        source=SourceConfig(live=live, buffer=buffer),
        window=WindowConfig(frame_step=frame_step),
    )
    pipeline = assemble(config, net, RUN).pipeline
    with closing(pipeline), closing(pipeline.outputs()) as outputs:
        next(outputs)
        dropped = pipeline.counts().dropped
        until(lambda: pipeline.is_source_idle or pipeline.counts().dropped > dropped)
        assert pipeline.waiting == most
        assert pipeline.is_source_idle is not live  # a live source is never held up


def loaded(weights: Path | None, **options: Any) -> VisTR:
    with SETTINGS.kept():
        return load(
            StreamConfig(weights=weights and str(weights), device="cpu", threads=1, **options)
        )


def test_weights_load_in_the_asked_for_precision(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_tiny_vistr(path, frames=6)
    net = loaded(path, precision="fp64")
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float64}
    with pytest.raises(CheckpointError, match="frames is 6 in the weights, not 36"):
        loaded(path, window=WindowConfig(size=36))


def test_weights_too_large_for_the_precision_are_refused(tmp_path: Path) -> None:
    net = tiny_vistr()
    net.mask_head.lay2.weight *= 1e6
    save_vistr(net, tmp_path / "large.safetensors")
    with pytest.raises(
        DeviceError, match=r"^the network has weights of NaN or infinity in torch\.float16; in ano"
    ):
        loaded(tmp_path / "large.safetensors", precision="fp16")
    assert loaded(tmp_path / "large.safetensors", precision="bf16").dtype == torch.bfloat16


def test_no_memory_for_the_weights_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(VisTR, "to", exhausted)
    with pytest.raises(DeviceError, match="cpu failed while loading the weights: out of memory"):
        loaded(None)


def test_an_opening_that_is_left_behind_does_not_hold_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PyTorch aborts a process that ends while another thread lets go of tensors."""
    go = threading.Event()
    main = threading.main_thread().ident

    def wait(*_: object, **__: object) -> None:
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
        assert go.wait(PATIENCE_S)

    monkeypatch.setattr(assembly_module, "open_source", wait)
    net = tiny_vistr()
    held = weakref.ref(net)
    try:
        with pytest.raises(KeyboardInterrupt):
            assemble(StreamConfig(), net, RUN)
        del net
        gc.collect()
        assert held() is None
    finally:
        go.set()
        until(lambda: all(thread.name != "open" for thread in threading.enumerate()))
