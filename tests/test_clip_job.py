"""A clip in, masks for every frame out: the older script's command lines, end to end."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from streamer import cli
from tests.clips import beep_begins_s, frames_of, make_clip, make_images, make_sounding_clip
from tests.processes import STREAM

Job = Callable[..., tuple[int, str]]


@pytest.fixture
def job(
    weights: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Job:
    """Runs the command line in an empty folder; returns the exit code and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, *, threshold: str = "0") -> tuple[int, str]:
        options = ["--model_path", weights, "--threshold", threshold, "--window.stride", "4"]
        code = cli.main([*options, *text.split()])
        return code, capsys.readouterr().err

    return run


def image(path: str | Path) -> np.ndarray:
    with Image.open(path) as read:
        return np.asarray(read)


def names(folder: str) -> list[str]:
    return sorted(
        (path.name for path in Path(folder).iterdir()), key=lambda n: int(n.split(".")[0])
    )


def read_json(path: str) -> Any:
    return json.loads(Path(path).read_text())


def masks_of(results: list[dict[str, Any]], frame: int, size: tuple[int, int]) -> np.ndarray:
    """All masks of a frame in a results file, as one bool [H, W]."""
    rles = [result["segmentations"][frame] for result in results]
    masks = [coco_mask.decode(rle).astype(bool) for rle in rles if rle is not None]
    return np.logical_or.reduce(masks, axis=0) if masks else np.zeros(size, bool)


def test_the_whole_job_as_the_script_was_called(weights: str, tmp_path: Path) -> None:
    images = make_clip(tmp_path / "clip.mp4", frames=20, size=(48, 64), codec_options={"qp": "0"})
    command = (
        f"--masks --model_path {weights} --img_path rawFrames --ann_path input.json "
        "--mp4_clip_path clip.mp4 --masks_results_path masks --save_path results.json "
        "--backbone mobilenet_v2 --device cpu --num_frames 6 --num_ins 3 --threshold 0"
    )
    done = subprocess.run(
        [*STREAM, *command.split()],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert "20 frames" in done.stdout
    assert "wrote masks/" in done.stdout

    video = read_json(str(tmp_path / "input.json"))["videos"][0]
    assert (video["id"], video["width"], video["height"], video["length"]) == (1, 64, 48, 20)
    assert video["file_names"] == [f"{n}.jpg" for n in range(20)]
    assert names(str(tmp_path / "rawFrames")) == video["file_names"]
    frame = image(tmp_path / "rawFrames" / "7.jpg").astype(int)
    assert np.abs(frame - images[7]).mean() < 6

    assert names(str(tmp_path / "masks")) == [f"{n}.png" for n in range(20)]
    results = read_json(str(tmp_path / "results.json"))
    assert results
    assert {result["video_id"] for result in results} == {1}
    assert {len(result["segmentations"]) for result in results} == {20}
    for n in range(20):
        expected = masks_of(results, n, (48, 64))
        assert np.array_equal(image(tmp_path / "masks" / f"{n}.png"), expected * 255), n


def test_without_objects_every_frame_still_has_its_mask(tmp_path: Path, job: Job) -> None:
    make_clip("clip.mp4", frames=15)
    code, _ = job(
        "--mp4_clip_path clip.mp4 --masks_results_path m --save_path r.json --ann_path a.json",
        threshold="1",
    )
    assert code == 0
    assert names("m") == [f"{n}.png" for n in range(15)]
    assert not any(image(f"m/{n}.png").any() for n in range(15))
    assert read_json("r.json") == []
    assert read_json("a.json")["videos"][0]["length"] == 15


def test_a_phone_clip_is_upright_everywhere(job: Job) -> None:
    images = make_clip("phone.mov", frames=8, size=(48, 64), rotation=-90)
    code, _ = job(
        "--mp4_clip_path phone.mov --img_path i --ann_path a.json --masks_results_path m "
        "--save_path r.json --output overlay=o.mp4 --output p.gif"
    )
    assert code == 0
    video = read_json("a.json")["videos"][0]
    assert (video["width"], video["height"]) == (48, 64)
    upright = np.rot90(images[5], -1).astype(int)
    frame = image("i/5.jpg").astype(int)
    assert frame.shape == (64, 48, 3)
    assert np.abs(frame - upright).mean() < 8
    assert image("m/5.png").shape == (64, 48)
    sizes = {tuple(rle["size"]) for r in read_json("r.json") for rle in r["segmentations"] if rle}
    assert sizes == {(64, 48)}
    with av.open("o.mp4") as container:
        assert (container.streams.video[0].height, container.streams.video[0].width) == (64, 48)
    assert image("p.gif").shape[:2] == (64, 48)


def test_colour_formats_and_all_other_outputs_in_one_pass(job: Job) -> None:
    make_clip("clip.mp4", frames=12)
    code, _ = job(
        "--mp4_clip_path clip.mp4 --masks_results_path m --masks_color --images.format jpg "
        "--output side_by_side=s.mp4 --output p.webp --output tracks=t/ --output instances=n/"
    )
    assert code == 0
    assert names("m") == names("n") == [f"{n}.jpg" for n in range(12)]
    assert image("m/3.jpg").ndim == 3
    assert [frame.width for frame in frames_of("s.mp4")] == [128] * 12
    per_track = [path.name for path in Path("t").rglob("*.jpg")]
    assert per_track
    assert set(per_track) <= set(names("m"))
    with Image.open("p.webp") as animation:
        assert animation.n_frames > 1


def test_the_scripts_own_places_where_none_is_given(job: Job) -> None:
    make_clip("clip.mp4", frames=4)
    code, _ = job("--mp4_clip_path clip.mp4")
    assert code == 0
    assert names("data/result_masks") == [f"{n}.png" for n in range(4)]
    assert read_json("results.json")


def test_cleaning_reaches_just_the_two_folders(job: Job) -> None:
    make_clip("clip.mp4", frames=4)
    for folder in ("i", "m", "other"):
        Path(folder).mkdir()
        for name in ("99.png", "99.jpg", "notes.txt", "99.json"):
            (Path(folder) / name).write_text("mine")
    code, err = job(
        "--mp4_clip_path clip.mp4 --img_path i --masks_results_path m --clean "
        "--output overlay=other/"
    )
    assert code == 0
    mine = {"notes.txt", "99.json"}
    assert {path.name for path in Path("i").iterdir()} == mine | {f"{n}.jpg" for n in range(4)}
    assert {path.name for path in Path("m").iterdir()} == mine | {f"{n}.png" for n in range(4)}
    assert (Path("other") / "99.png").read_text() == "mine"
    assert "other holds 2 numbered images of earlier runs" in err


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("--mp4_clip_path clip.mp4 --backbone resnet50", 1, "backbone is mobilenet_v2"),
        ("--mp4_clip_path clip.mp4 --num_ins 5", 1, "slots is 3 in the weights, not 5"),
        ("--mp4_clip_path clip.mp4 --num_frames 36", 1, "frames is 6 in the weights, not 36"),
        ("--mp4_clip_path gone.mp4", 1, "gone.mp4: no such file"),
        ("--mp4_clip_path clip.mp4 --img_path clip.mp4", 1, "clip.mp4 is not a folder"),
        ("--mp4_clip_path clip.mp4 --img_path images/1.png/x", 1, "1.png is not a folder"),
        ("--mp4_clip_path clip.mp4 --img_path x --masks_results_path ./x/", 2, "another output"),
        ("--mp4_clip_path clip.mp4 --ann_path r.json --save_path r.json", 2, "another output"),
        ("--mp4_clip_path clip.mp4 --save_path gone/r.json", 1, "the folder gone does not exist"),
        ("--mp4_clip_path images --masks_results_path images --clean", 2, "also the source"),
        ("images/%d.png --masks_results_path images --clean", 2, "the folder of the source"),
        ("images/1.png --img_path images --clean", 2, "the folder of the source"),
        ("clip.mp4 --category_file n.txt --ann_path n.txt", 2, "n.txt is also the category file"),
        ("images --output images/p.webp", 2, "images would be read with p.webp the next time"),
        ("images --output images/sub.png/ --weights gone.pth", 1, "gone.pth: no such file"),
        ("file:clip.mp4 --output clip.mp4", 2, "clip.mp4 is also the source"),
        ("file:images/1.png --masks_results_path images --clean", 2, "the folder of the source"),
        ("clip.mp4 --output linked.mp4", 2, "linked.mp4 is also the source"),
        (
            "--output tracks=t/ --output frame=t/1/",
            2,
            "gets a folder for each track, such as 1, which",
        ),
        ("clip.1.mp4 --output clip.mp4", 2, "would go on in clip.1.mp4, as a new segment or where"),
        (
            "clip.mp4 --output a.mp4 --output a.1.mp4",
            2,
            "go on in a.1.mp4",
        ),
        ("clip.mp4 --output a.mp4 --output frame=a.1.mp4/", 2, "go on in a.1.mp4"),
        ("clip.mp4 --results r.json --results r.2.json --mp4.segment_s 9", 2, "go on in r.2.jsonl"),
        (f"clip.mp4 --output {'x' * 300}", 2, "or a folder with a slash at its end"),
        (f"clip.mp4 --output {'x' * 300}/", 1, "File name too long"),
    ],
)
def test_what_cannot_be_done_leaves_everything_as_it_was(
    job: Job, text: str, code: int, message: str
) -> None:
    make_clip("clip.mp4", frames=4)
    make_images(Path("images"), frames=3)
    Path("n.txt").write_text("a\nb\nc\nd\ne\n")
    Path("linked.mp4").hardlink_to("clip.mp4")
    make_clip("clip.1.mp4", frames=4)
    before = sorted(str(path) for path in Path().rglob("*"))
    got, err = job(text)
    assert (got, message in err.splitlines()[-1]) == (code, True), err
    assert sorted(str(path) for path in Path().rglob("*")) == before


def test_without_masks_there_are_boxes(job: Job) -> None:
    make_clip("clip.mp4", frames=12)
    code, _ = job("--mp4_clip_path clip.mp4 --masks false --save_path r.json --output overlay=o/")
    assert code == 0
    results = read_json("r.json")
    assert results
    for result in results:
        assert result["segmentations"] == [None] * 12
        assert len(result["bboxes"]) == 12
    boxes = [box for result in results for box in result["bboxes"] if box is not None]
    assert all(0 <= x < x + w <= 64 and 0 <= y < y + h <= 48 for x, y, w, h in boxes)
    assert len(names("o")) == 12


def test_the_sound_goes_with_the_video(job: Job) -> None:
    make_sounding_clip(Path("a.mp4"), seconds=2, sound_s=2.0, beep_s=1.0)
    assert job("a.mp4 --output o.mp4 --threshold 1")[0] == 0
    assert beep_begins_s(Path("o.mp4")) == pytest.approx(1, abs=0.03)
    assert job("a.mp4 --output mute.mp4 --mp4.audio false --threshold 1")[0] == 0
    with av.open("mute.mp4") as container:
        assert not container.streams.audio


def test_a_pipe_given_by_a_path_is_read_once(job: Job) -> None:
    make_sounding_clip(Path("a.ts"), seconds=2, sound_s=2.0)
    os.mkfifo("pipe.ts")
    with subprocess.Popen(["/bin/sh", "-c", "cat a.ts > pipe.ts"]):
        code, _ = job("pipe.ts --output o.mp4 --threshold 1")
    assert code == 0
    assert len(frames_of("o.mp4")) == 50
