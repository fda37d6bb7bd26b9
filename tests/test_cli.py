"""`streamer.cli`: the whole stream on real clips, its exit codes and its messages."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from streamer import cli
from streamer.client import MaskSubscriber
from tests.clips import corrupt, frames_of, make_clip
from tests.file_limit import files_of_at_most
from tests.json_lines import json_lines
from tests.processes import STREAM, started
from tests.waits import PATIENCE_S, until

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stream(weights: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line; returns the exit code, stdout and stderr."""

    def run(*arguments: object, stride: object = 3) -> tuple[int, str, str]:
        options = ["--weights", weights, "--threshold", "0", "--window.stride", str(stride)]
        code = cli.main([*options, *(str(argument) for argument in arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def frame_sizes(path: Path) -> list[tuple[int, int]]:
    return [(frame.height, frame.width) for frame in frames_of(path)]


def test_a_looped_file_goes_on_in_segments(tmp_path: Path, stream: Run) -> None:
    make_clip(tmp_path / "clip.mp4", frames=20)
    code, out, _ = stream(
        *(tmp_path / "clip.mp4", "--source.loop", "true", "--max_frames", 50),
        *("--output", tmp_path / "o.mp4", "--results", tmp_path / "r.json"),
        *("--mp4.segment_s", 1),
    )
    assert code == 0
    assert str(tmp_path / "r.jsonl") in out
    assert not (tmp_path / "r.json").exists()
    videos, lines = (sorted(path.name for path in tmp_path.glob(p)) for p in ("o*.mp4", "r*.jsonl"))
    assert len(videos) > 1
    assert [name.replace("o", "r").replace(".mp4", ".jsonl") for name in videos] == lines
    indices: list[object] = []
    for video, line in zip(videos, lines, strict=True):
        frames = json_lines(tmp_path / line, "frame")
        assert len(frame_sizes(tmp_path / video)) == len(frames)
        indices += [frame["frame"] for frame in frames]
    assert sorted(indices, key=int) == list(range(50))  # type: ignore[call-overload]


@pytest.mark.usefixtures("terminal")
def test_a_terminal_shows_the_progress(tmp_path: Path, stream: Run) -> None:
    make_clip(tmp_path / "clip.mp4", frames=20)
    _, _, err = stream(tmp_path / "clip.mp4")
    assert "20/20 [" in err
    _, _, err = stream(tmp_path / "clip.mp4", "--quiet")
    assert "20/20 [" not in err


def test_every_sink_gets_every_frame(tmp_path: Path, stream: Run) -> None:
    make_clip(tmp_path / "clip.mp4", frames=20)
    endpoint = f"ipc://{tmp_path}/masks"
    received: list[int] = []
    published = threading.Event()

    def read() -> None:
        with MaskSubscriber(endpoint, timeout_s=PATIENCE_S) as subscriber:
            received.extend(frame.frame for frame in subscriber)
            # libzmq can hang where a reader leaves just as the publisher closes.
            assert published.wait(PATIENCE_S)

    reader = threading.Thread(target=read)
    reader.start()
    code, out, err = stream(
        tmp_path / "clip.mp4",
        *("--output", tmp_path / "a.mp4", "--output", tmp_path / "b.mp4"),
        *("--results", tmp_path / "r.json", "--publish", endpoint),
        *("--zmq.wait_subscribers", 1),
    )
    published.set()
    reader.join(PATIENCE_S)
    assert code == 0
    assert received == list(range(20))
    assert frame_sizes(tmp_path / "a.mp4") == frame_sizes(tmp_path / "b.mp4") == [(48, 64)] * 20
    assert [line["frame"] for line in json_lines(tmp_path / "r.jsonl", "frame")] == list(range(20))
    results = json.loads((tmp_path / "r.json").read_text())
    assert results
    assert all(len(result["segmentations"]) == 20 for result in results)
    assert "20/20 [" not in err  # no terminal, no progress bar
    assert "20 frames" in out
    assert "latency" not in out  # of a file that nothing paces, it is no delay
    assert f"wrote {tmp_path / 'r.json'}" in out


@pytest.mark.parametrize(
    ("size", "pix_fmt", "codec"),
    [
        ((1, 1), "yuv444p", "libx264"),
        ((33, 47), "gray", "ffv1"),
        ((48, 64), "yuv420p10le", "libx264"),
        ((48, 64), "bgra", "ffv1"),
    ],
)
def test_odd_pictures_go_through_every_sink(
    tmp_path: Path, stream: Run, size: tuple[int, int], pix_fmt: str, codec: str
) -> None:
    make_clip(tmp_path / "clip.mkv", frames=8, size=size, pix_fmt=pix_fmt, codec=codec)
    code, _, _ = stream(
        tmp_path / "clip.mkv", "--output", tmp_path / "o.mp4", "--results", tmp_path / "r.json"
    )
    assert code == 0
    even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert frame_sizes(tmp_path / "o.mp4") == [even] * 8
    assert json_lines(tmp_path / "r.jsonl", "video")[0]["size"] == list(size)


def test_what_could_not_be_decoded_is_said(
    tmp_path: Path, stream: Run, caplog: pytest.LogCaptureFixture
) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, frames=60, gop=6)
    corrupt(clip, 0.5, clip.stat().st_size // 10)
    code, out, _ = stream(clip, "--results", tmp_path / "r.json")
    assert code == 0
    (line,) = [each for each in caplog.messages if "were damaged" in each]
    count = int(line.split()[0])
    assert count > 0
    assert line.endswith("packets or images were damaged: left out, or shown with the rest made up")
    assert f", {count} corrupt packets, " in out


@pytest.mark.usefixtures("terminal")
def test_a_live_run_leaves_its_results_as_lines(tmp_path: Path, stream: Run) -> None:
    results = tmp_path / "r.json"
    results.write_text("of another run")
    source = "lavfi:testsrc2=size=64x48:rate=25:duration=1"
    code, out, err = stream(source, "--source.live", "true", "--results", results)
    assert code == 0
    assert "frame [" in err  # the status line
    assert "r.jsonl" in out
    assert not results.exists()
    lines = tmp_path / "r.jsonl"
    (end,) = json_lines(lines, "end")
    assert end["reason"] == "end"
    assert len(json_lines(lines, "frame")) == end["frames"] > 0


def test_latency_is_said_where_there_is_a_pace(tmp_path: Path, stream: Run) -> None:
    make_clip(tmp_path / "clip.mp4", frames=4)
    _, out, _ = stream(tmp_path / "clip.mp4", "--source.realtime", "true")
    assert "latency from decoder to outputs: p50" in out


@pytest.mark.parametrize(("options", "frames"), [([], 6), (["--window.frame_step", "2"], 11)])
def test_how_many_frames_the_first_masks_take_is_said(
    tmp_path: Path,
    stream: Run,
    caplog: pytest.LogCaptureFixture,
    options: list[str],
    frames: int,
) -> None:
    make_clip(tmp_path / "clip.mp4", frames=4)
    caplog.set_level("INFO", "streamer")
    stream(tmp_path / "clip.mp4", *options)
    assert f"the first masks come after {frames} frames, or at the end" in caplog.text
    caplog.clear()
    stream(tmp_path / "clip.mp4", *options, "--source.live", "true")
    assert "the first masks" not in caplog.text


def test_waiting_for_readers_that_nothing_is_published_to_is_a_warning(
    tmp_path: Path, stream: Run
) -> None:
    make_clip(tmp_path / "clip.mp4", frames=4)
    code, _, err = stream(tmp_path / "clip.mp4", "--zmq.wait_subscribers", 1)
    assert code == 0
    assert "zmq.wait_subscribers is 1, which does nothing without --publish" in err


def test_selection_and_quiet(tmp_path: Path, stream: Run) -> None:
    make_clip(tmp_path / "clip.mp4", frames=40, fps=10)
    results = tmp_path / "r.json"
    options = ("--start", 1, "--duration", 2, "--max_frames", 15, "--roi", "10,8,40,32")
    code, out, err = stream(tmp_path / "clip.mp4", *options, "--results", results, "--quiet")
    assert (code, out) == (0, "")
    assert err == ""
    frames = json_lines(tmp_path / "r.jsonl", "frame")
    assert len(frames) == 15
    boxes = [i["bbox"] for frame in frames for i in frame["instances"]]
    left, top, width, height = np.array(boxes).T
    assert left.min() >= 10
    assert top.min() >= 8
    assert (left + width).max() <= 50
    assert (top + height).max() <= 40


def test_a_changing_frame_size(tmp_path: Path, stream: Run) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(14):
        size = (48, 64) if index < 8 else (33, 47)
        image = av.VideoFrame.from_ndarray(np.full((*size, 3), 9 * index, np.uint8), "rgb24")
        image.to_image().save(folder / f"{index}.png")
    code, _, _ = stream(folder, "--output", tmp_path / "o.mp4", "--results", tmp_path / "r.json")
    assert code == 0
    assert frame_sizes(tmp_path / "o.mp4") == [(48, 64)] * 8
    assert frame_sizes(tmp_path / "o.1.mp4") == [(34, 48)] * 6  # padded to even sizes
    assert [line["size"] for line in json_lines(tmp_path / "r.jsonl", "video")] == [
        [48, 64],
        [33, 47],
    ]
    results = json.loads((tmp_path / "r.json").read_text())
    lengths = {result["video_id"]: len(result["segmentations"]) for result in results}
    assert lengths == {1: 8, 2: 6}
    sizes = {
        (result["video_id"], *rle["size"])
        for result in results
        for rle in result["segmentations"]
        if rle
    }
    assert sizes == {(1, 48, 64), (2, 33, 47)}


@pytest.mark.parametrize("form", ["human", "json"])
def test_what_nobody_foresaw_is_one_line_and_says_where_it_arose(
    tmp_path: Path,
    stream: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    form: str,
) -> None:
    def too_large(*_: object) -> None:
        raise MemoryError("Unable to allocate 241. MiB")

    monkeypatch.setattr("streamer.stitching.merger.FrameMerger.merge", too_large)
    make_clip(tmp_path / "clip.mp4", frames=20)
    results = tmp_path / "r.json"
    code, _, err = stream(tmp_path / "clip.mp4", "--results", results, "--log", form)
    last = caplog.messages[-1] if form == "json" else err.splitlines()[-1]
    start = "" if form == "json" else "vistr-stream: error: "
    message = r"MemoryError: Unable to allocate 241\. MiB \(streamer/pipeline\.py:\d+\)"
    assert re.fullmatch(start + message, last)
    assert code == 1
    assert "Traceback" not in err
    (end,) = json_lines(tmp_path / "r.jsonl", "end")
    assert end["reason"] == "failed"


def test_a_video_that_breaks_midway_is_finished_up_to_there(tmp_path: Path, stream: Run) -> None:
    whole = tmp_path / "whole.mp4"
    make_clip(whole, frames=60, container_options={"movflags": "+faststart"}, gop=10)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    code, _, err = stream(broken, "--output", tmp_path / "o.mp4", "--results", tmp_path / "r.json")
    assert code == 1
    assert "broken.mp4" in err.splitlines()[-1]
    frames = json_lines(tmp_path / "r.jsonl", "frame")
    assert 10 < len(frames) < 60
    assert len(frame_sizes(tmp_path / "o.mp4")) == len(frames)
    results = json.loads((tmp_path / "r.json").read_text())
    assert {len(result["segmentations"]) for result in results} == {len(frames)}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere.mp4"], 1, "nowhere.mp4"),
        (["notes.txt"], 1, "notes.txt"),
        (["empty.mp4"], 1, "empty.mp4"),
        (["clip.mp4", "--weights", "nowhere.pth"], 1, "nowhere.pth"),
        (
            ["clip.mp4", "--weights", "vistr_r50.pth"],
            1,
            "no such file; the published files are linked at",
        ),
        (["clip.mp4", "--output", "nowhere/o.mp4"], 1, "nowhere"),
        (["clip.mp4", "--results", "folder"], 1, "folder"),
        (["clip.mp4", "--device", "cuda"], 1, "device is 'cuda'"),
        (["clip.mp4", "--window.stride", "7"], 2, "window.stride is 7; allowed: from 1 to 6"),
        (["clip.mp4", "--window.stride", "0"], 2, "window.stride is 0"),
        (["clip.mp4", "--categories", "unicorn"], 2, "'unicorn' is unknown"),
        (["clip.mp4", "--publish", "carrier-pigeon"], 2, "carrier-pigeon"),
        (["clip.mp4", "--publish", "tcp://127.0.0.1:99999"], 2, "99999"),
        (["clip.mp4", "--window.size", "8"], 1, "8"),
        (["clip.mp4", "--roi", "0,0,100,10"], 1, "100"),
        (["clip.mp4", "--category_file", "notes.txt"], 1, "('not a video',)"),
        (["clip.mp4", "--category_file", "nowhere.txt"], 1, "nowhere.txt"),
        (["wide.mp4"], 1, "8:1"),
        ([""], 2, "input is ''"),
        (["clip.mp4", "--output", "clip.mp4"], 2, "clip.mp4 is also the source"),
        (["clip.mp4", "--output", "./folder/../clip.mp4"], 2, "clip.mp4 is also the source"),
        (["clip.mp4", "--output", "o.mp4", "--output", "./o.mp4"], 2, "is also another output"),
        (["clip.mp4", "--results", "r.json", "--results", "r.txt"], 2, "is also another output"),
        (["clip.mp4", "--results", "/dev/null"], 1, "/dev/null: is not a regular file"),
        (["clip.mp4", "--results", "."], 1, "is a folder"),
        (["clip.mp4", "--output", "a\0b.mp4"], 1, "is not a file name"),
        (["clip.mp4", "--bogus"], 2, "--bogus"),
        (["--config", "nowhere.yaml"], 1, "nowhere.yaml"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    weights: str,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    if "cuda" in arguments:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    make_clip("clip.mp4", frames=4)
    make_clip("wide.mp4", frames=4, size=(16, 144))
    Path("notes.txt").write_text("not a video")
    Path("empty.mp4").touch()
    Path("folder").mkdir()
    before = set(tmp_path.iterdir())
    assert cli.main(["--weights", weights, "--threshold", "0", *arguments]) == code
    err = capsys.readouterr().err
    last = err.splitlines()[-1]
    assert last.startswith("vistr-stream: error: ")
    assert message in last
    assert "Traceback" not in err
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("command", "imported"),
    [(STREAM, "jsonargparse"), ((sys.executable, "-m", "streamer.dataset"), "tqdm")],
)
def test_an_interrupt_during_the_imports_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], imported: str
) -> None:
    slow = "print('importing', flush=True)\nimport threading; threading.Event().wait()\n"
    (tmp_path / f"{imported}.py").write_text(slow)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with started(*command, "--help") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (130, "")


def test_a_port_in_use_fails_the_run_and_is_named(tmp_path: Path, stream: Run) -> None:
    make_clip(tmp_path / "clip.mp4", frames=4)
    endpoint = "tcp://127.0.0.1:*"
    import zmq  # noqa: PLC0415

    with zmq.Context() as context, context.socket(zmq.PUB) as taken:
        taken.bind(endpoint)
        used = taken.last_endpoint.decode()
        code, _, err = stream(tmp_path / "clip.mp4", "--publish", used)
    assert code == 1
    assert used in err.splitlines()[-1]


def test_a_sink_that_fails_ends_the_run_and_the_others_are_whole(
    tmp_path: Path, stream: Run
) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (30, 96, 128, 3), dtype=np.uint8)
    make_clip(tmp_path / "clip.mp4", frames=list(noise))
    with files_of_at_most(200_000):
        code, _, err = stream(
            *(tmp_path / "clip.mp4", "--output", tmp_path / "o.mp4", "--mp4.crf", 0),
            *("--results", tmp_path / "r.json", "--threshold", 1),
        )
    assert code == 1
    assert "o.mp4: File too large" in err.splitlines()[-1]
    assert "then also" not in err
    (end,) = json_lines(tmp_path / "r.jsonl", "end")
    assert end["reason"] == "failed"
    assert json.loads((tmp_path / "r.json").read_text()) == []  # no object is that sure
    assert len(json_lines(tmp_path / "r.jsonl", "frame")) == end["frames"]


NOHUP = pytest.mark.skipif(
    signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, reason="nohup runs the tests"
)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), pytest.param(signal.SIGHUP, 129, marks=NOHUP)],
)
def test_a_signal_ends_the_run_in_order(
    tmp_path: Path, weights: str, number: signal.Signals, code: int
) -> None:
    endpoint = f"ipc://{tmp_path}/masks"
    command = [
        *(*STREAM, "lavfi:testsrc2=size=64x48:rate=25", "--source.realtime", "true"),
        *("--weights", weights, "--threshold", 0, "--window.stride", 3),
        *("--output", tmp_path / "o.mp4", "--results", tmp_path / "r.json"),
        *("--publish", endpoint, "--zmq.wait_subscribers", 1),
    ]
    with started(*command) as process:
        with MaskSubscriber(endpoint, timeout_s=60) as subscriber:
            count = 0
            for _ in subscriber:
                count += 1
                if count == 10:
                    process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert subscriber.end is not None
    assert subscriber.end.reason == "stopped"
    assert subscriber.end.frames == count
    assert len(frame_sizes(tmp_path / "o.mp4")) == count
    assert [line["reason"] for line in json_lines(tmp_path / "r.jsonl", "end")] == ["stopped"]


def test_a_second_signal_ends_the_process_at_once(tmp_path: Path, weights: str) -> None:
    command = [
        *(*STREAM, "lavfi:testsrc2=size=64x48:rate=25", "--source.realtime", "true"),
        *("--weights", weights, "--window.stride", 3, "--output", tmp_path / "o.mp4"),
        # Nobody reads: an orderly end waits for a reader.
        *("--publish", f"ipc://{tmp_path}/masks", "--zmq.pattern", "push", "--zmq.linger_s", 60),
    ]
    with started(*command, stderr=subprocess.DEVNULL) as process:
        until((tmp_path / "o.mp4").exists)
        process.terminate()
        until(lambda: not catches(process.pid, signal.SIGTERM))
        process.terminate()
        assert process.wait(60) == -signal.SIGTERM  # and not 143, or 1


def catches(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) & 1 << (number - 1))


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)],
)
def test_a_signal_while_the_source_opens_ends_the_run(
    weights: str, number: signal.Signals, code: int
) -> None:
    silent, writer = os.pipe()
    try:
        with started(*STREAM, "-", "--weights", weights, stdin=silent) as process:
            assert process.stderr is not None
            lines = []
            while not lines or "network on" not in lines[-1]:  # next, it opens the silent source
                lines.append(process.stderr.readline())
                assert lines[-1], lines
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
    finally:
        os.close(silent)
        os.close(writer)
    assert process.returncode == code, err
    assert "Traceback" not in err
