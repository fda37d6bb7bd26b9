"""`training.held_out`: what each kind of clip shows, and the figures of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from benchmarks.annotations import GroundTruth, Result, Truth, Video
from benchmarks.average_precision import average_precision
from model import VisTR
from streamer.window import Prediction
from tests.evaluated import SIZE, pictures, sure_vistr, write_assets
from training import held_out
from training.assets import Assets
from training.clip import Clip
from training.held_out import (
    SEED,
    held_out_composers,
    network_frame,
    tube_rows,
    without_categories,
)
from training.library import Library, load_library
from training.tube_figures import results_of, tube_figures, tube_of, window_prediction


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("assets")
    write_assets(folder)
    return load_library(Assets(folder), "val")


class Answers:
    """Clips in which exactly that is there what a network finds."""

    def __init__(self, net: VisTR) -> None:
        self.net = net

    def draw(self, rng: np.random.Generator, times: Sequence[int], size: tuple[int, int]) -> Clip:
        assert size == SIZE
        assert list(times) == list(range(len(times)))
        shown = pictures(int(rng.integers(1000)), len(times))
        nothing = Clip(shown, np.zeros((0, *shown.shape[:3]), bool), np.zeros(0, np.int64))
        found = results_of(1, window_prediction(self.net, nothing), size)
        empty = np.zeros(size, bool)
        masks = [
            [empty if mask is None else coco_mask.decode(mask).astype(bool) for mask in tube.masks]
            for tube in (result.tube for result in found)
        ]
        ids = np.array([result.category_id for result in found], np.int64)
        return Clip(shown, np.array(masks), ids)


def shown(library: Library, kind: str) -> set[int]:
    """Category ids in some clips of a kind."""
    composer = held_out_composers(library)[kind]
    clips = [composer.draw(np.random.default_rng(i), range(3), SIZE) for i in range(8)]
    return {int(category_id) for clip in clips for category_id in clip.category_ids}


def test_each_kind_of_clip_shows_what_its_name_says(library: Library) -> None:
    assert library.unseen == {2}
    assert shown(library, "people") == {1}
    assert shown(library, "people elsewhere") == {1}
    assert shown(library, "sprites unseen") == {2}
    assert shown(library, "sprites seen") == {3}
    assert shown(library, "mixed") == {1, 2, 3}


def test_people_elsewhere_are_never_in_the_scene_of_training(library: Library) -> None:
    red = replace(library, scene=np.full_like(library.scene, (255, 0, 0)))
    composers = held_out_composers(red)

    def in_the_scene(kind: str) -> list[bool]:
        rngs = [np.random.default_rng(i) for i in range(12)]
        clips = [composers[kind].draw(rng, range(1), SIZE) for rng in rngs]
        outside = [clip.frames[~clip.masks.any(0)].astype(int) for clip in clips]
        return [bool((pixels[:, 0] - pixels[:, 1]).mean() > 100) for pixels in outside]

    assert not any(in_the_scene("people elsewhere"))
    assert 0 < sum(in_the_scene("people")) < 12


def test_kinds_without_a_sprite_are_left_out(library: Library) -> None:
    few = replace(library, sprites={3: library.sprites[3]})
    assert list(held_out_composers(few)) == ["people", "people elsewhere", "sprites seen", "mixed"]


def test_what_is_found_counts_in_full() -> None:
    net = sure_vistr(4)
    row = tube_rows(net, {"own": Answers(net)}, 2)["own"]
    assert row.pop("objects") == 8
    assert row == pytest.approx(dict.fromkeys(row, 1.0))


class OneObject:
    """Clips with an object of category 1, in the upper half of every frame."""

    def draw(self, rng: np.random.Generator, times: Sequence[int], size: tuple[int, int]) -> Clip:
        masks = np.zeros((1, len(times), *size), np.bool_)
        masks[:, :, : size[0] // 2] = True
        return Clip(pictures(0, len(times)), masks, np.ones(1, np.int64))


def test_untangled_rows_count_by_the_share_of_the_frames_that_show_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    height, width = (side // 4 for side in SIZE)
    masks = np.full((4, 2, height, width), -1, np.float32)
    masks[:, 0, : height // 2] = 1  # the object
    masks[:, 1, height // 2 :] = 1  # nothing, but surely so in a single frame
    joined = Prediction(
        scores=np.array([0.5, 0.9], np.float32),
        class_votes=np.array([[0, 1], [0, 1]], np.float32),
        embeddings=np.zeros((2, 1), np.float32),
        boxes=np.zeros((4, 2, 4), np.float32),
        presence=np.array([[True, t == 0] for t in range(4)]),
        masks=masks,
        colours=np.zeros((4, 2, 0), np.float32),
    )
    monkeypatch.setattr(held_out, "untangle", lambda *_: joined)
    row = tube_rows(sure_vistr(4), {"one": OneObject()}, 1)["one, untangled"]
    assert row["AP50"] == pytest.approx(1)


def test_a_row_with_pixels_only_where_it_is_not_present_is_no_result() -> None:
    masks = np.full((2, 2, 4, 4), -1, np.float32)
    masks[0] = 1  # both rows have pixels in the first frame alone
    prediction = Prediction(
        scores=np.array([0.9, 0.8], np.float32),
        class_votes=np.eye(3, dtype=np.float32)[1:],
        embeddings=np.zeros((2, 1), np.float32),
        boxes=np.zeros((2, 2, 4), np.float32),
        presence=np.array([[False, True], [True, True]]),
        masks=masks,
        colours=np.zeros((2, 2, 0), np.float32),
    )
    (result,) = results_of(1, prediction, (8, 8))
    assert (result.category_id, result.tube.areas.tolist()) == (2, [64, 0])


def test_figures_are_those_of_training_and_the_same_again(library: Library) -> None:
    net, composers = sure_vistr(4), held_out_composers(library)
    rows = tube_rows(net, composers, 3)
    assert list(rows) == [
        f"{kind}{handled}"
        for kind in ("people", "people elsewhere", "sprites unseen", "sprites seen", "mixed")
        for handled in ("", ", untangled")
    ]
    for kind in composers:
        row = rows[kind]
        rngs = [np.random.default_rng((SEED, i)) for i in (1, 2, 3)]
        clips = [composers[kind].draw(rng, range(4), network_frame(net)) for rng in rngs]
        stats = tube_figures(net, clips).stats
        assert (row["AP"], row["AP50"]) == (stats["AP"], stats["AP50"])
        assert row["objects"] == sum(len(clip.masks) for clip in clips) > 0
    assert tube_rows(net, held_out_composers(library), 3) == rows


def test_without_categories_a_wrong_name_costs_nothing() -> None:
    tube = tube_of(np.ones((2, 4, 4), bool))
    truth = GroundTruth({1: Video((4, 4), 2)}, {1: "a", 2: "b"}, (Truth(1, 2, tube, 16, False),))
    results = [Result(1, 1, 0.9, tube)]
    assert average_precision(truth, results).stats["AP"] == 0
    unnamed = average_precision(*without_categories(truth, results)).stats
    assert unnamed["AP"] == pytest.approx(1)
