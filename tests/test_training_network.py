"""The network as it is trained, against the plain network that it becomes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model import load_vistr, save_vistr
from model.position import sine_positions
from model.preprocess import normalise
from tests.tiny_vistr import tiny_vistr
from tests.training_cases import random_batch, tiny_trainee
from training.network import Outputs, Trainee, window_times
from training.targets import Batch

WINDOW = 6
SLOTS = 3


def every_slot(trainee: Trainee, outputs: Outputs) -> Tensor:
    """Mask logits [B, K, T, h4, w4]."""
    count, slots = len(outputs.memory), trainee.net.slots
    pairs = torch.cartesian_prod(torch.arange(count), torch.arange(slots))
    return trainee.masks(outputs, *pairs.unbind(1)).unflatten(0, (count, slots))


def clip_of(batch: Batch, row: int) -> Batch:
    """One clip by itself, without its padding."""
    real = batch.present[row]
    parts = {
        name: getattr(batch, name)[row : row + 1, real]
        for name in ("labels", "boxes", "visible", "masks")
    }
    return Batch(batch.frames[row : row + 1], batch.times[row : row + 1], **parts)


@pytest.mark.parametrize("deformable", [False, True])
@pytest.mark.parametrize("frames", [6, 3, 2, 1])
def test_answers_are_those_of_the_exported_network(frames: int, deformable: bool) -> None:
    trainee = tiny_trainee(WINDOW, SLOTS, groups=2, deformable=deformable).double()
    batch = random_batch([[2, 1], [3]], frames=frames, window=WINDOW)
    with torch.no_grad():
        outputs = trainee(batch)
        masks = every_slot(trainee, outputs)
        plain = trainee.export(frames)
        for row in range(2):
            expected = plain(normalise(batch.frames[row], torch.float64))
            # The position encoding adds 1e-6 to the length of either window, in float32.
            near = {"atol": 1e-5, "rtol": 1e-5} if frames < WINDOW else {"atol": 1e-9, "rtol": 1e-9}
            torch.testing.assert_close(outputs.logits[-1, row, 0], expected.logits, **near)
            torch.testing.assert_close(outputs.boxes[-1, row, 0], expected.boxes, **near)
            torch.testing.assert_close(masks[row].transpose(0, 1), expected.masks, **near)


def test_a_full_window_of_36_frames_is_that_of_the_exported_network() -> None:
    trainee = tiny_trainee(36, 2).double()
    batch = random_batch([[2]], frames=36, window=36, size=(64, 70))
    with torch.no_grad():
        outputs = trainee(batch)
        expected = trainee.export(36)(normalise(batch.frames[0], torch.float64))
        masks = every_slot(trainee, outputs)[0].transpose(0, 1)
    torch.testing.assert_close(outputs.logits[-1, 0, 0], expected.logits)
    torch.testing.assert_close(outputs.boxes[-1, 0, 0], expected.boxes)
    torch.testing.assert_close(masks, expected.masks)


def test_clips_of_a_batch_do_not_see_each_other_nor_the_padding() -> None:
    trainee = tiny_trainee(WINDOW, SLOTS, groups=2).double()
    batch = random_batch([[2, 1, 5], [3]], window=WINDOW)
    batch = replace(batch, times=torch.tensor([[0, 2, 5], [1, 3, 5]]))
    with torch.no_grad():
        together = trainee(batch)
        masks = every_slot(trainee, together)
        for row in range(2):
            alone = trainee(clip_of(batch, row))
            torch.testing.assert_close(together.logits[:, row], alone.logits[:, 0])
            torch.testing.assert_close(together.boxes[:, row], alone.boxes[:, 0])
            torch.testing.assert_close(masks[row], every_slot(trainee, alone)[0])


def test_groups_of_slots_do_not_see_each_other() -> None:
    trainee = tiny_trainee(WINDOW, SLOTS, groups=3).double()
    alone = Trainee(trainee.net, 1).double()
    alone.moments = trainee.moments
    batch = random_batch([[2], [1]], window=WINDOW)
    with torch.no_grad():
        together = trainee(batch)
        alone.shared[:] = trainee.shared[:1]
        torch.testing.assert_close(alone(batch).logits, together.logits[:, :, :1])
        # The other groups have no rows of their own.
        alone.net.vistr.query_embed.weight.zero_()
        alone.shared[:] = trainee.shared[2:]
        torch.testing.assert_close(alone(batch).logits, together.logits[:, :, 2:])


def test_every_layer_answers_with_the_shared_heads() -> None:
    trainee = tiny_trainee(WINDOW, SLOTS, groups=2)
    with torch.no_grad():
        outputs = trainee(random_batch([[2], [1]], window=WINDOW))
        assert outputs.logits.shape == (2, 2, 2, 3, SLOTS, 7)
        assert outputs.boxes.shape == (2, 2, 2, 3, SLOTS, 4)
        last = trainee.net.vistr.class_embed(outputs.embeddings)
        tokens = trainee.tokens(outputs)
        by_hand = trainee.token_heads[1](outputs.memory[1, 2, :, 0, 1])
        before = trainee.token_heads[0](outputs.features.projected[3 + 2, :, 0, 1])
    torch.testing.assert_close(outputs.logits[-1, :, 0], last)
    assert not torch.allclose(outputs.logits[0], outputs.logits[1])
    assert tokens.shape == (2, 2, 3, 6 + 4, *outputs.memory.shape[-2:])
    torch.testing.assert_close(tokens[0, 1, 2, :, 0, 1], before)
    torch.testing.assert_close(tokens[1, 1, 2, :, 0, 1], by_hand)


def test_masks_are_those_of_the_slots_asked_for() -> None:
    trainee = tiny_trainee(WINDOW, SLOTS)
    with torch.no_grad():
        outputs = trainee(random_batch([[2], [1]], window=WINDOW))
        all_masks = every_slot(trainee, outputs)
        clips, slots = torch.tensor([1, 0, 1]), torch.tensor([1, 2, 1])
        some = trainee.masks(outputs, clips, slots)
    torch.testing.assert_close(some, all_masks[clips, slots])


def test_queries_are_their_own_row_and_what_slot_and_frame_share() -> None:
    trainee = tiny_trainee(WINDOW, SLOTS, groups=2)
    times = torch.tensor([[4], [1]])
    queries = trainee.queries(times)
    assert queries.shape == (2, 2, 1, SLOTS, 48)
    own = trainee.net.vistr.query_embed.weight
    for clip, time in enumerate((4, 1)):
        for slot in range(SLOTS):
            common = trainee.shared[:, slot] + trainee.moments[time]
            torch.testing.assert_close(
                queries[clip, 0, 0, slot], common[0] + own[time * SLOTS + slot]
            )
            torch.testing.assert_close(queries[clip, 1, 0, slot], common[1])


def test_a_fresh_trainee_of_a_network_answers_as_the_network_does() -> None:
    net = tiny_vistr(4, 3)
    batch = random_batch([[2]], frames=4, window=4)
    expected = net(normalise(batch.frames[0], torch.float32))
    trainee = Trainee(net, groups=2)
    assert all(parameter.requires_grad for parameter in trainee.parameters())
    with torch.no_grad():
        torch.testing.assert_close(trainee(batch).logits[-1, 0, 0], expected.logits)
        assert not trainee.tokens(trainee(batch)).any()


def test_exported_networks_are_saved_and_loaded_and_left_alone_by_training(tmp_path: Path) -> None:
    trainee = tiny_trainee(WINDOW, SLOTS, groups=2)
    plain = trainee.export(3)
    images = normalise(random_batch([[2]]).frames[0], torch.float32)
    before = plain(images).logits
    save_vistr(plain, tmp_path / "net.safetensors")
    loaded = load_vistr(tmp_path / "net.safetensors")
    assert (loaded.frames, loaded.slots, loaded.trained) == (3, SLOTS, True)
    assert loaded.categories == trainee.net.categories
    torch.testing.assert_close(loaded(images).logits, before)
    with torch.no_grad():
        for tensor in trainee.state_dict().values():
            tensor.zero_()
    torch.testing.assert_close(plain(images).logits, before)
    assert not before.requires_grad


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 6, 9, 12, 18, 36])
def test_a_shorter_window_has_its_frames_positions_in_the_full_one(frames: int) -> None:
    times = window_times(frames, 36)
    full = sine_positions((36, 2, 3), 48).view(36, 6, 48)
    short = sine_positions((frames, 2, 3), 48).view(frames, 6, 48)
    torch.testing.assert_close(full[times], short, atol=1e-5, rtol=0)


@pytest.mark.parametrize("frames", [0, -1, 5, 72])
def test_windows_that_do_not_divide_the_full_one_are_refused(frames: int) -> None:
    with pytest.raises(ValueError, match=rf"frames is {frames}, expected a divisor of .* 36"):
        window_times(frames, 36)


def test_gradients_are_the_same_each_time_on_several_threads() -> None:
    """Places of a window and clips come several times in a batch: their gradients add up."""
    trainee = tiny_trainee(36, 30)
    times = torch.arange(60)[:, None] % 9
    weights = torch.randn(60, 1, 1, 30, 48, generator=torch.Generator().manual_seed(0))

    def gradient() -> Tensor:
        trainee.zero_grad()
        (trainee.queries(times) * weights).sum().backward()
        grad = trainee.net.vistr.query_embed.weight.grad
        assert grad is not None
        return grad.clone()

    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        first = gradient()
        assert all(torch.equal(gradient(), first) for _ in range(50))
    finally:
        torch.set_num_threads(threads)
