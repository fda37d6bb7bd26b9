"""`model.cuda_graphs`: replayed stages give what the network gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import VisTR
from model.cuda_graphs import KEPT, TRIES, GraphedFunction, GraphedVisTR
from model.preprocess import normalise
from streamer.predictor import VistrPredictor
from streamer.scheduler import WindowScheduler
from tests.frames import make_epoch, make_frame
from tests.tiny_vistr import tiny_vistr

SIZES = [(64, 96), (96, 64), (64, 96), (80, 112), (64, 96), (96, 64)]


def random_frames(height: int, width: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(256, (4, height, width, 3), generator=generator, dtype=torch.uint8)
    return normalise(frames, torch.float32).cuda()


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> VisTR:
    # As in a stream; TF32 would round differently for each number of slots.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return tiny_vistr().cuda()


@pytest.mark.gpu
@torch.inference_mode()
def test_each_window_of_each_size_equals_the_plain_network(net: VisTR) -> None:
    graphed = GraphedVisTR(net)
    for number, (height, width) in enumerate(SIZES):
        images = random_frames(height, width, number)
        expected = net(images)
        state = graphed.relate(graphed.encode(images))
        for slots in ([2], [], [1, 0], [0, 1, 2]):
            masks = graphed.segment(state, slots)
            assert torch.allclose(masks, expected.masks[:, slots], atol=1e-4)
        assert torch.allclose(state.logits, expected.logits, atol=1e-4)
        assert torch.allclose(state.boxes, expected.boxes, atol=1e-4)


@pytest.mark.gpu
@torch.inference_mode()
def test_what_was_given_stays_as_it_was(net: VisTR) -> None:
    graphed = GraphedVisTR(net)
    first = graphed.encode(random_frames(64, 96, 1))
    before = first.projected.clone()
    state = graphed.relate(first)
    memory = state.memory.clone()
    graphed.segment(graphed.relate(graphed.encode(random_frames(64, 96, 2))), [0, 1])
    assert torch.equal(first.projected, before)
    assert torch.equal(state.memory, memory)


@pytest.mark.gpu
@torch.inference_mode()
def test_few_recordings_are_kept_and_others_made_again() -> None:
    calls = []

    def doubled(x: torch.Tensor) -> tuple[torch.Tensor]:
        calls.append(len(x))
        return (x * 2,)

    replayed = GraphedFunction(doubled, torch.cuda.graph_pool_handle())
    for length in [*range(1, KEPT + 2), KEPT + 1, 1]:
        (result,) = replayed(torch.arange(length, device="cuda"))
        assert result.tolist() == list(range(0, 2 * length, 2))
    # Each recording calls it twice, the second time to be recorded; a replay does not.
    made = [*range(1, KEPT + 2), 1]
    assert calls == [length for length in made for _ in range(2)]


@pytest.mark.gpu
@torch.inference_mode()
def test_a_recording_that_fails_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    def waits(x: torch.Tensor) -> tuple[torch.Tensor]:
        doubled = x * 2
        torch.cuda.synchronize()
        return (doubled,)

    replayed = GraphedFunction(waits, torch.cuda.graph_pool_handle())
    for length in (3, 4, 3, *[5] * TRIES):
        (result,) = replayed(torch.arange(length, device="cuda"))
        assert result.tolist() == list(range(0, 2 * length, 2))
    assert [record.levelname for record in caplog.records] == ["WARNING"] * TRIES
    # Neither the stream nor other recordings have suffered.
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    healthy = GraphedFunction(lambda x: (x + 1,), torch.cuda.graph_pool_handle())
    assert [healthy(torch.arange(2, device="cuda"))[0].tolist() for _ in range(2)] == [[1, 2]] * 2
    assert len(caplog.records) == TRIES


@pytest.mark.gpu
def test_a_stream_sees_the_same_with_graphs_and_without(net: VisTR) -> None:
    plain, graphed = (VistrPredictor(net, 0.0, graphs=graphs) for graphs in (False, True))
    epoch = make_epoch(size=(128, 192))
    scheduler = WindowScheduler(4, 3)
    for index in range(11):
        window = scheduler.add(make_frame(index, epoch))
        for predictor in (plain, graphed):
            predictor.encode_ahead(scheduler.waiting)
        if window is not None:
            expected, actual = plain.predict(window), graphed.predict(window)
            assert np.allclose(actual.scores, expected.scores, atol=1e-5)
            assert np.allclose(actual.masks, expected.masks, atol=1e-4)


def test_without_cuda_there_are_none() -> None:
    epoch, scheduler = make_epoch(size=(64, 64)), WindowScheduler(4, 4)
    *_, window = (scheduler.add(make_frame(index, epoch)) for index in range(4))
    assert window is not None
    assert len(VistrPredictor(tiny_vistr(), 0.0, graphs=True).predict(window)) > 0
