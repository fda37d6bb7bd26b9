"""What runs start from, and what they keep."""

from __future__ import annotations

import re
import weakref
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from model import LIGHT, VisTR, load_vistr
from model.preprocess import normalise
from streamer.errors import CheckpointError, SinkError
from tests.file_limit import files_of_at_most
from tests.tiny_vistr import save_tiny_vistr, tiny_vistr
from tests.training_cases import random_batch, tiny_trainee
from training import state
from training.assets import BACKBONE, DEFAULT_FOLDER
from training.network import Trainee
from training.state import (
    checkpoint,
    fresh_network,
    known_categories,
    load_trainee,
    read_checkpoint,
    read_tensors,
    short_sided,
    tensors_sha256,
    with_categories,
    with_groups,
    write_checkpoint,
    write_network,
)
from training.time_code import CHANNELS

PLACES = (DEFAULT_FOLDER, Path(__file__).parents[2] / "shared" / "assets")


def pretrained_features() -> nn.Module:
    """torchvision's MobileNetV2 with statistics that tell its layers apart."""
    torch.manual_seed(3)
    features = torchvision.models.mobilenet_v2(weights=None).features
    for tensor in features.state_dict().values():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5)
    return features.eval()


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like the assets': torchvision's tensors in order, under other names."""
    tensors = pretrained_features().state_dict()
    renamed = {f"{n}.{key.split('.')[-1]}": tensors[key] for n, key in enumerate(tensors)}
    path = tmp_path_factory.mktemp("weights") / "imagenet.pt"
    torch.save(renamed, path)
    return path


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(first[key], second[key]) for key in first)


def test_the_backbone_computes_what_imagenets_network_does(imagenet: Path) -> None:
    backbone = fresh_network(imagenet, seed=0).net.vistr.backbone[0]
    features = pretrained_features()
    images = normalise(random_batch([[]], size=(64, 70)).frames[0], torch.float32)
    with torch.no_grad():
        for level, end in zip(backbone(images), (4, 7, 14, 18), strict=True):
            torch.testing.assert_close(level, features[:end](images))


def test_the_assets_tensors_land_on_torchvisions_names() -> None:
    path = next((folder / BACKBONE for folder in PLACES if (folder / BACKBONE).exists()), None)
    if path is None:
        pytest.skip("the assets are not here: python -m training.fetch brings them")
    tensors = torch.load(path, weights_only=True)
    own = fresh_network(path, seed=0).net.vistr.backbone[0].body.state_dict()
    landed = set()
    names = torchvision.models.mobilenet_v2(weights=None).features.state_dict()
    for (key, tensor), name in zip(tensors.items(), names, strict=True):
        assert key.split(".")[-1] == name.split(".")[-1]
        if name in own:
            assert torch.equal(own[name], tensor)
            landed.add(name)
    assert landed == set(own)


def test_fresh_networks_depend_on_their_seed_alone(imagenet: Path) -> None:
    first = fresh_network(imagenet, seed=5).state_dict()
    torch.rand(7)
    assert same(first, fresh_network(imagenet, seed=5).state_dict())
    other = fresh_network(imagenet, seed=6).state_dict()
    for key in ("shared", "net.vistr.class_embed.weight", "net.insmask_head.9.weight"):
        assert not torch.equal(first[key], other[key])


def test_slots_are_apart_at_first_by_what_frames_share(imagenet: Path) -> None:
    trainee = fresh_network(imagenet, seed=0)
    assert not trainee.net.vistr.query_embed.weight.any()
    assert trainee.shared.shape == (1, LIGHT.slots, LIGHT.hidden_dim)
    assert 0.9 < trainee.shared.std() < 1.1


def test_fresh_masks_see_their_slots(imagenet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spread() -> Tensor:
        """How far apart the masks of three slots are, in their own spread over pixels."""
        trainee = fresh_network(imagenet, seed=0)
        answers = trainee(random_batch([[2]], frames=1, window=36, size=(96, 128)))
        masks = trainee.masks(answers, torch.zeros(3, dtype=torch.int64), torch.arange(3))
        return masks.std(0).mean() / masks.std()

    with torch.no_grad():
        seen = spread()
        monkeypatch.setattr(state, "ATTENTION_GAIN", 1.0)
        assert seen > 10 * spread()


def test_frames_are_apart_at_first(imagenet: Path) -> None:
    head = fresh_network(imagenet, seed=0).net.insmask_head
    for index in (0, 3, 6):
        taps = head[index].weight.abs().sum((0, 1, 3, 4))
        assert taps[1] > 0
        assert taps[[0, 2]].tolist() == [0, 0]
    assert head[9].weight.any()


def test_fresh_queries_know_their_time(imagenet: Path) -> None:
    waves = fresh_network(imagenet, seed=0).moments[:, :CHANNELS]
    assert len(waves.unique(dim=0)) == LIGHT.frames


def test_weights_that_are_not_imagenets_are_refused(imagenet: Path, tmp_path: Path) -> None:
    tensors = torch.load(imagenet, weights_only=True)
    torch.save(dict(list(tensors.items())[:200]), tmp_path / "short.pt")
    with pytest.raises(CheckpointError, match=r"short\.pt: 167 tensors, expected at least 255"):
        fresh_network(tmp_path / "short.pt", seed=0)
    tensors[next(iter(tensors))] = torch.zeros(4)
    torch.save(tensors, tmp_path / "other.pt")
    with pytest.raises(
        CheckpointError, match=r"body\.0\.0\.weight has shape \[4\], expected \[32,"
    ):
        fresh_network(tmp_path / "other.pt", seed=0)


def adam(trainee: Trainee) -> torch.optim.AdamW:
    """An optimiser that has made a step."""
    optimiser = torch.optim.AdamW(trainee.parameters(), lr=0.01)
    torch.stack([parameter.square().sum() for parameter in trainee.parameters()]).sum().backward()
    optimiser.step()
    return optimiser


def test_a_checkpoint_holds_all_that_a_run_needs(tmp_path: Path) -> None:
    trainee = tiny_trainee(groups=2)
    optimiser = adam(trainee)
    write_checkpoint(tmp_path / "a.pt", checkpoint(trainee, optimiser, 7, 96))
    restored = load_trainee(tmp_path / "a.pt")
    assert restored.net.architecture == replace(trainee.net.architecture, short_side=96)
    assert restored.net.categories == trainee.net.categories
    assert same(restored.state_dict(), trainee.state_dict())
    saved = read_checkpoint(tmp_path / "a.pt")
    assert saved["step"] == 7
    other = torch.optim.AdamW(restored.parameters())
    other.load_state_dict(saved["optimiser"])
    assert other.param_groups[0]["lr"] == 0.01
    moments = [list(o.state_dict()["state"].values()) for o in (optimiser, other)]
    assert all(same(*pair) for pair in zip(*moments, strict=True))


def test_a_run_starts_from_a_networks_weights(tmp_path: Path) -> None:
    net = save_tiny_vistr(tmp_path / "net.safetensors", frames=4, slots=3)
    trainee = load_trainee(tmp_path / "net.safetensors")
    assert same(trainee.net.state_dict(), net.state_dict())
    assert same(trainee.export(4).state_dict(), net.state_dict())
    assert all(parameter.requires_grad for parameter in trainee.parameters())


def test_weights_may_have_the_ending_of_checkpoints(tmp_path: Path) -> None:
    net = tiny_vistr(frames=4, slots=3)
    # As the published ones.
    content = {"model": net.state_dict(), "args": Namespace(num_frames=4), "epoch": 17}
    torch.save(content, tmp_path / "net.pt")
    assert same(load_trainee(tmp_path / "net.pt").net.state_dict(), net.state_dict())


def test_the_default_weights_are_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trainee = load_trainee(Path("default"))
    assert tensors_sha256(trainee.net) == tensors_sha256(load_vistr())


def test_files_to_start_from_that_are_neither_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("no tensors")
    torch.save({"model": {}}, tmp_path / "other.pt")
    torch.save([1], tmp_path / "list.pt")
    (tmp_path / "text.safetensors").write_text("no tensors")
    for name in ("text.pt", "other.pt", "list.pt", "missing.pt", "text.safetensors"):
        with pytest.raises(CheckpointError, match=name):
            load_trainee(tmp_path / name)


BAD = "truncated, damaged or not a checkpoint"


def test_weights_with_the_ending_of_checkpoints_are_held_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"model": tiny_vistr(36, 1).state_dict()}, tmp_path / "net.pt")
    held: list[weakref.ref[Tensor]] = []

    def read_first(path: Path) -> dict[str, Any]:
        content = read_tensors(path)
        held.extend(weakref.ref(tensor) for tensor in content["model"].values())
        return content

    def read_then(path: Path) -> VisTR:
        assert held
        assert all(tensor() is None for tensor in held)
        return load_vistr(path)

    monkeypatch.setattr(state, "read_tensors", read_first)
    monkeypatch.setattr(state, "load_vistr", read_then)
    load_trainee(tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", rf"{BAD} \(EOFError\)"),
        (b"no tensors", "not a checkpoint, or damaged; expected what torch.save writes, or .*"),
        (b"PK\x03\x04" + bytes(99), rf"{BAD} \(RuntimeError: PytorchStreamReader failed [^.]*\)"),
        (None, "No such file or directory"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "cut.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        read_tensors(path)
    assert re.fullmatch(f"{re.escape(str(path))}: {reason}", str(error.value))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_are_kept_and_new_ones_begin_at_random(groups: int) -> None:
    trainee = tiny_trainee(groups=2)
    kept = trainee.shared.detach()[:groups].clone()
    other = with_groups(trainee, groups, seed=1)
    assert other.groups == groups
    assert torch.equal(other.shared[: len(kept)], kept)
    assert all(group.std() > 0.5 for group in other.shared)
    assert torch.equal(other.shared, with_groups(tiny_trainee(groups=2), groups, seed=1).shared)


def test_other_categories_begin_at_random_and_leave_the_rest() -> None:
    trainee = tiny_trainee(groups=2)
    assert with_categories(trainee, trainee.net.categories[1:], seed=0) is trainee
    before = trainee.state_dict()
    other = with_categories(trainee, ("cat", "dog"), seed=0)
    assert other.net.categories[1:] == ("cat", "dog")
    after = other.state_dict()
    changed = {key for key, tensor in before.items() if not torch.equal(tensor, after[key])}
    assert changed == {
        *("net.vistr.class_embed.weight", "net.vistr.class_embed.bias"),
        *(f"token_heads.{n}.{part}" for n in (0, 1) for part in ("weight", "bias")),
    }
    batch = random_batch([[2]])
    assert other(batch).logits.shape[-1] == 4
    assert other.tokens(other(batch)).shape[3] == 3 + 4


@pytest.mark.parametrize(
    ("names", "rows"),
    [(("Dog", "unicorn", "giant_panda"), {1: 2, 3: 3}), (("dog", "person"), {1: 2, 2: 1})],
)
def test_categories_that_the_weights_know_go_on(
    names: tuple[str, ...], rows: dict[int, int]
) -> None:
    before = tiny_trainee()
    before.net.categories = ("", "person", "dog", "giant panda", "car", "boat")
    after = with_categories(before, names, seed=0).net
    assert after.categories[1:] == names
    assert known_categories(before.net.categories[1:], names) == rows
    old, new = before.net.vistr.class_embed, after.vistr.class_embed
    for row, known in (rows | {0: 0, len(names) + 1: 6}).items():
        assert torch.equal(new.weight[row], old.weight[known])
        assert torch.equal(new.bias[row], old.bias[known])
    for row in set(range(1, len(names) + 1)) - set(rows):
        assert not (old.weight == new.weight[row]).all(1).any()


def test_weights_without_names_take_those_of_as_many_annotations() -> None:
    before = tiny_trainee()
    after = with_categories(before, tuple("abcde"), seed=0)
    assert after.net.categories[1:] == tuple("abcde")
    assert torch.equal(after.net.vistr.class_embed.weight, before.net.vistr.class_embed.weight)
    assert known_categories(before.net.categories[1:], tuple("abc")) == {}


def test_checkpoints_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, {"step": 1, "x": torch.arange(3)})
    with pytest.raises(AttributeError):
        write_checkpoint(path, {"step": 2, "x": lambda: None})
    assert read_tensors(path)["x"].tolist() == [0, 1, 2]
    write_checkpoint(path, {"step": 3})
    assert read_tensors(path) == {"step": 3}


def test_networks_are_kept_with_another_short_side(tmp_path: Path) -> None:
    net = save_tiny_vistr(tmp_path / "a.safetensors", classes=2)
    other = short_sided(net, 96)
    assert (other.short_side, other.trained, other.categories) == (96, True, net.categories)
    assert same(other.state_dict(), net.state_dict())


@pytest.mark.parametrize("count", [100, 10_000])  # the file says so at its end, or amidst
def test_a_file_that_does_not_fit_is_an_error_that_leaves_nothing(
    tmp_path: Path, count: int
) -> None:
    trainee = tiny_trainee()
    content = {str(i): torch.zeros(count) for i in range(20)}
    with files_of_at_most(10_000):
        with pytest.raises(SinkError, match=r"checkpoint\.pt: File too large$"):
            write_checkpoint(tmp_path / "checkpoint.pt", content)
        with pytest.raises(SinkError, match=r"net\.safetensors: "):
            write_network(trainee.net, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())
