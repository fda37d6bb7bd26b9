"""Clips that a run draws from videos: mirrored and lit anew to learn from, and never too full."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamer.errors import ConfigError, SourceError
from tests.training_cases import random_clip
from training.clip import Clip
from training.run_config import DataConfig
from training.sources import DrawnVideos, Sources, category_names, open_sources
from training.youtube_vis import YouTubeVis
from training.youtube_vis_writer import write_youtube_vis

SIZE = (32, 48)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> YouTubeVis:
    """One video of three frames with four objects."""
    folder = tmp_path_factory.mktemp("data")
    clip = random_clip(np.random.default_rng(2), [1, 2, 1, 2], 3, SIZE)
    write_youtube_vis(folder, [("only", clip)], ["cat", "dog"])
    return YouTubeVis(folder / "annotations.json", folder / "JPEGImages", categories=2)


def draw(source: DrawnVideos, seed: int = 0) -> Clip:
    return source.draw(np.random.default_rng(seed), [0, 1, 2], SIZE)


def test_clips_to_evaluate_on_are_the_videos_themselves(videos: YouTubeVis) -> None:
    clip = draw(DrawnVideos(videos, 4, augment=False))
    plain = videos.clip(0, 3, SIZE, np.random.default_rng(0))
    assert (clip.frames == plain.frames).all()
    assert (clip.masks == plain.masks).all()


def test_clips_to_learn_from_differ_in_light_and_half_of_them_are_mirrored(
    videos: YouTubeVis,
) -> None:
    plain = videos.clip(0, 3, SIZE, np.random.default_rng(0))
    mirrored = 0
    for seed in range(40):
        clip = draw(DrawnVideos(videos, 4, augment=True), seed)
        as_it_is = (clip.masks == plain.masks).all()
        assert as_it_is or (clip.masks[..., ::-1] == plain.masks).all()
        assert (clip.frames != (plain.frames if as_it_is else plain.frames[:, :, ::-1])).any()
        mirrored += not as_it_is
    assert 10 <= mirrored <= 30


def test_of_too_many_objects_the_largest_are_kept_and_the_videos_counted(
    videos: YouTubeVis, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        source = DrawnVideos(videos, 2, augment=True)
        DrawnVideos(videos, 4, augment=True)
    clips = [draw(source, seed) for seed in range(3)]
    whole = videos.clip(0, 3, SIZE, np.random.default_rng(0))
    areas = whole.masks.sum(axis=(1, 2, 3))
    largest = sorted(np.argsort(areas)[-2:])
    for clip in clips:
        assert (clip.masks.sum(axis=(1, 2, 3)) == areas[largest]).all()
        assert (clip.category_ids == whole.category_ids[largest]).all()
    (message,) = caplog.messages
    assert message.startswith(
        f"{videos.path}: 1 videos have more objects than the network's 2 slots"
    )
    assert message.endswith("the first is video 1")


def test_clips_to_evaluate_on_keep_objects_that_the_network_has_no_slot_for(
    videos: YouTubeVis, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(draw(DrawnVideos(videos, 2, augment=False)).masks) == 4
    assert not caplog.messages


def test_the_evaluation_takes_the_videos_of_a_data_set_in_turn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = {str(n): random_clip(rng, [1], 3, SIZE) for n in range(4)}
    write_youtube_vis(tmp_path, clips.items(), ["cat"])
    videos = YouTubeVis(tmp_path / "annotations.json", tmp_path / "JPEGImages", categories=1)
    source = DrawnVideos(videos, 4, augment=False)
    sources = Sources(source, source, ("cat",))
    for position in range(8):
        found = sources.held_out(position, [0, 1, 2], SIZE)
        expected = videos.clip(position % 4, 3, SIZE, np.random.default_rng(0))
        assert (found.masks == expected.masks).all()


@pytest.mark.parametrize("category_id", ["1", [1], 0, None, 1.0])
def test_category_ids_that_are_not_counted_from_1_are_refused(
    tmp_path: Path, category_id: object
) -> None:
    categories = [{"id": category_id, "name": "cat"}, {"id": 2, "name": "dog"}]
    (tmp_path / "a.json").write_text(json.dumps({"categories": categories}))
    with pytest.raises(SourceError, match="expected 1 to 2, each once") as refused:
        category_names(tmp_path / "a.json")
    assert repr(category_id) in str(refused.value)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([], "there are no categories"),
        ([2, 1, 1], "no category has the id 3; the ids are 2, 1, expected 1 to 3, each once"),
        (
            [*range(11), 12],
            "no category has the id 11; the ids are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, "
            "expected 1 to 12, each once",
        ),
    ],
)
def test_which_category_id_is_not_there_is_said(
    tmp_path: Path, ids: list[int], message: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"categories": [{"id": i, "name": f"n{i}"} for i in ids]}))
    with pytest.raises(SourceError) as refused:
        category_names(path)
    assert str(refused.value) == f"{path}: {message}"


def test_many_category_ids_are_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"categories": [{"id": i, "name": "n"} for i in range(1000)]}))
    with pytest.raises(SourceError, match="no category has the id 1000; ") as refused:
        category_names(path)
    assert len(str(refused.value)) < len(str(path)) + 150


@pytest.mark.parametrize("name", ["", None, 3, "dog", "hot\ndog", "d" * 1_001])
def test_a_category_has_a_name_of_its_own(tmp_path: Path, name: object) -> None:
    categories = [{"id": 1, "name": "dog"}, {"id": 2, "name": name}]
    (tmp_path / "a.json").write_text(json.dumps({"categories": categories}))
    with pytest.raises(SourceError, match="the name of category 2 is ") as refused:
        category_names(tmp_path / "a.json")
    assert repr(name)[:60] in str(refused.value)


def test_without_a_file_to_evaluate_on_some_videos_are_held_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = {str(n): random_clip(rng, [1], 3, SIZE) for n in range(5)}
    write_youtube_vis(tmp_path, clips.items(), ["cat"])
    paths = tmp_path / "annotations.json", tmp_path / "JPEGImages"
    sources = open_sources(DataConfig(annotations=paths[0], images=paths[1], val_every=2), 4)
    assert isinstance(sources.train, DrawnVideos)
    assert isinstance(sources.val, DrawnVideos)
    assert len(sources.train.videos) + len(sources.val.videos) == 5
    assert (sources.train.augment, sources.val.augment) == (True, False)


def data_of(folder: Path, labels: Sequence[Sequence[int]], val_every: int = 10) -> DataConfig:
    """A data set of a video for each list of labels."""
    rng = np.random.default_rng(0)
    clips = {f"{n:02}": random_clip(rng, some, 2, SIZE) for n, some in enumerate(labels)}
    write_youtube_vis(folder, clips.items(), ["cat"])
    annotations, images = folder / "annotations.json", folder / "JPEGImages"
    return DataConfig(annotations=annotations, images=images, val_every=val_every)


def test_videos_without_any_object_teach_nothing(tmp_path: Path) -> None:
    config = data_of(tmp_path, [[]] * 3)
    message = rf"{config.annotations}: no video to train on has an object$"
    with pytest.raises(SourceError, match=message):
        open_sources(config, 4)


def test_an_evaluation_with_nothing_to_find_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train, val = data_of(tmp_path / "train", [[1], []]), data_of(tmp_path / "val", [[]])
    open_sources(replace(train, val_annotations=val.annotations, val_images=val.images), 4)
    message = "no video to evaluate on has an object, so there will be no figures"
    assert caplog.messages == [f"{val.annotations}: {message}"]


@pytest.mark.parametrize("count", [8, 60])
def test_which_videos_are_held_out_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    with caplog.at_level(logging.INFO):
        sources = open_sources(data_of(tmp_path, [[1]] * count, val_every=2), 4)
    assert isinstance(sources.val, DrawnVideos)
    held = [str(video_id) for video_id in sources.val.videos.object_counts()]
    assert 1 < len(held) < count
    more = f" and {len(held) - 20} more" if len(held) > 20 else ""
    assert (count == 60) == bool(more)
    (message,) = caplog.messages
    assert message == (
        f"{count - len(held)} videos to train on, {len(held)} to evaluate on, with the ids "
        f"{', '.join(held[:20])}{more}"
    )


@pytest.mark.parametrize("place", ["same", "linked", "copied"])
def test_an_evaluation_on_what_is_learnt_is_warned_of(
    tmp_path: Path, videos: YouTubeVis, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    images, other = videos.path.with_name("JPEGImages"), tmp_path / "val.json"
    if place == "linked":
        other.symlink_to(videos.path)
    if place == "copied":
        shutil.copy(videos.path, other)
    given = videos.path if place == "same" else other
    config = DataConfig(
        annotations=videos.path, images=images, val_annotations=given, val_images=images
    )
    open_sources(config, 4)
    message = f"data.val_annotations is {given}, which is trained on: figures are of known videos"
    assert caplog.messages == [message] * (place != "copied")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": "x"}, "data.images is x, but data.annotations is not given"),
        ({"val_annotations": "x"}, "data.val_annotations is x, but data.annotations is not given"),
        ({"annotations": "x"}, "data.annotations needs data.images"),
        ({"annotations": "x", "images": "x", "val_images": "x"}, "val_images need each other"),
        ({"val_every": 1}, "data.val_every is 1; allowed: 2 and more"),
    ],
)
def test_options_of_data_that_contradict_each_other_are_named(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        DataConfig(**options)
