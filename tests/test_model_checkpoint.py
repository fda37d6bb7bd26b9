from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import threading
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from model import LIGHT, CheckpointError, checkpoint, load_vistr, save_vistr
from model.categories import YOUTUBE_VIS_2019
from model.checkpoint import DEFAULT_WEIGHTS
from model.folding import fold_batch_norms
from model.initialise import random_tensors
from tests.checkpoints import TINY_RESNET, assert_same_weights, refusal, save_published
from tests.processes import ROOT
from tests.tiny_vistr import save_tiny_vistr, tiny_vistr


def test_safetensors_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    saved = save_tiny_vistr(path, frames=5, slots=3, classes=7, short_side=80)
    net = load_vistr(str(path))
    assert net.architecture == saved.architecture
    assert net.categories == saved.categories
    assert net.trained
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())
    assert_same_weights(net, saved.state_dict())
    images = torch.rand(5, 3, 40, 56)
    assert torch.equal(net(images).masks, saved(images).masks)


def test_half_precision_files_load_as_float32(tmp_path: Path) -> None:
    save_vistr(tiny_vistr(trained=False).to(torch.bfloat16), tmp_path / "half.safetensors")
    net = load_vistr(tmp_path / "half.safetensors")
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    assert not net.trained


def test_a_network_does_not_follow_later_changes_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    saved = save_tiny_vistr(path)
    net = load_vistr(path)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert_same_weights(net, saved.state_dict())


def test_a_link_that_is_saved_to_stays(tmp_path: Path) -> None:
    link, target = tmp_path / "latest.safetensors", tmp_path / "a.safetensors"
    link.symlink_to(target.name)
    saved = save_tiny_vistr(link)
    assert link.is_symlink()
    assert_same_weights(load_vistr(target), saved.state_dict())


def test_a_saved_file_has_the_mode_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    path = tmp_path / "tiny.safetensors"
    save_tiny_vistr(path)
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode
    path.chmod(0o604)
    save_tiny_vistr(path)
    assert path.stat().st_mode & 0o777 == 0o604


def test_saving_wants_the_ending_that_loading_goes_by(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"net\.pth', expected a name ending in \.safetensors"):
        save_vistr(tiny_vistr(), tmp_path / "net.pth")


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    net = tiny_vistr()
    fold_batch_norms(net)
    with pytest.raises(ValueError, match="batch norms are folded; save it before that"):
        save_vistr(net, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"backbone": "resnet101"}, "backbone is resnet18, as its tensors show, not resnet101"),
        ({"categories": ["cat"]}, "categories has 1 names; the weights have 5 classes"),
    ],
)
def test_a_request_that_does_not_fit_is_refused(
    tmp_path: Path, request_: dict[str, Any], message: str
) -> None:
    path = save_published(tmp_path / "net.pth", random_tensors(TINY_RESNET, 0))
    assert message in refusal(path, **request_)


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda tensors: tensors.pop(key)


def _with(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda tensors: tensors.update({key: value})


def _negative(tensors: dict[str, Any]) -> None:
    tensors["vistr.backbone.0.body.bn1.running_var"][3] = -0.5


def _nan(tensors: dict[str, Any]) -> None:
    tensors["mask_head.lay3.bias"][5] = float("nan")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without("mask_head.gn2.bias"), "key 'mask_head.gn2.bias' is missing, expected [24]"),
        (_without("vistr.query_embed.weight"), "key 'vistr.query_embed.weight' is missing"),
        (_with("extra.weight", torch.zeros(1)), "key 'extra.weight' is not part of this network"),
        (
            _with("vistr.input_proj.bias", torch.zeros(47)),
            "key 'vistr.input_proj.bias' has shape [47], expected [48]",
        ),
        (
            _with("vistr.class_embed.weight", torch.zeros(3)),
            "key 'vistr.class_embed.weight' is no tensor with 2 dimensions",
        ),
        (_with("vistr.query_embed.weight", "x"), "'vistr.query_embed.weight' is no tensor"),
        (
            _with("mask_head.lay1.bias", torch.zeros(52, dtype=torch.int64)),
            "key 'mask_head.lay1.bias' is no floating-point tensor",
        ),
        (_nan, "key 'mask_head.lay3.bias' has NaN or infinite values"),
        (
            _with("mask_head.lay3.bias", torch.full((12,), 1e300, dtype=torch.float64)),
            "key 'mask_head.lay3.bias' has NaN or infinite values in float32",
        ),
        (
            _with("mask_head.lay3.bias", torch.zeros(12).to_sparse()),
            "key 'mask_head.lay3.bias' is no tensor of numbers in memory",
        ),
        (
            _negative,
            "key 'vistr.backbone.0.body.bn1.running_var' has values below 0, as no variance has",
        ),
        (
            _with("vistr.input_proj.bias", torch.zeros(1).expand(48)),
            "key 'vistr.input_proj.bias' has 48 numbers, of which 1 is stored",
        ),
        (_with(7, torch.zeros(1)), "'model' has the key 7, expected names"),
        (
            _with("vistr.backbone.0.body.layer3.2.conv1.weight", torch.zeros(1)),
            "unknown backbone with 3 plain blocks under 'vistr.backbone.0.body.layer3.'; known",
        ),
        (
            _with("mask_head.lay1.weight", torch.zeros(48, 48, 3, 3)),
            "heads is 0; expected at least 1",
        ),
    ],
)
def test_damaged_weights_are_named(
    tmp_path: Path, damage: Callable[[dict[str, Any]], object], message: str
) -> None:
    tensors = random_tensors(TINY_RESNET, 0)
    damage(tensors)
    assert message in refusal(save_published(tmp_path / "net.pth", tensors))


def test_step_counters_of_batch_norm_are_ignored(tmp_path: Path) -> None:
    tensors = random_tensors(TINY_RESNET, 0)
    counter = {"vistr.backbone.0.body.bn1.num_batches_tracked": torch.tensor(7)}
    net = load_vistr(save_published(tmp_path / "net.pth", {**tensors, **counter}))
    assert_same_weights(net, tensors)


def test_weights_of_a_parallel_wrapper_are_known_without_its_prefix(tmp_path: Path) -> None:
    tensors = random_tensors(TINY_RESNET, 0)
    wrapped = {f"module.{key}": tensor for key, tensor in tensors.items()}
    path = save_published(tmp_path / "net.pth", wrapped)
    assert_same_weights(load_vistr(path), tensors)
    wrapped["extra.weight"] = torch.zeros(1)
    assert refusal(save_published(path, wrapped)).startswith("key 'vistr.query_embed.weight' is m")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pre_norm": True}, "args.pre_norm is on; only post-norm weights are supported"),
        (
            {"position_embedding": "learned"},
            "args.position_embedding is 'learned', expected 'sine'",
        ),
        ({"num_frames": "36"}, "args.num_frames is '36', expected a positive integer"),
        (
            {"num_frames": torch.zeros(2, 2)},
            "args.num_frames is tensor([[0., 0.], [0., 0.]]), expected a positive integer",
        ),
        ({"pre_norm": torch.zeros(3)}, "args.pre_norm is tensor([0., 0., 0.]), expected True or F"),
        ({"dilation": torch.zeros(3)}, "args.dilation is tensor([0., 0., 0.]), expected True or F"),
        ({"dilation": "False"}, "args.dilation is 'False', expected True or False"),
        ({"dilation": 2}, "args.dilation is 2, expected True or False"),
        (
            {"position_embedding": torch.zeros(2, 2)},
            "args.position_embedding is tensor([[0., 0.], [0., 0.]]), expected 'sine'",
        ),
        ({"num_queries": 360}, "has 72 rows, expected 360 as args.num_queries says"),
        ({"dilation": True}, "dilation is on; only resnet50 and resnet101, not resnet18"),
    ],
)
def test_arguments_that_cannot_be_are_named(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    tensors = random_tensors(TINY_RESNET, 0)
    path = save_published(tmp_path / "net.pth", tensors, args=Namespace(**arguments))
    assert message in refusal(path)


@pytest.mark.parametrize("arguments", [None, Namespace(), {"dilation": 0, "pre_norm": False}])
def test_arguments_may_say_nothing(tmp_path: Path, arguments: object) -> None:
    tensors = random_tensors(TINY_RESNET, 0)
    net = load_vistr(save_published(tmp_path / "net.pth", tensors, args=arguments))
    assert (net.frames, net.architecture.dilation) == (36, False)


@pytest.mark.parametrize("name", ["frames", "slots"])
def test_a_request_that_is_no_whole_number_is_named(name: str) -> None:
    for value in (4.0, "4", True):
        wrong: dict[str, Any] = {name: value}
        with pytest.raises(CheckpointError, match=f"{name} is {value!r}, expected a whole number"):
            load_vistr(**wrong)
    default = load_vistr()
    fits: dict[str, Any] = {name: np.int64(getattr(default, name))}
    assert getattr(load_vistr(**fits), name) == getattr(default, name)


def test_files_may_be_read_on_several_threads_at_once(tmp_path: Path) -> None:
    tensors = random_tensors(TINY_RESNET, 0)
    path = save_published(tmp_path / "net.pth", tensors, args=Namespace(num_frames=36))
    before = list(warnings.filters), set(torch.serialization.get_safe_globals())
    start, refused = threading.Barrier(4), []

    def load() -> None:
        start.wait()
        for _ in range(4):
            try:
                load_vistr(path)
            except CheckpointError as error:
                refused.append(error)

    threads = [threading.Thread(target=load) for _ in range(4)]
    switched_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switched_s)
    assert not refused
    assert (list(warnings.filters), set(torch.serialization.get_safe_globals())) == before


def test_a_program_may_allow_the_same_by_itself(tmp_path: Path) -> None:
    """Neither takes it from the other."""
    tensors = random_tensors(TINY_RESNET, 0)
    path = save_published(tmp_path / "net.pth", tensors, args=Namespace(num_frames=36))
    with torch.serialization.safe_globals([Namespace]):
        for _ in range(2):
            load_vistr(path)
            torch.load(path, weights_only=True)
    load_vistr(path)


def test_categories_come_from_whoever_knows_them(tmp_path: Path) -> None:
    tensors = random_tensors(TINY_RESNET, 0)
    path = save_published(tmp_path / "net.pth", tensors)
    names = ("cat", "dog", "red panda", "eel", "owl")
    listing = tmp_path / "names.txt"
    listing.write_text("cat\ndog\n red panda\neel\nowl\n\n", encoding="utf-8")
    assert load_vistr(path).categories[1:] == tuple(f"class_{n}" for n in range(1, 6))
    assert load_vistr(path, categories=names).categories == ("background", *names)
    assert load_vistr(path, categories=str(listing)).categories == ("background", *names)
    for name in ("a\0", "\ud800"):  # no file can have these
        with pytest.raises(CheckpointError, match=r"categories file .*: \S"):
            load_vistr(categories=name)
    with pytest.raises(CheckpointError, match=r"categories file '.*absent.txt': No such file"):
        load_vistr(path, categories=tmp_path / "absent.txt")
    with pytest.raises(CheckpointError, match=r"categories file '': Is a directory"):
        load_vistr(path, categories="")
    listing.write_text("cat\ndog\nred panda\neel\nowl\n", encoding="utf-8-sig")
    assert load_vistr(path, categories=listing).categories == ("background", *names)
    listing.write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match=r"categories file .*: not UTF-8 text"):
        load_vistr(path, categories=listing)


@pytest.mark.parametrize("name", [1, b"cat", "\ud800", "x" * 1001, "\x1b[31mcat"])
def test_what_no_reader_takes_for_a_categorys_name_is_refused(tmp_path: Path, name: Any) -> None:
    names = ["cat", "dog", "red panda", "eel", name]
    path = save_published(tmp_path / "net.pth", random_tensors(TINY_RESNET, 0))
    expected = f"categories has {name!r:.50}, expected names: texts of at most 1000 characters"
    expected += ", none of them a control character"
    assert refusal(path, categories=names) == expected
    if not isinstance(name, str):
        return
    path = tmp_path / "net.safetensors"
    save_file(tiny_vistr().state_dict(), path, {"frames": "4", "categories": json.dumps(names)})
    assert refusal(path) == expected


def test_the_default_ships_with_the_project_and_says_what_it_is() -> None:
    net = load_vistr()
    assert net.trained
    assert net.architecture == replace(LIGHT, short_side=net.short_side)
    assert net.categories == ("background", *YOUTUBE_VIS_2019)
    assert DEFAULT_WEIGHTS.stat().st_size < 25e6
    assert {"categories", "data", "recipe", "seed"} <= set(net.facts["trained_on"])
    assert net.facts["commit"]
    assert net.facts["evaluation"]
    with pytest.raises(CheckpointError, match=r"default\.safetensors: frames is 36 in the weights"):
        load_vistr(frames=12)


def test_a_default_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "DEFAULT_WEIGHTS", tmp_path / "default.safetensors")
    with pytest.raises(CheckpointError, match=r"default\.safetensors: no such file"):
        load_vistr()


class _Malicious:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    path = tmp_path / "evil.pth"
    torch.save({"model": {}, "args": _Malicious(f"touch {proof}")}, path)
    assert refusal(path).startswith("holds posix.system, which may run code; expected tensors")
    assert not proof.exists()
    torch.save({"model": {}, "args": Namespace(output=PurePosixPath("x"))}, path)
    # Python 3.13 has it in pathlib._local.
    assert re.match(r"holds pathlib\.\S*PurePosixPath, which may run code", refusal(path))
    path.write_bytes(pickle.dumps(_Malicious(f"touch {proof}"), protocol=4))
    assert "\n" not in refusal(path)
    assert not proof.exists()
    torch.save({"model": {}}, path, _use_new_zipfile_serialization=False)
    assert refusal(path).startswith("key 'vistr.query_embed.weight' is missing")


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.pth") == "no such file"
    assert refusal(tmp_path).startswith("is not a file")
    assert refusal(tmp_path / ("x" * 999)) == "File name too long"


@pytest.mark.parametrize("kind", [str, Path])
def test_a_url_is_called_so_without_what_may_be_secret_in_it(kind: type[str] | type[Path]) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_vistr(kind("https://user:password@host/vistr_r50.pth?token=1"))
    assert str(caught.value) == "weights are at a URL (https://…), expected a file"


LOAD_WITH_LITTLE_MEMORY = """
import resource, sys, torch
from model import CheckpointError, load_vistr

torch.set_num_threads(1)  # a new thread takes address space, too
path, more = sys.argv[1], int(sys.argv[2])
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)
try:
    load_vistr(path)
except CheckpointError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("net.pth", 10e6),  # which is read
        ("net.pth", 60e6),  # and then converted
        ("net.safetensors", 10e6),  # which is mapped by Safetensors
        ("net.safetensors", 50e6),  # and by PyTorch
    ],
)
def test_no_memory_is_no_damage(tmp_path: Path, name: str, more: float) -> None:
    tensors = random_tensors(replace(TINY_RESNET, slots=10_000), 0)
    key = "vistr.query_embed.weight"
    tensors[key] = tensors[key].half()  # 35 MB, of which float32 makes 69
    path = tmp_path / name
    if name.endswith(".pth"):
        save_published(path, tensors)
    else:
        save_file(tensors, path)
    program = [sys.executable, "-c", LOAD_WITH_LITTLE_MEMORY, str(path), str(int(more))]
    done = subprocess.run(program, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == f"{path}: there is not enough memory to load it\n", done.stderr


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_what_may_not_be_read_is_not_called_damaged(name: str) -> None:
    user = os.geteuid()
    with TemporaryDirectory() as folder:  # which anybody may enter, unlike `tmp_path`
        Path(folder).chmod(0o755)
        path = Path(folder) / name
        path.touch(0)
        os.seteuid(user or 65534)  # root may read everything
        try:
            assert refusal(path) == "Permission denied"
        finally:
            os.seteuid(user)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_truncated_files_are_named(tmp_path: Path, name: str, kept: float) -> None:
    path = tmp_path / name
    if name.endswith(".pth"):
        save_published(path, tiny_vistr().state_dict())
    else:
        save_tiny_vistr(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    assert "truncated, damaged or not a" in refusal(path)


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_an_empty_file_is_called_so(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    expected = "is empty, expected a .pth or .safetensors checkpoint"
    assert refusal(tmp_path / name) == expected


def test_what_pytorch_says_of_a_damaged_file_is_shown_whole(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"")
    damaged = "truncated, damaged or not a checkpoint"
    reason = "RuntimeError: file in archive is not in a subdirectory: data.pkl"
    assert refusal(path) == f"{damaged} ({reason})"
    path.write_bytes(pickle.dumps(torch.serialization.MAGIC_NUMBER, protocol=2))
    assert refusal(path) == f"{damaged} (EOFError)"  # which says nothing more


@pytest.mark.parametrize(
    "content",
    [b"\x00" * 100, b"not a checkpoint", b"\x89PNG\r\n\x1a\n" + bytes(50), b"\x80\x02]q\x00."],
)
@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_what_is_no_checkpoint_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = refusal(path)
    assert "not a checkpoint" in message or "not a safetensors file" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"state_dict": {}, "epoch": 3},
            "holds dict ('state_dict', 'epoch'), expected a dict with",
        ),
        ({"model": [1]}, "holds dict ('model'), expected a dict with the weights under 'model'"),
        (
            {"step": 3, "trainee": {}},
            "is the checkpoint of a training run; `python -m training.ship` makes weights of it",
        ),
        ({"a\nb": 1}, r"holds dict ('a\nb'), expected a dict with"),
        ([1, 2], "holds list (no keys), expected a dict with the weights under 'model'"),
        ({"model": {}, "args": [1]}, "'args' is list, expected a Namespace"),
    ],
)
def test_another_structure_is_named(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "net.pth")
    assert message in refusal(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"frames": "0"}, "metadata 'frames' is '0', expected a positive integer"),
        ({"slots": "three"}, "metadata 'slots' is 'three', expected a positive integer"),
        ({"dilation": "1"}, "metadata 'dilation' is '1', expected true or false"),
        ({"facts": "[" * 100_000}, "metadata 'facts' is '[[["),
        (
            {"short_side": "1000000", "frames": "4"},
            "short_side is 1000000; expected from 32 to 4320",
        ),
        (
            {"categories": '{"1": "cat"}'},
            "metadata 'categories' is '{\"1\": \"cat\"}', expected a JSON",
        ),
    ],
)
def test_wrong_metadata_is_named(tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    path = tmp_path / "net.safetensors"
    save_file(tiny_vistr().state_dict(), path, metadata)
    assert message in refusal(path)


def test_safetensors_without_metadata_load_with_a_request(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(tiny_vistr(frames=4, slots=3).state_dict(), path)
    net = load_vistr(path, frames=4)
    assert (net.frames, net.slots, net.short_side, net.trained) == (4, 3, 300, True)
    assert np.isfinite(net(torch.zeros(4, 3, 32, 32)).masks.numpy()).all()
