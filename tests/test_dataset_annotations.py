"""`streamer.dataset.annotations`: every bad entry is named, before any work begins."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamer.dataset.annotations import Video, read_annotations
from streamer.dataset.images import read_image
from streamer.errors import SourceError
from tests.datasets import Dataset, make_dataset, pictures


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    videos = {7: pictures(2), 3: pictures(1, (40, 30)), 12: pictures(3)}
    return make_dataset(tmp_path, videos)


def test_videos_keep_their_order_and_ids(dataset: Dataset) -> None:
    annotations = read_annotations(str(dataset.ann_path), str(dataset.img_path))
    assert [video.video_id for video in annotations.videos] == [7, 3, 12]
    folder = dataset.img_path / "video3"
    assert annotations.videos[1] == Video(3, (40, 30), (folder / "00000.jpg",))
    assert annotations.bad == ()
    assert annotations.categories == {1: "person"}
    assert annotations.sha256 == hashlib.sha256(dataset.ann_path.read_bytes()).hexdigest()


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda video: video.pop(key)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("id"), "videos[0]: id is None, expected a whole number"),
        (without("width"), "videos[0] (id 7): width is None, expected a whole number of 64 bits"),
        (lambda v: v.update(id="7"), "id is '7', expected a whole number"),
        (lambda v: v.update(id=True), "id is True, expected"),
        (lambda v: v.update(height=0), "64x0 pixels, allowed are 1 to 134217728"),
        (lambda v: v.update(height=48.0), "height is 48.0, expected"),
        (lambda v: v.update(height=10**30), "expected a whole number of 64 bits"),
        (lambda v: v.update(file_names=["a\nb", "a"]), "/a\\nb': no such file"),
        (lambda v: v.update(length=3), "2 file_names, but length is 3"),
        (lambda v: v.update(length=2.0), "length is 2.0, expected a whole number"),
        (lambda v: v.update(length=0, file_names=[]), "file_names is [], expected a list of names"),
        (lambda v: v.update(file_names="0.jpg"), "file_names is '0.jpg', expected"),
        (lambda v: v.update(file_names=["gone.jpg", "a"]), "gone.jpg: no such file"),
        (lambda v: v.update(file_names=["a", 5]), "file_names has 5, expected names of files"),
        (lambda v: v.update(file_names=["../x", "a"]), "has '../x', which is absolute or has '..'"),
        (lambda v: v.update(file_names=["/etc/x", "a"]), "has '/etc/x', which is absolute or has"),
        (lambda v: v.update(file_names=["video7", "a"]), "video7: is not a regular file"),
        (lambda v: v.update(width=48, height=64), "00000.jpg: is 64x48, expected 48x64"),
        (lambda v: v.update(width=500), "500x48 is more elongated than 8:1"),
    ],
)  # fmt: skip
def test_a_bad_video_is_named(
    dataset: Dataset, spoil: Callable[[dict[str, Any]], object], message: str
) -> None:
    content = dataset.content()
    spoil(content["videos"][0])
    dataset.rewrite(content)
    annotations = read_annotations(str(dataset.ann_path), str(dataset.img_path))
    assert [video.video_id for video in annotations.videos] == [3, 12]
    [line] = annotations.bad
    assert line.startswith("videos[0]")
    assert message in line


def test_a_fifo_among_the_images_is_not_waited_for(dataset: Dataset) -> None:
    dataset.image(12, 1).unlink()
    os.mkfifo(dataset.image(12, 1))
    annotations = read_annotations(str(dataset.ann_path), str(dataset.img_path))
    assert [video.video_id for video in annotations.videos] == [7, 3]
    [line] = annotations.bad
    assert line.endswith("video12/00001.jpg: is not a regular file")
    with pytest.raises(SourceError, match="is not a regular file"):
        read_image(dataset.image(12, 1), (48, 64))


def test_all_bad_videos_are_named(dataset: Dataset) -> None:
    dataset.image(12, 2).unlink()
    content = dataset.content()
    content["videos"] += [17, {**content["videos"][0], "length": 9}]
    dataset.rewrite(content)
    annotations = read_annotations(str(dataset.ann_path), str(dataset.img_path))
    assert [video.video_id for video in annotations.videos] == [3]
    # Which of two videos with one id is meant, nobody knows.
    assert list(annotations.bad) == [
        "videos[0] (id 7): 2 videos have this id",
        f"videos[2] (id 12): {dataset.img_path}/video12/00002.jpg: no such file",
        "videos[3]: expected an object, found 17",
        "videos[4] (id 7): 2 videos have this id",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "instances.json: is not JSON"),
        ("[" * 100_000, "instances.json: is not JSON"),
        ('{"videos": [{}], "videos": [{}]}', "instances.json: has the key 'videos' 2 times"),
        ("[]", "has no list of videos, expected a YouTube-VIS JSON"),
        ('{"images": []}', "has no list of videos"),
        ('{"videos": []}', "has no list of videos"),
        ('{"videos": [{}], "categories": {"1": "person"}}', "categories: expected a list"),
        ('{"videos": [{}], "categories": [{"id": 1}]}', "categories: expected a list"),
        ('{"videos": [{}], "categories": ""}', "categories: expected a list"),
        ('{"videos": [{}], "categories": {}}', "categories: expected a list"),
        ('{"videos": [{}], "categories": false}', "categories: expected a list"),
        ('{"videos": [{}], "categories": [{"id": "1", "name": "x"}]}', "categories: expected"),
        (
            '{"videos": [{}], "categories": [{"id": 4, "name": "x"}, {"id": 4, "name": "y"}]}',
            "categories: 2 have the id 4",
        ),
    ],
)
def test_files_that_are_no_annotations(dataset: Dataset, text: str, message: str) -> None:
    dataset.ann_path.write_text(text)
    with pytest.raises(SourceError, match=message):
        read_annotations(str(dataset.ann_path), str(dataset.img_path))


def test_length_may_be_left_out(dataset: Dataset) -> None:
    content = dataset.content()
    del content["videos"][0]["length"]
    dataset.rewrite(content)
    annotations = read_annotations(str(dataset.ann_path), str(dataset.img_path))
    assert annotations.bad == ()
    assert len(annotations.videos[0].images) == 2


@pytest.mark.parametrize("none", [None, []])
def test_categories_may_be_left_out(dataset: Dataset, none: object) -> None:
    dataset.rewrite(dataset.content() | {"categories": none})
    assert read_annotations(str(dataset.ann_path), str(dataset.img_path)).categories == {}


def test_paths_that_do_not_exist(dataset: Dataset) -> None:
    with pytest.raises(SourceError, match=r"gone\.json: No such file or directory"):
        read_annotations(str(dataset.root / "gone.json"), str(dataset.img_path))
    with pytest.raises(SourceError, match=r"img_path .*gone: is not a folder"):
        read_annotations(str(dataset.ann_path), str(dataset.root / "gone"))
