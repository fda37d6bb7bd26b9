"""`training.youtube_vis` and its writer: what is written comes back, and bad entries are named."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from benchmarks import vis_ap
from model.preprocess import resize
from streamer.errors import SinkError, SourceError
from tests.datasets import damage, pictures
from tests.vis_files import rle
from training.clip import Clip
from training.youtube_vis import YouTubeVis
from training.youtube_vis_writer import write_youtube_vis

SIZE = (48, 64)
NAMES = ("person", "dog", "cat")
LONG, SHORT, EMPTY = 0, 1, 2
"""The videos of `root` by index: 8 frames with two objects, 3 frames with one, 4 without any."""

Edit = Callable[[dict[str, Any]], None]


def blobs(frames: int, seed: int) -> NDArray[np.bool_]:
    """Ragged masks [frames, H, W] that have a pixel in each frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((frames, SIZE[0] // 8, SIZE[1] // 8)) < 0.4
    coarse[:, 1, 1] = True
    masks = coarse.repeat(8, axis=1).repeat(8, axis=2)
    return np.asarray(masks & (rng.random(masks.shape) < 0.97))


def shades(frames: int, seed: int) -> NDArray[np.uint8]:
    """Frames [frames, H, W, 3] that JPEG hardly changes, each of a colour of its own."""
    colours = np.random.default_rng(seed).integers(30, 200, (frames, 1, 1, 3))
    ramp = np.linspace(0, 30, SIZE[1])[:, None]
    return np.broadcast_to(colours + ramp, (frames, *SIZE, 3)).astype(np.uint8)


def make_clip(frames: int, category_ids: tuple[int, ...], seed: int) -> Clip:
    masks = [blobs(frames, seed + i) for i in range(len(category_ids))]
    shape = (len(masks), frames, *SIZE)
    ids = np.array(category_ids, dtype=np.int64)
    return Clip(shades(frames, seed), np.array(masks, bool).reshape(shape), ids)


def half_seen() -> Clip:
    """Like `make_clip`, but the second object is only in the first three frames."""
    clip = make_clip(8, (3, 1), seed=10)
    clip.masks[1, 3:] = False
    return clip


CLIPS = {"long": half_seen(), "short": make_clip(3, (2,), 20), "empty": make_clip(4, (), 30)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_youtube_vis(tmp_path, CLIPS.items(), NAMES)
    return tmp_path


def open_set(root: Path, **options: Any) -> YouTubeVis:
    options = {"categories": len(NAMES)} | options
    return YouTubeVis(root / "annotations.json", root / "JPEGImages", **options)


def edited(root: Path, edit: Edit) -> None:
    path = root / "annotations.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def draw(
    source: YouTubeVis, index: int, frames: int, size: tuple[int, int] | None = None, seed: int = 0
) -> Clip:
    return source.clip(index, frames, size, np.random.default_rng(seed))


def start_of(clip: Clip, whole: Clip) -> int:
    """The frame of a clip that another one begins with, by its first object."""
    equal = (whole.masks[0] == clip.masks[0, 0]).all(axis=(1, 2))
    assert equal.sum() == 1
    return int(equal.argmax())


@pytest.mark.parametrize("index", [LONG, SHORT, EMPTY])
def test_whole_clips_come_back(root: Path, index: int) -> None:
    written = list(CLIPS.values())[index]
    found = draw(open_set(root), index, len(written.frames))
    assert np.array_equal(found.masks, written.masks)
    assert np.array_equal(found.category_ids, written.category_ids)
    assert np.abs(found.frames.astype(int) - written.frames).max() <= 5


@pytest.mark.parametrize("name", ["a\nb.jpg", "\ud800.jpg"])
def test_a_name_that_cannot_be_printed_is_escaped(
    root: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    edited(root, lambda content: content["videos"][SHORT]["file_names"].__setitem__(0, name))
    open_set(root, skip_bad=True)
    message = caplog.messages[0]
    assert message.endswith(f"{str(root / 'JPEGImages' / name)!r}: no such file")
    assert message.isprintable()


def test_the_evaluation_reads_what_is_written(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((root / "annotations.json").read_text())
    (root / "results.json").write_text(
        json.dumps([each | {"score": 0.9} for each in content["annotations"]])
    )
    paths = ("--gt", root / "annotations.json", "--results", root / "results.json")
    code = vis_ap.main([*map(str, paths), "--json", str(root / "ap.json")])
    assert code == 0, capsys.readouterr().err
    assert json.loads((root / "ap.json").read_text())["stats"]["AP"] == pytest.approx(1)


def test_entries_have_what_the_published_ones_have(root: Path) -> None:
    content = json.loads((root / "annotations.json").read_text())
    assert content["categories"] == [
        {"id": 1, "name": "person"},
        {"id": 2, "name": "dog"},
        {"id": 3, "name": "cat"},
    ]
    assert content["videos"][SHORT] == {
        "id": 2,
        "height": 48,
        "width": 64,
        "length": 3,
        "file_names": ["short/00000.jpg", "short/00001.jpg", "short/00002.jpg"],
    }
    entry = content["annotations"][1]
    mask = CLIPS["long"].masks[1, 0]
    assert {key: entry[key] for key in ("id", "video_id", "category_id", "iscrowd")} == {
        "id": 2,
        "video_id": 1,
        "category_id": 1,
        "iscrowd": 0,
    }
    assert entry["segmentations"][0] == rle(mask)
    assert entry["areas"] == [*CLIPS["long"].masks[1, :3].sum(axis=(1, 2)).tolist(), *[None] * 5]
    assert entry["bboxes"][0] == coco_mask.toBbox(entry["segmentations"][0]).tolist()
    assert entry["segmentations"][3:] == entry["bboxes"][3:] == [None] * 5


def test_frames_are_consecutive_from_a_random_one_on(root: Path) -> None:
    source, starts = open_set(root), set()
    for seed in range(40):
        clip = draw(source, LONG, 5, seed=seed)
        start = start_of(clip, CLIPS["long"])
        starts.add(start)
        assert np.array_equal(clip.masks[0], CLIPS["long"].masks[0, start : start + 5])
    assert starts == {0, 1, 2, 3}


def test_short_videos_are_repeated_cyclically(root: Path) -> None:
    source, starts = open_set(root), set()
    for seed in range(30):
        clip = draw(source, SHORT, 8, seed=seed)
        start = start_of(clip, CLIPS["short"])
        starts.add(start)
        shown = (start + np.arange(8)) % 3
        assert np.array_equal(clip.masks[0], CLIPS["short"].masks[0, shown])
        assert np.array_equal(clip.frames[3:], clip.frames[:-3])
    assert starts == {0, 1, 2}


def test_the_same_generator_draws_the_same_clips(root: Path) -> None:
    source, again = open_set(root), open_set(root)
    for seed in range(5):
        one, other = (draw(each, LONG, 3, (24, 32), seed=seed) for each in (source, again))
        assert np.array_equal(one.frames, other.frames)
        assert np.array_equal(one.masks, other.masks)


def test_objects_that_the_drawn_frames_do_not_show_are_left_out(root: Path) -> None:
    source = open_set(root)
    clips = [draw(source, LONG, 2, seed=seed) for seed in range(40)]
    for clip in clips:
        seen = start_of(clip, CLIPS["long"]) < 3
        assert clip.category_ids.tolist() == ([3, 1] if seen else [3])
    assert {len(clip.masks) for clip in clips} == {1, 2}


@pytest.mark.parametrize("size", [(24, 32), (30, 50), (48, 40), (96, 128), (60, 40)])
def test_scaled_masks_keep_pixels_that_are_half_covered(root: Path, size: tuple[int, int]) -> None:
    source = open_set(root)
    native, scaled = draw(source, LONG, 8), draw(source, LONG, 8, size)
    assert scaled.size == size
    assert np.array_equal(scaled.frames[5], resize(native.frames[5], size))
    fine = native.masks.repeat(size[0], axis=2).repeat(size[1], axis=3)
    share = fine.reshape(*native.masks.shape[:2], size[0], SIZE[0], size[1], SIZE[1]).mean((3, 5))
    if size[0] <= SIZE[0] and size[1] <= SIZE[1]:
        clear = np.abs(share - 0.5) > 1e-6
        assert np.array_equal(scaled.masks[clear], share[clear] > 0.5)
    assert (scaled.masks == (share >= 0.5)).mean() > 0.97


def test_masks_that_shrink_in_one_direction_and_grow_in_the_other_are_averaged(
    tmp_path: Path,
) -> None:
    masks = np.zeros((2, 1, 4, 16), dtype=bool)
    masks[0, 0, :, [1, 2, 5, 6, 10]] = True  # half of two columns' pixels, a quarter of the third
    masks[1] = masks[0, :, :, ::-1]
    frames, ids = np.zeros((1, 4, 16, 3), np.uint8), np.array([1, 2])
    write_youtube_vis(tmp_path, [("a", Clip(frames, masks, ids))], NAMES)
    clip = draw(open_set(tmp_path), 0, 1, (6, 4))
    assert clip.masks[:, 0].astype(int).tolist() == [[[1, 1, 0, 0]] * 6, [[0, 0, 1, 1]] * 6]


def test_half_of_a_pixel_is_enough_and_objects_may_vanish(tmp_path: Path) -> None:
    masks = np.zeros((3, 1, 4, 8), dtype=bool)
    masks[0, 0, :, 1:3] = True  # half of the pixels 0 and 1, each 2 wide
    masks[1, 0, 0, 5] = True  # a quarter of a pixel
    masks[2, 0, 2:, 6:] = True  # a pixel
    frames, ids = np.zeros((1, 4, 8, 3), np.uint8), np.array([1, 2, 3])
    write_youtube_vis(tmp_path, [("a", Clip(frames, masks, ids))], NAMES)
    clip = draw(open_set(tmp_path), 0, 1, (2, 4))
    assert clip.category_ids.tolist() == [1, 3]
    assert clip.masks[:, 0].astype(int).tolist() == [
        [[1, 1, 0, 0], [1, 1, 0, 0]],
        [[0, 0, 0, 0], [0, 0, 0, 1]],
    ]


def test_notations_may_be_mixed_within_an_annotation(root: Path) -> None:
    boxes = np.zeros((3, *SIZE), dtype=bool)
    boxes[:, 8:24, 16:40] = True
    flat = boxes[1].flatten("F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *edges, flat.size]).tolist()
    halves = [[16, 8, 30, 8, 30, 24, 16, 24], [30, 8, 40, 8, 40, 24, 30, 24]]

    def mix(content: dict[str, Any]) -> None:
        content["annotations"][2]["segmentations"] = [
            rle(boxes[0]),
            {"size": list(SIZE), "counts": lengths},
            halves,
        ]

    edited(root, mix)
    assert np.array_equal(draw(open_set(root), SHORT, 3).masks, boxes[None])


def put(part: str, position: int, **fields: Any) -> Edit:
    def edit(content: dict[str, Any]) -> None:
        content[part][position] |= fields

    return edit


def shorten(part: str, position: int, key: str) -> Edit:
    def edit(content: dict[str, Any]) -> None:
        content[part][position][key].pop()

    return edit


def mask_of(size: tuple[int, int], counts: object = None) -> Edit:
    def edit(content: dict[str, Any]) -> None:
        found = rle(np.ones(size))
        found["counts"] = found["counts"] if counts is None else counts
        content["annotations"][1]["segmentations"][2] = found

    return edit


BAD_ENTRIES = [
    (put("videos", 1, height="48"), "malformed video", r"videos\[1\] \(id 2\): height is '48'"),
    (put("videos", 1, width=0), "malformed video", r"\(id 2\): 0x48 pixels, allowed are 1"),
    (put("videos", 1, width=2**40), "malformed video", r"\(id 2\): 1099511627776x48 pixels"),
    (put("videos", 1, file_names=[]), "malformed video", r"file_names is \[\], expected a list"),
    (put("videos", 1, file_names=["../a.jpg"], length=1), "malformed video", r"has '\.\./a\.jpg'"),
    (put("videos", 1, file_names=[7], length=1), "malformed video", r"file_names has 7"),
    (put("videos", 1, length=4), "malformed video", r"\(id 2\): 3 file_names, .* is 4"),
    (
        put("videos", 1, file_names=["short/9.jpg"], length=1),
        "missing image",
        r"\(id 2\): .*JPEGImages/short/9\.jpg: no such file",
    ),
    (
        put("videos", 1, file_names=["x" * 999], length=1),
        "missing image",
        r"xxx: no such file",
    ),
    (
        put("annotations", 1, id=None),
        "malformed annotation",
        r"annotations\[1\] \(id None, video_id 1, category_id 1\): id is None",
    ),
    (put("annotations", 1, id=1), "malformed annotation", r"id 1 is taken by an earlier entry"),
    (put("annotations", 1, iscrowd="no"), "malformed annotation", r"iscrowd is 'no'"),
    (put("annotations", 1, segmentations=None), "malformed annotation", "segmentations is None"),
    (put("annotations", 1, video_id=9), "no such video", r"there is no usable video 9"),
    (
        put("annotations", 1, category_id=4),
        "category out of range",
        r"annotations\[1\] \(id 2, video_id 1, .*: category_id is 4, allowed are 1 to 3",
    ),
    (put("annotations", 1, category_id=0), "category out of range", r"category_id is 0"),
    (
        shorten("annotations", 1, "segmentations"),
        "malformed annotation",
        r"\(id 2, .*: 7 segmentations, the video has 8 frames",
    ),
    (shorten("annotations", 1, "bboxes"), "malformed annotation", r"7 bboxes, the video has 8"),
    (shorten("annotations", 1, "areas"), "malformed annotation", r"7 areas, the video has 8"),
    (
        mask_of((64, 48)),
        "unusable mask",
        r"\(id 2, video_id 1, .*: segmentations\[2\]: size \[64, 48\], the video has \[48, 64\]",
    ),
    (mask_of(SIZE, [5]), "unusable mask", r"segmentations\[2\]: counts cover 5 pixels"),
    (mask_of(SIZE, "\u00e9"), "unusable mask", r"segmentations\[2\]: counts '.*expected run"),
]


@pytest.mark.parametrize(("edit", "reason", "message"), BAD_ENTRIES)
def test_bad_entries_are_named_or_left_out(
    root: Path, caplog: pytest.LogCaptureFixture, edit: Edit, reason: str, message: str
) -> None:
    edited(root, edit)
    with pytest.raises(SourceError, match=r"annotations\.json: .*" + message):
        open_set(root)
    source = open_set(root, skip_bad=True)
    assert source.skipped.pop(reason) == 1
    # The object of a video that is left out goes with it.
    gone = reason in ("malformed video", "missing image")
    # And so does a video of which something is bad.
    without = source.skipped.pop("video without all labels", 0)
    assert source.skipped == ({"no such video": 1} if gone else {})
    [line] = [record.message for record in caplog.records if reason in record.message]
    assert without == any(f"video_id {video_id}," in line for video_id in (1, 2, 3))
    assert "left out: " + reason + ", 1 so far; the first is " in line
    assert len(source) == 3 - gone - without
    expected = {(True, 0): [3, 1], (False, 0): [3], (False, 1): [2]}[gone, without]
    assert draw(source, 0, 8).category_ids.tolist() == expected


def test_of_videos_with_one_id_none_is_trained_on(root: Path) -> None:
    edited(root, put("videos", 1, id=1))
    with pytest.raises(SourceError, match=r"videos\[0\] \(id 1\): 2 videos have this id"):
        open_set(root)
    source = open_set(root, skip_bad=True)
    assert source.skipped == {"malformed video": 2, "no such video": 3}
    assert len(source) == 1
    assert len(draw(source, 0, 4).category_ids) == 0  # the one without objects


@pytest.mark.parametrize("segmentations", [[None, [], None], [rle(np.zeros(SIZE))] * 3])
def test_empty_annotations_are_no_error(
    root: Path, caplog: pytest.LogCaptureFixture, segmentations: list[Any]
) -> None:
    edited(root, put("annotations", 2, segmentations=segmentations))
    source = open_set(root)
    assert source.skipped == {"no segmentation": 1}
    assert len(caplog.records) == 1
    assert draw(source, SHORT, 3).masks.shape == (0, 3, *SIZE)


def test_a_video_of_which_only_objects_without_labels_are_left_teaches_nothing(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    videos = len(open_set(root))
    edited(root, put("annotations", 2, iscrowd=1))
    source = open_set(root)
    assert len(source) == videos - 1
    assert source.skipped == {"crowd region": 1, "video without all labels": 1}
    assert "video without all labels, 1 so far; the first is " in caplog.messages[-1]
    edited(root, put("annotations", 0, iscrowd=1))
    assert len(open_set(root)) == videos - 1  # one with other objects stays


def test_a_video_with_a_bad_annotation_teaches_nothing_of_what_it_lacks(root: Path) -> None:
    videos = len(open_set(root))
    edited(root, put("annotations", 1, category_id=9))  # of a video with another object
    source = open_set(root, skip_bad=True)
    assert len(source) == videos - 1
    assert source.skipped == {"category out of range": 1, "video without all labels": 1}


@pytest.mark.parametrize("video_id", ["1", " 1", 1.0])
def test_a_video_whose_bad_annotation_writes_its_id_otherwise_is_left_out_too(
    root: Path, video_id: object
) -> None:
    edited(root, put("annotations", 1, video_id=video_id))
    source = open_set(root, skip_bad=True)
    assert source.skipped == {"malformed annotation": 1, "video without all labels": 1}
    assert len(source) == 2


@pytest.mark.parametrize("video_id", [None, True, [1], "first", "", 1.5])
def test_an_annotation_that_names_no_video_is_said_to_be_missing_in_one(
    root: Path, caplog: pytest.LogCaptureFixture, video_id: object
) -> None:
    edited(root, put("annotations", 1, video_id=video_id))
    with pytest.raises(SourceError, match=r"video_id is .*, expected a whole number of 64 bits$"):
        open_set(root)
    source = open_set(root, skip_bad=True)
    assert source.skipped == {"annotation of no known video, which stays without it": 1}
    assert len(source) == 3
    assert "of no known video, which stays without it, 1 so far; the first is" in caplog.text
    edited(root, lambda content: content["annotations"].__setitem__(1, 4))
    assert open_set(root, skip_bad=True).skipped == source.skipped


def names_by_part(root: Path, every: int) -> tuple[set[str], set[str]]:
    """The folders of the videos to train on, and of those that are held out."""
    content = json.loads((root / "annotations.json").read_text())
    names = {video["id"]: video["file_names"][0].split("/")[0] for video in content["videos"]}
    train, val = open_set(root).split(every)
    parts = [{names[video_id] for video_id in part.object_counts()} for part in (train, val)]
    return parts[0], parts[1]


def test_a_share_of_the_videos_is_held_out_whichever_others_there_are(tmp_path: Path) -> None:
    clip = Clip(np.zeros((1, 8, 8, 3), np.uint8), np.ones((1, 1, 8, 8), bool), np.array([1]))
    write_youtube_vis(tmp_path, [(f"video {n}", clip) for n in range(60)], NAMES)
    train, val = names_by_part(tmp_path, 2)
    assert not train & val
    assert len(train | val) == 60
    assert 20 <= len(val) <= 40
    assert names_by_part(tmp_path, 4)[1] < val  # fewer, of the same

    def without_some(content: dict[str, Any]) -> None:
        content["videos"] = [video for video in content["videos"] if video["id"] % 3]
        for video_id, video in enumerate(content["videos"], start=1):
            video["id"] = video_id  # as by a tool that numbers them anew
        content["annotations"] = []

    edited(tmp_path, without_some)
    fewer = names_by_part(tmp_path, 2)
    assert fewer[0] < train
    assert fewer[1] < val


@pytest.mark.parametrize("every", [2, 10, 10**9])
def test_of_few_videos_one_is_held_out_and_one_trained_on(root: Path, every: int) -> None:
    whole = open_set(root)
    train, val = whole.split(every)
    assert len(train) + len(val) == 3
    assert min(len(train), len(val)) >= 1
    (root / "one").mkdir()
    write_youtube_vis(root / "one", [("a", CLIPS["short"]), ("b", CLIPS["short"])], NAMES)
    assert [len(part) for part in open_set(root / "one").split(every)] == [1, 1]
    train.leave_out("x")
    assert (train.left_out, val.left_out, whole.skipped["unusable image"]) == (["x"], [], 0)


def test_one_video_alone_cannot_be_split(root: Path) -> None:
    edited(root, lambda content: content.update(videos=content["videos"][:1]))
    edited(root, lambda content: content.update(annotations=content["annotations"][:1]))
    with pytest.raises(SourceError, match="one video only; val_annotations needs another"):
        open_set(root).split(2)


def test_a_warning_for_each_reason(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for position in range(3):
        edited(root, put("annotations", position, iscrowd=1))
    assert open_set(root).skipped == {"crowd region": 3, "video without all labels": 2}
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "crowd region, 3 so far; the first is" in caplog.messages[0]


def damaged(path: Path) -> None:
    Image.fromarray(pictures(1, SIZE)[0]).save(path)
    damage(path)


def wrong_size(path: Path) -> None:
    Image.fromarray(pictures(1, (24, 32))[0]).save(path)


def cut_off(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damaged, "damaged JPEG data"),
        (cut_off, ""),
        (wrong_size, "is 32x24, expected 64x48"),
        (Path.unlink, "no such file"),
    ],
)
def test_unusable_images_are_named_or_another_video_is_drawn(
    root: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], object], message: str
) -> None:
    strict, source = open_set(root), open_set(root, skip_bad=True)
    spoil(root / "JPEGImages" / "short" / "00001.jpg")
    with pytest.raises(SourceError, match=rf"annotations\.json: video 2: .*00001\.jpg.*{message}"):
        draw(strict, SHORT, 3)
    for seed in range(3):
        assert draw(source, SHORT, 3, seed=seed).category_ids.size == 0  # of the video after it
    assert source.skipped == {"unusable image": 1}
    assert len(caplog.records) == 1
    single = [draw(source, SHORT, 1, seed=seed) for seed in range(20)]
    assert {tuple(clip.category_ids) for clip in single} == {(2,), ()}  # its other frames are used


def test_an_error_once_no_image_can_be_read(root: Path) -> None:
    source = open_set(root, skip_bad=True)
    for image in (root / "JPEGImages").rglob("*.jpg"):
        cut_off(image)
    with pytest.raises(SourceError, match="no video is left whose images can be read"):
        draw(source, EMPTY, 2)


def test_which_part_has_no_image_that_can_be_read_is_said(root: Path) -> None:
    train, val = open_set(root, skip_bad=True).split(2)
    for image in (root / "JPEGImages").rglob("*.jpg"):
        cut_off(image)
    for part, message in ((train, "no video to train on is left"), (val, "no held-out video is")):
        with pytest.raises(SourceError, match=message):
            draw(part, 0, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "expected an object, found list"),
        ("{", "is not JSON"),
        ('{"videos": 3, "annotations": []}', "videos is 3, expected a list"),
        ('{"videos": []}', "annotations is None, expected a list"),
        ('{"videos": [], "annotations": []}', "there is no video to train on"),
        ('{"videos": [4], "annotations": []}', r"videos\[0\]: expected an object, found 4"),
    ],
)
def test_files_that_are_no_data_set(root: Path, content: str, message: str) -> None:
    (root / "annotations.json").write_text(content)
    with pytest.raises(SourceError, match=r"annotations\.json: " + message):
        open_set(root)


def test_what_cannot_be_opened_or_drawn_is_named(root: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere: is not a folder"):
        YouTubeVis(root / "annotations.json", root / "nowhere", categories=3)
    with pytest.raises(SourceError, match=r"nowhere\.json: No such file"):
        YouTubeVis(root / "nowhere.json", root, categories=3)
    with pytest.raises(IndexError):
        draw(open_set(root), 3, 1)


def test_objects_without_a_pixel_are_not_written(tmp_path: Path) -> None:
    clip = make_clip(2, (1, 2), seed=0)
    clip.masks[0] = False
    write_youtube_vis(tmp_path, [("a", clip)], NAMES)
    [entry] = json.loads((tmp_path / "annotations.json").read_text())["annotations"]
    assert (entry["id"], entry["category_id"]) == (1, 2)


def test_what_the_writer_refuses(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"annotations\.json: is there already"):
        write_youtube_vis(root, CLIPS.items(), NAMES)
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="cannot make the folder"):
        write_youtube_vis(tmp_path / "file", CLIPS.items(), NAMES)


def test_clips_are_written_one_at_a_time(tmp_path: Path) -> None:
    def clips() -> Iterator[tuple[str, Clip]]:
        yield "first", CLIPS["short"]
        assert (tmp_path / "JPEGImages" / "first" / "00002.jpg").is_file()
        yield "second", CLIPS["empty"]

    write_youtube_vis(tmp_path, clips(), NAMES)
    assert len(open_set(tmp_path)) == 2
