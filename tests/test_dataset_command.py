"""`python -m streamer.dataset`: whole data sets, interruptions, and its messages."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from streamer.dataset import images as images_module
from streamer.dataset.annotations import Video
from streamer.dataset.command import main
from streamer.dataset.lock import only_job
from streamer.dataset.segmenter import VideoSegmenter
from tests.datasets import Dataset, assert_equal_results, damage, jpeg, make_dataset, pictures
from tests.golden_case import golden_case
from tests.processes import started
from tests.tiny_vistr import save_tiny_vistr, tiny_vistr

WINDOW = 6
PATHS = ("--ann_path", "--img_path", "--save_path", "--weights", "--category_file", "--backbone")
VIDEOS = {
    12: pictures(4),
    5: pictures(WINDOW, (40, 40), seed=1),
    30: pictures(2 * WINDOW + 5, (64, 48), seed=2),
    7: pictures(1, (30, 50), seed=3),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_tiny_vistr(path, frames=WINDOW, slots=3)
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path, VIDEOS)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of the videos that the network worked on."""
    ids: list[int] = []
    segment = VideoSegmenter.segment

    def noting(self: VideoSegmenter, video: Video, on_frame: Callable[[], None]) -> None:
        segment(self, video, on_frame)
        ids.append(video.video_id)

    monkeypatch.setattr(VideoSegmenter, "segment", noting)
    return ids


def fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """Run the command; returns the last line on stderr."""
    assert main(arguments) == code
    err = capsys.readouterr().err
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("error: ")
    return last


@pytest.mark.usefixtures("terminal")
def test_every_video_whole_and_in_order(
    dataset: Dataset,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(dataset.arguments(weights)) == 0
    out, err = capsys.readouterr()
    results = dataset.results()
    assert list(dict.fromkeys(entry["video_id"] for entry in results)) == [12, 5, 30, 7]
    for entry in results:
        video = VIDEOS[entry["video_id"]]
        assert len(entry["segmentations"]) == len(video)
        sizes = {tuple(rle["size"]) for rle in entry["segmentations"] if rle}
        assert sizes == {video[0].shape[:2]}
    short = [entry for entry in results if entry["video_id"] == 12]
    assert [set(entry) for entry in short] == [
        {"video_id", "score", "category_id", "segmentations"}
    ] * 3  # all slots, no threshold
    assert re.search(rf"^4 videos, 28 frames, {len(results)} instances in .* 0 skipped$", out, re.M)
    assert f"wrote {dataset.save_path}" in out
    assert "28/28" in err
    assert "4/4 videos" in err
    assert not dataset.parts.exists()


def test_a_link_is_the_results_file_that_it_leads_to(
    dataset: Dataset, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = dataset.save_path.with_name("place.json")
    dataset.save_path.symlink_to(place)
    with only_job(str(place)):
        last = fails(capsys, 1, *dataset.arguments(weights))
        assert last.endswith("place.json: another job is at work on it")
    assert main(dataset.arguments(weights)) == 0
    assert dataset.save_path.is_symlink()
    assert len(dataset.results()) > len(VIDEOS)
    assert not place.with_name("place.json.parts").exists()


def test_results_do_not_depend_on_how_many_run_at_once(dataset: Dataset, weights: Path) -> None:
    found = []
    for parallel in ("1", "4", "auto"):
        assert main(dataset.arguments(weights, "--parallel", parallel)) == 0
        found.append(dataset.save_path.read_bytes())
    assert found[0] == found[1] == found[2]


def test_a_long_video_keeps_its_objects_over_all_windows(dataset: Dataset, weights: Path) -> None:
    # Two thirds of a window are shared: what a slot shows there is one object in both.
    assert main(dataset.arguments(weights, "--stride", 2)) == 0
    tracks = [entry for entry in dataset.results() if entry["video_id"] == 30]
    assert len({track["track_id"] for track in tracks}) == len(tracks)
    shown = [sum(rle is not None for rle in track["segmentations"]) for track in tracks]
    assert max(shown) == len(VIDEOS[30])
    rle = next(rle for rle in tracks[0]["segmentations"] if rle)
    assert coco_mask.decode(rle).any()


@pytest.mark.usefixtures("terminal")
def test_an_interrupted_job_goes_on_where_it_was(
    dataset: Dataset,
    weights: Path,
    computed: list[int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = dataset.arguments(weights, "--parallel", 1)
    assert main(arguments) == 0
    expected = dataset.save_path.read_text()
    broken = dataset.image(30, 9)
    sound = damage(broken)
    computed.clear()
    capsys.readouterr()

    last = fails(capsys, 1, *arguments)
    assert (
        last == f"error: video 30: {broken}: damaged JPEG data; --skip_bad leaves such videos out"
    )
    assert computed == [12, 5]
    assert (
        dataset.save_path.read_text() == expected
    )  # the old results stay until there are new ones
    broken.write_bytes(sound)
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert computed == [12, 5, 30, 7]
    assert "4 videos (2 from before)" in out
    assert "28/28" in err
    assert dataset.save_path.read_text() == expected
    assert not dataset.parts.exists()


def test_a_finished_video_whose_images_changed_is_segmented_again(
    dataset: Dataset, weights: Path, computed: list[int], capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    arguments = dataset.arguments(weights, "--parallel", 1)
    sound = damage(dataset.image(30, 0))
    assert "video 30" in fails(capsys, 1, *arguments)
    dataset.image(30, 0).write_bytes(sound)
    dataset.image(12, 3).write_bytes(jpeg(pictures(1, seed=9)[0]))
    (dataset.parts / "5.images").unlink()  # so does what nobody knows to be the same
    computed.clear()
    caplog.clear()
    assert main(arguments) == 0
    assert computed == [12, 5, 30, 7]
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line == "video 12: its images changed, or may have (and 1 more); segmented again"
    resumed = dataset.save_path.read_bytes()
    assert main(arguments) == 0
    assert dataset.save_path.read_bytes() == resumed


def test_other_settings_do_not_mix_and_restart_begins_anew(
    tmp_path: Path, weights: Path, computed: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = make_dataset(tmp_path, dict.fromkeys([12, 30], pictures(1)))
    arguments = dataset.arguments(weights, "--parallel", 1)
    sound = damage(dataset.image(30, 0))
    assert "video 30" in fails(capsys, 1, *arguments)
    dataset.image(30, 0).write_bytes(sound)
    message = "is 48, but 64 for the videos that are finished in"
    assert f"short_side {message}" in fails(capsys, 2, *arguments, "--short_side", "48")
    assert "precision is 'float64'" in fails(capsys, 2, *arguments, "--precision", "fp64")
    assert "stride is 2, but 6 for" in fails(capsys, 2, *arguments, "--stride", "2")
    copied = shutil.copytree(dataset.img_path, dataset.root / "copied")
    assert "img_path is '" in fails(capsys, 2, *arguments, "--img_path", str(copied))
    os.utime(weights, (0, 0))
    assert "time of weights is 0" in fails(capsys, 2, *arguments)
    assert computed == [12]
    assert main([*arguments, "--restart"]) == 0
    assert computed == [12, 12, 30]


def test_other_names_of_the_categories_do_not_mix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = make_dataset(tmp_path, dict.fromkeys([5, 30], pictures(1, (40, 40))))
    path, names = tmp_path / "nameless.pth", tmp_path / "names.txt"
    torch.save({"model": tiny_vistr(frames=WINDOW, slots=3, classes=40).state_dict()}, path)
    names.write_text("\n".join(f"thing {n}" for n in range(40)))
    dataset.rewrite(dataset.content() | {"categories": []})
    arguments = dataset.arguments(path, "--num_frames", WINDOW, "--parallel", 1)
    damage(dataset.image(30, 0))
    assert "video 30" in fails(capsys, 1, *arguments)
    last = fails(capsys, 2, *arguments, "--category_file", str(names))
    assert "categories[1] is 'thing 0', but 'person' for" in last


def test_bad_videos_are_left_out_and_listed(
    dataset: Dataset, weights: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    gone, broken = dataset.image(5, 3), dataset.image(30, 9)
    gone.unlink()
    damage(broken)
    last = fails(capsys, 1, *dataset.arguments(weights))
    assert last == (
        f"error: {dataset.ann_path}: videos[1] (id 5): {gone}: no such file; "
        "--skip_bad leaves bad videos out"
    )
    assert not dataset.parts.exists()
    caplog.clear()
    assert main(dataset.arguments(weights, "--skip_bad")) == 0
    assert {entry["video_id"] for entry in dataset.results()} == {12, 7}
    assert "2 videos, 5 frames, " in capsys.readouterr().out
    skipped = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert skipped == [
        f"skipped videos[1] (id 5): {gone}: no such file",
        f"skipped video 30: {broken}: damaged JPEG data",
    ]


def test_results_stay_where_no_video_can_be_read_any_more(
    dataset: Dataset, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset.save_path.write_text("of before")
    for video in dataset.content()["videos"]:
        damage(dataset.image(video["id"], 0))
    last = fails(capsys, 1, *dataset.arguments(weights, "--skip_bad"))
    assert "damaged JPEG data (and 3 more); no good one is left" in last
    assert dataset.save_path.read_text() == "of before"


@pytest.mark.parametrize(("video_id", "options"), [(30, []), (12, ["--restart"])])
def test_no_memory_makes_no_video_a_bad_one(
    dataset: Dataset, weights: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    video_id: int, options: list[str],
) -> None:  # fmt: skip
    broken, read = dataset.image(video_id, 3), images_module.read_image

    def starved(path: Path, size: tuple[int, int]) -> object:
        if path == broken:
            raise MemoryError
        return read(path, size)

    monkeypatch.setattr(images_module, "read_image", starved)
    arguments = dataset.arguments(weights, "--skip_bad", *options)
    assert fails(capsys, 1, *arguments).startswith(f"error: video {video_id}: MemoryError")
    advice = "the same command without --restart goes on" if options else "the same command goes on"
    assert advice in caplog.text
    assert not dataset.save_path.exists()


def test_all_bad_videos_are_named(
    dataset: Dataset, weights: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    for video_id in (12, 30, 7):
        dataset.image(video_id, 0).unlink()
    assert "videos[0] (id 12): " in (last := fails(capsys, 1, *dataset.arguments(weights)))
    assert "no such file (and 2 more); --skip_bad" in last
    assert [re.search(r"id \d+", line)[0] for line in caplog.messages] == ["id 30", "id 7"]  # type: ignore[index]


def test_nothing_is_left_to_do_where_every_video_is_bad(
    dataset: Dataset, weights: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    options = dataset.arguments(weights, "--skip_bad", "--img_path", str(elsewhere))
    assert "no such file (and 3 more); no good one is left" in fails(capsys, 1, *options)
    assert not Path(dataset.save_path).exists()


def test_quiet_says_nothing(
    dataset: Dataset, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(dataset.arguments(weights, "--quiet")) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            ["--stride", "7"],
            2,
            "error: stride is 7; allowed: from 1 to 6",
        ),
        (["--short_side", "1"], 2, "short_side is 1; allowed: from 32 to"),
        (["--num_frames", "8"], 1, ": num_frames is 6 in the weights, not 8"),
        (["--num_ins", "10"], 1, ": num_ins is 3 in the weights, not 10"),
        (["--backbone", "resnet50"], 1, "backbone is mobilenet_v2"),
        (["--weights", "gone.pth"], 1, "gone.pth"),
        (["--category_file", "gone.txt"], 1, "gone.txt"),
        (["--category_file", "three.txt"], 1, "categories"),
        (["--device", "cuda"], 1, "device is 'cuda'"),
        (["--ann_path", "gone.json"], 1, "gone.json: No such file"),
        (["--img_path", "gone"], 1, "img_path gone: is not a folder"),
        (["--save_path", "gone/r.json"], 1, "the folder gone does not exist"),
        (["--save_path", "r.mp4"], 2, "save_path is 'r.mp4'; allowed: a JSON file"),
        (
            ["--save_path", "instances.json"],
            2,
            "instances.json is also ann_path; allowed: a place of its own",
        ),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    dataset: Dataset, weights: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], options: list[str], code: int, message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(dataset.root)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    Path("three.txt").write_text("person\ndog\ncat\n")
    before = set(dataset.root.iterdir())
    assert message in fails(capsys, code, *dataset.arguments(weights), *options)
    assert set(dataset.root.iterdir()) == before


def test_category_names_must_be_those_of_the_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A JSON of 2021 with weights of 2019: 40 categories both, and no number means a thing."""
    dataset = make_dataset(tmp_path, {7: pictures(1, (30, 50))})
    path = tmp_path / "forty.pth"  # without names of its own
    torch.save({"model": tiny_vistr(frames=WINDOW, slots=3, classes=40).state_dict()}, path)
    dataset.rewrite(dataset.content() | {"categories": [{"id": 1, "name": "airplane"}]})
    options = ("--num_frames", WINDOW, "--parallel", 1)
    last = fails(capsys, 1, *dataset.arguments(path, *options))
    assert "category 1 is 'airplane', but 'person' in the weights; correct the" in last
    names = tmp_path / "names.txt"
    names.write_text("\n".join(["Airplane", *(f"thing {n}" for n in range(39))]))
    assert main(dataset.arguments(path, *options, "--category_file", names)) == 0
    dataset.rewrite(dataset.content() | {"categories": []})
    assert main(dataset.arguments(path, *options)) == 0


@pytest.mark.parametrize(
    "options",
    [[], ["--parallel", "0"], ["--parallel", "all"], ["--stride", "0"], ["--precision", "fp8"],
     ["--short_side", "big"], ["--bogus"], *([name, ""] for name in PATHS)],
)  # fmt: skip
def test_malformed_arguments_are_code_2(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = ["--ann_path", "a", "--img_path", "b", "--save_path", "c"]
    with pytest.raises(SystemExit) as caught:
        main([*paths, *options] if options else [])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error: " in last
    assert not options or options[0] in last


def test_help_names_the_command_and_the_older_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "python -m streamer.dataset" in out
    assert "--model_path" in out


# Video 30 never ends of itself.
ENDLESS = """
import sys
from streamer.dataset.command import main
from streamer.dataset.segmenter import VideoSegmenter

segment = VideoSegmenter.segment

def endless(self, video, on_frame):
    if video.video_id != 30:
        return segment(self, video, on_frame)
    print("under way", flush=True)
    while True:
        on_frame()

VideoSegmenter.segment = endless
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)],
)
def test_a_signal_keeps_what_is_finished(
    dataset: Dataset, weights: Path, computed: list[int], number: signal.Signals, code: int
) -> None:
    arguments = dataset.arguments(weights, "--parallel", 1, "--quiet")
    with started(sys.executable, "-c", ENDLESS, *arguments) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "under way\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert err.splitlines()[-1] == (
        f"WARNING: 2 of 4 videos are finished and stay in {dataset.parts}; "
        "the same command goes on from there"
    )
    assert not dataset.save_path.exists()
    assert main(arguments) == 0
    assert computed == [30, 7]
    assert {entry["video_id"] for entry in dataset.results()} == set(VIDEOS)


@pytest.mark.slow
def test_the_golden_case_of_resnet101(tmp_path: Path) -> None:
    case = golden_case("vistr_r101_96x64", 3)
    weights = tmp_path / "r101.pth"
    args = Namespace(num_frames=36, num_queries=360)
    torch.save({"model": case.weights(), "args": args}, weights)
    video_id: int = case.results[0]["video_id"]
    dataset = make_dataset(tmp_path, {video_id: list(case.arrays["frames"])}, ".png")
    options: list[Any] = ["--short_side", 64, "--precision", "fp64", "--device", "cpu"]
    options += ["--backbone", "resnet101", "--num_frames", 36, "--num_ins", 10]
    with Image.open(dataset.image(video_id, 0)) as image:
        assert np.array_equal(np.asarray(image), case.arrays["frames"][0])
    assert main(dataset.arguments(weights, *options)) == 0
    assert_equal_results(dataset.results(), case.results)
