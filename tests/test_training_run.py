"""A run, and that an interruption changes nothing of it."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model import load_vistr
from streamer.errors import CheckpointError, ConfigError, DeviceError, SinkError, SourceError
from streamer.signals import handled
from tests.json_lines import json_lines
from tests.tiny_vistr import save_tiny_vistr
from tests.training_cases import random_clip
from training.clip import Clip
from training.criterion import losses
from training.divergence import DivergedError
from training.feed import FeedError
from training.resume import alone
from training.run import Run
from training.run_config import DataConfig, TrainConfig
from training.sources import DrawnVideos
from training.state import load_trainee, read_checkpoint
from training.targets import Batch
from training.youtube_vis_writer import write_youtube_vis


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Four steps of a tiny network on a few small videos."""
    tmp_path = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    clips = {str(n): random_clip(rng, [1, 2], 4, (32, 48)) for n in range(4)}
    write_youtube_vis(tmp_path / "data", clips.items(), ["cat", "dog"])
    save_tiny_vistr(tmp_path / "start.safetensors")
    annotations, images = tmp_path / "data" / "annotations.json", tmp_path / "data" / "JPEGImages"
    return TrainConfig(
        out=tmp_path / "whole",
        start=tmp_path / "start.safetensors",
        data=DataConfig(
            annotations=annotations,
            images=images,
            val_annotations=shutil.copy(annotations, tmp_path / "data" / "val.json"),
            val_images=images,
        ),
        frames=2,
        consecutive=True,
        pixels=1,
        short_sides=(32,),
        steps=4,
        warmup=2,
        groups=2,
        checkpoint_every=3,
        evaluate_every=4,
        evaluate_clips=2,
        precision="fp32",
        device="cpu",
    )


@pytest.fixture(scope="module")
def whole(config: TrainConfig) -> TrainConfig:
    """The same, done."""
    Run(config).go()
    return config


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_interrupted_run_ends_as_if_it_had_not_been(whole: TrainConfig) -> None:
    parts = replace(whole, out=whole.out.with_name("parts"))
    interrupted = Run(parts)
    interrupted.stopping = True
    interrupted.go()
    assert interrupted.step == read_checkpoint(parts.out / "checkpoint.pt")["step"] == 1
    with (parts.out / "losses.jsonl").open("a") as log:
        log.write('{"step": 2, "label": 9.0}\n{"step": 3, "la')  # what a kill leaves behind
    resumed = Run(parts)
    assert resumed.step == 1
    resumed.go()
    first, second = (read_checkpoint(run.out / "checkpoint.pt") for run in (whole, parts))
    assert first["step"] == second["step"] == 4
    torch.testing.assert_close(dict(second["trainee"]), dict(first["trainee"]))
    torch.testing.assert_close(second["optimiser"]["state"], first["optimiser"]["state"])
    for name in ("losses.jsonl", "figures.jsonl"):
        lines = (json_lines(run.out / name) for run in (whole, parts))
        for one, other in zip(*lines, strict=True):
            assert one == pytest.approx(other, rel=1e-3)
    assert [entry["step"] for entry in json_lines(parts.out / "losses.jsonl")] == [1, 2, 3, 4]
    (figures,) = json_lines(parts.out / "figures.jsonl")
    assert figures["step"] == 4
    assert "person_AP50" not in figures  # of cats and dogs


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_goes_on_at_other_rates_with_the_moments_that_it_had(whole: TrainConfig) -> None:
    run = Run(replace(whole, rate=0.5, weight_decay=0))
    saved = read_checkpoint(whole.checkpoint)
    assert [group["full_rate"] for group in run._optimiser.param_groups] == [1e-5, 0.5]
    assert all(group["weight_decay"] == 0 for group in run._optimiser.param_groups)
    torch.testing.assert_close(run._optimiser.state_dict()["state"], saved["optimiser"]["state"])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"groups": 1}, "groups is 1; allowed: 2"),
        ({"backbone_rate": 0}, "backbone_rate is 0; allowed: above 0"),
        ({"start": None}, "start is None, with hidden_dim 192, .*; allowed: .* hidden_dim 48"),
    ],
)
def test_a_run_that_its_checkpoint_does_not_fit_is_refused_and_left_as_it_is(
    whole: TrainConfig, other: dict[str, Any], message: str
) -> None:
    before = {path: path.read_bytes() for path in whole.out.iterdir()}
    with pytest.raises(ConfigError, match=message):
        Run(replace(whole, **other))
    assert {path: path.read_bytes() for path in whole.out.iterdir()} == before


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_another_network_is_named_before_options_that_do_not_fit_it(
    whole: TrainConfig, tmp_path: Path
) -> None:
    save_tiny_vistr(tmp_path / "other.safetensors", frames=3)
    with pytest.raises(ConfigError, match="with frames 3; allowed: a network with frames 4, which"):
        Run(replace(whole, start=tmp_path / "other.safetensors"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_that_has_learnt_from_all_videos_holds_none_out_later(whole: TrainConfig) -> None:
    data = replace(whole.data, val_annotations=None, val_images=None)
    with pytest.raises(ConfigError, match="val_every is 10; allowed: none, but data"):
        Run(replace(whole, data=data))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_says_at_its_end_how_many_images_it_left_out(
    whole: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert whole.data.images is not None
    shutil.copytree(whole.data.images, tmp_path / "images")
    for name in ("0", "1", "3"):
        (tmp_path / "images" / name / "00002.jpg").write_bytes(b"no picture")
    data = replace(whole.data, images=tmp_path / "images", skip_bad=True)
    run = Run(replace(whole, out=tmp_path / "out", data=data))
    run.go()
    source = run._sources.train
    assert isinstance(source, DrawnVideos)
    assert (count := len(source.left_out)) >= 2
    assert caplog.messages[-1].startswith(f"left out: {count} unusable images; the first is ")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_folder_without_room_for_a_checkpoint_ends_the_run_at_its_first_step(
    whole: TrainConfig,
) -> None:
    run = Run(replace(whole, out=whole.out.with_name("no_room"), checkpoint_every=100))
    learn = run._learn

    def obstructed(batch: Batch) -> dict[str, float]:
        run.config.checkpoint.mkdir(exist_ok=True)  # so that no file can take its place
        return learn(batch)

    run._learn = obstructed  # type: ignore[method-assign]
    with pytest.raises(SinkError, match=r"no_room/checkpoint\.pt: "):
        run.go()
    assert run.step == 1
    run.config.checkpoint.rmdir()
    Run(replace(run.config, groups=1))  # of nothing: other options are free


class Stopping:
    """Held-out clips, while the first of which a run is told to stop."""

    def __init__(self, run: Run) -> None:
        self._run, self._clips = run, run._sources.val

    def draw(self, rng: np.random.Generator, times: Sequence[int], size: tuple[int, int]) -> Clip:
        self._run.stopping = True
        return self._clips.draw(rng, times, size)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_evaluation_that_is_stopped_is_made_when_the_run_goes_on(whole: TrainConfig) -> None:
    config = replace(whole, out=whole.out.with_name("evaluating"))
    for _ in range(2):  # and again
        run = Run(config)
        run._sources = replace(run._sources, val=Stopping(run))
        run.go()
        assert read_checkpoint(config.checkpoint)["step"] == 4
        assert not (config.out / "figures.jsonl").exists()
    Run(config).go()
    assert json_lines(config.out / "figures.jsonl") == json_lines(whole.out / "figures.jsonl")


class Empty:
    """Held-out clips that show nothing."""

    def draw(self, rng: np.random.Generator, times: Sequence[int], size: tuple[int, int]) -> Clip:
        return random_clip(rng, [], len(times), size)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_evaluation_with_nothing_to_find_says_no_figures(
    whole: TrainConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(replace(whole, out=whole.out.with_name("nothing"), steps=1))
    run._sources = replace(run._sources, val=Empty())
    run.go()
    assert "step 1: AP -, AP50 -\n" in capsys.readouterr().out


class Killing:
    """Held-out clips that end the run at once, before anything can be kept."""

    def draw(self, *_: object) -> Clip:
        raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_killed_while_it_evaluates_has_a_checkpoint_and_evaluates_when_it_goes_on(
    whole: TrainConfig,
) -> None:
    out = whole.out.with_name("killed")
    config = replace(whole, out=out, checkpoint_every=100, evaluate_every=2)
    run = Run(config)
    run._sources = replace(run._sources, val=Killing())
    with pytest.raises(KeyboardInterrupt):
        run.go()
    assert read_checkpoint(config.checkpoint)["step"] == 2
    assert not (out / "figures.jsonl").exists()
    Run(config).go()
    figures = json_lines(out / "figures.jsonl")
    assert [entry["step"] for entry in figures] == [2, 4]
    assert figures[1:] == json_lines(whole.out / "figures.jsonl")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_running_out_of_memory_is_explained(
    whole: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("training.run.losses", exhausted)
    run = Run(replace(whole, out=whole.out.with_name("exhausted")))
    with pytest.raises(DeviceError, match="cpu failed in step 1: out of memory; fewer pixels, "):
        run.go()
    assert not run.config.checkpoint.exists()  # of nothing: other options are free


def exhausting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let memory run out in a run's third step."""

    def exhausted(*arguments: Any) -> dict[str, torch.Tensor]:
        if run.step == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return losses(*arguments)

    monkeypatch.setattr("training.run.losses", exhausted)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_was_learnt_before_memory_ran_out_is_kept(
    whole: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(replace(whole, out=whole.out.with_name("short"), checkpoint_every=100))
    exhausting(run, monkeypatch)
    with pytest.raises(DeviceError, match="in step 3: out of memory"):
        run.go()
    assert read_checkpoint(run.config.checkpoint)["step"] == 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_error_of_a_device_is_told_where_nothing_can_be_kept(
    whole: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(replace(whole, out=whole.out.with_name("full"), checkpoint_every=100))
    exhausting(run, monkeypatch)
    learn = run._learn

    def obstructed(batch: Batch) -> dict[str, float]:
        if run.step == 2:
            run.config.checkpoint.unlink()
            run.config.checkpoint.mkdir()  # so that no file can take its place
        return learn(batch)

    run._learn = obstructed  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="in step 3: out of memory"):
        run.go()


class Spoiled:
    """Makes a run's gradient NaN in some steps."""

    def __init__(self, run: Run, steps: range) -> None:
        weight = run._trainee.net.vistr.class_embed.weight
        self.before: torch.Tensor | None = None

        def spoil(gradient: torch.Tensor) -> torch.Tensor:
            if run.step not in steps:
                return gradient
            self.before = weight.detach().clone()
            return gradient * torch.nan

        weight.register_hook(spoil)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_gradient_that_is_no_number_is_left_out(
    whole: TrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(replace(whole, out=whole.out.with_name("spoiled"), evaluate_every=100))
    spoiled = Spoiled(run, range(1, 2))
    run.go()
    assert [entry["step"] for entry in json_lines(run.config.out / "losses.jsonl")] == [1, 2, 3, 4]
    assert caplog.messages == [
        "categories that the weights do not know begin anew: cat, dog",
        "step 2: the gradient is not finite; the step is left out",
    ]
    assert all(parameter.isfinite().all() for parameter in run._trainee.parameters())
    learned = run._trainee.net.vistr.class_embed.weight - spoiled.before
    assert learned.abs().max() > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_gradients_that_are_no_numbers_again_and_again_end_the_run(
    whole: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.divergence.SKIPPED", 3)
    run = Run(replace(whole, out=whole.out.with_name("hopeless"), evaluate_every=100))
    Spoiled(run, range(1, 9))
    with pytest.raises(DivergedError, match="of 3 steps up to 4 are not finite"):
        run.go()
    assert read_checkpoint(run.config.checkpoint)["step"] == 3  # what was learnt before is kept


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_was_learnt_before_an_image_that_cannot_be_read_is_kept(
    whole: TrainConfig, tmp_path: Path
) -> None:
    assert whole.data.images is not None
    shutil.copytree(whole.data.images, tmp_path / "images")
    data = replace(whole.data, images=tmp_path / "images")
    run = Run(replace(whole, out=tmp_path / "out", data=data, steps=40, checkpoint_every=100))
    learn = run._learn

    def damage_all(batch: Batch) -> dict[str, float]:
        for image in (tmp_path / "images").glob("*/*.jpg"):
            image.write_bytes(b"no picture")
        return learn(batch)

    run._learn = damage_all  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="video"):
        run.go()
    assert 1 <= run.step < 40
    assert read_checkpoint(run.config.checkpoint)["step"] == run.step


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_was_learnt_before_a_process_is_gone_is_kept(whole: TrainConfig) -> None:
    out = whole.out.with_name("gone")
    run = Run(replace(whole, out=out, steps=40, checkpoint_every=100))
    learn = run._learn

    def kill_the_others(batch: Batch) -> dict[str, float]:
        for process in multiprocessing.active_children():
            process.kill()
        return learn(batch)

    run._learn = kill_the_others  # type: ignore[method-assign]
    with pytest.raises(FeedError, match="a process that makes the batches failed"):
        run.go()
    assert 1 <= run.step < 40
    assert read_checkpoint(run.config.checkpoint)["step"] == run.step

    keep, before = run._keep, run.step

    def told_meanwhile() -> None:
        run.stopping = True  # the signal was for all processes, and comes to this one last
        keep()

    run._keep = told_meanwhile  # type: ignore[method-assign]
    run.go()
    assert before < run.step < 40
    assert read_checkpoint(run.config.checkpoint)["step"] == run.step


class Terminating:
    """Clips in whose stead all processes of the run are told to end."""

    def draw(self, *_: object) -> Clip:
        parent = multiprocessing.parent_process()
        assert parent is not None
        assert parent.pid is not None
        for process in (parent.pid, os.getpid()):
            os.kill(process, signal.SIGTERM)
        raise AssertionError


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_signal_to_all_processes_stops_a_run_that_waits_for_its_batch(
    whole: TrainConfig,
) -> None:
    run = Run(replace(whole, out=whole.out.with_name("group")))
    run._sources = replace(run._sources, train=Terminating())

    def stop(_: int) -> None:
        run.stopping = True

    with handled(stop):
        run.go()
    assert run.stopping
    assert not run.config.checkpoint.exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_that_fails_in_its_first_step_binds_none_that_begins_there_later(
    whole: TrainConfig, tmp_path: Path
) -> None:
    assert whole.data.images is not None
    shutil.copytree(whole.data.images, tmp_path / "images")
    run = Run(replace(whole, out=tmp_path, data=replace(whole.data, images=tmp_path / "images")))
    for image in (tmp_path / "images").glob("*/*.jpg"):
        image.write_bytes(b"no picture")
    with pytest.raises(SourceError, match="video"):
        run.go()
    assert not run.config.checkpoint.exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_runs_in_one_folder_do_not_mix(whole: TrainConfig) -> None:
    config = replace(whole, out=whole.out.with_name("both"))
    first, second = Run(config), Run(config)
    learn = first._learn

    def disturbed(batch: Batch) -> dict[str, float]:
        for start in (second.go, lambda: Run(config)):
            with pytest.raises(SinkError, match=r"both/run\.lock: another run writes it"):
                start()
        return learn(batch)

    first._learn = disturbed  # type: ignore[method-assign]
    first.go()
    with pytest.raises(SinkError, match=r"checkpoint\.pt: another run has written it meanwhile"):
        second.go()
    assert json_lines(config.out / "losses.jsonl") == json_lines(whole.out / "losses.jsonl")


def test_a_folder_that_another_run_writes_is_refused_before_anything_is_read(
    tmp_path: Path,
) -> None:
    config = TrainConfig(out=tmp_path, start=tmp_path / "none.pt", device="cpu")
    with alone(config.lock), pytest.raises(SinkError, match=r"run\.lock: another run writes it"):
        Run(config)
    with pytest.raises(CheckpointError, match=r"none\.pt"):
        Run(config)


@pytest.mark.parametrize(("name", "step"), [("losses.jsonl", 2), ("figures.jsonl", 1)])
def test_the_logs_of_a_run_that_has_no_checkpoint_are_left_alone(
    tmp_path: Path, name: str, step: int
) -> None:
    log, content = tmp_path / name, f'{{"step": {step}, "AP": 0.5}}\n'
    log.write_text(content)
    message = f"which has a {name} but no checkpoint.pt to go on from; allowed: another folder"
    with pytest.raises(ConfigError, match=message):
        Run(TrainConfig(out=tmp_path, start=tmp_path / "none.pt", device="cpu"))
    assert log.read_text() == content


def test_the_loss_of_a_run_that_never_got_to_a_checkpoint_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "losses.jsonl").write_text('{"step": 1, "label": 0.5}\n{"step": 2, "lab')
    with pytest.raises(CheckpointError, match=r"none\.pt"):  # it goes on to what it starts from
        Run(TrainConfig(out=tmp_path, start=tmp_path / "none.pt", device="cpu"))


@pytest.fixture
def rounding() -> Iterator[tuple[Any, Any]]:
    """Where PyTorch keeps whether it rounds to TF32; as before at the end."""
    places = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [place.allow_tf32 for place in places]
    yield places
    for place, rounds in zip(places, before, strict=True):
        place.allow_tf32 = rounds


@pytest.mark.parametrize(("precision", "rounded"), [("fp32", False), ("auto", True)])
def test_only_auto_rounds_to_tf32_and_then_matrices_and_convolutions(
    rounding: tuple[Any, Any], config: TrainConfig, precision: Any, rounded: bool
) -> None:
    for place in rounding:
        place.allow_tf32 = not rounded
    Run(replace(config, out=config.out.with_name("rounding"), precision=precision))
    assert [place.allow_tf32 for place in rounding] == [rounded, rounded]


def test_a_few_frames_of_a_data_set_follow_each_other(config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match="consecutive is False; allowed: true, as a data set's"):
        Run(replace(config, out=config.out.with_name("apart"), consecutive=False))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("spoiled", ["class_embed.weight", "input_proj.weight"])
def test_an_answer_that_is_no_number_ends_the_run(whole: TrainConfig, spoiled: str) -> None:
    # Of maps of an even width an unbounded offset would read what is not there.
    run = Run(replace(whole, out=whole.out.with_name("diverged"), aspects=(1.5,)))
    run._trainee.net.vistr.get_parameter(spoiled).data[:] = torch.nan
    with pytest.raises(DivergedError, match=r"the loss is nan in step 1: a lower rate may help$"):
        run.go()
    assert not run.config.checkpoint.exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_writes_the_network_that_it_has_trained(whole: TrainConfig) -> None:
    net = load_vistr(whole.out / "network.safetensors")
    assert (net.frames, net.slots, net.short_side, net.trained) == (4, 3, 32, True)
    assert load_trainee(whole.checkpoint).net.short_side == 32
    assert net.categories[1:] == ("cat", "dog")
    start = load_vistr(whole.start)
    learned = net.vistr.bbox_embed.layers[0].weight - start.vistr.bbox_embed.layers[0].weight
    assert 0 < learned.abs().max() < 0.01
    for layer in net.insmask_head:
        assert all(parameter.isfinite().all() for parameter in layer.parameters())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_that_has_its_steps_says_so(
    whole: TrainConfig, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    before = json_lines(whole.out / "losses.jsonl")
    Run(whole).go()
    assert "has 4 steps already: nothing is left" in caplog.text
    assert capsys.readouterr().err == ""  # no progress
    assert json_lines(whole.out / "losses.jsonl") == before
