"""Peak memory of the clip job on a short and a long clip: ``python -m benchmarks.clip_memory``.

Both clips are 1280x720 at 25 frames a second. The network is a tiny one with random weights that
finds objects in every frame: what is measured is everything around it.
"""

from __future__ import annotations

from streamer.installation import FOR_STREAM, explain_missing

if __name__ == "__main__":
    explain_missing(FOR_STREAM)

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.machine import describe
from benchmarks.report import show_report
from model import Architecture, VisTR, save_vistr
from model.initialise import random_tensors
from streamer.argument_types import finite_number, output_file, whole_number
from streamer.errors import StreamError
from streamer.exit_codes import command

FPS = 25
SIZE = (720, 1280)
SHORT_S = 10
TINY = Architecture(
    backbone="mobilenet_v2",
    hidden_dim=48,
    heads=4,
    ffn_dim=64,
    encoder_layers=1,
    decoder_layers=2,
    num_classes=6,
    frames=36,
    slots=3,
    short_side=96,
)


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code: 0, or 1 where memory grew too much or a result is missing."""
    options = _parser().parse_args(arguments)
    machine = describe()
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "tiny.safetensors"
        net = VisTR(TINY, trained=True)
        net.load_state_dict(random_tensors(TINY, 0))
        save_vistr(net, weights)
        runs = [_measure(Path(folder), weights, seconds) for seconds in (SHORT_S, options.seconds)]
    growth = round(runs[1]["peak_rss_mib"] - runs[0]["peak_rss_mib"], 1)
    show_report({"machine": machine, "runs": runs, "growth_mib": growth}, options.out)
    if not all(run["complete"] for run in runs):
        raise StreamError("a frame is missing in a result")
    if growth > options.limit_mib:
        raise StreamError(f"memory grew by {growth} MiB, allowed are {options.limit_mib}")
    return 0


def _measure(folder: Path, weights: Path, seconds: int) -> dict[str, Any]:
    """Run the job on a clip of some seconds, in a process of its own."""
    place = folder / f"{seconds}s"
    place.mkdir()
    _make_clip(place / "clip.mp4", seconds * FPS)
    command = [
        *(sys.executable, "-m", "streamer.cli", "--quiet", "--mp4_clip_path", "clip.mp4"),
        *("--model_path", str(weights), "--threshold", "0", "--img_path", "frames"),
        *("--ann_path", "input.json", "--save_path", "results.json"),
        *("--masks_results_path", "masks", "--masks_color", "--output", "overlay.mp4"),
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=place, env=environment)
    try:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        process.kill()  # where this command is ended meanwhile
        process.wait()
    if process.returncode:
        raise StreamError(f"the job on {seconds} s ended with exit code {process.returncode}")
    frames = seconds * FPS
    return {
        "seconds": seconds,
        "frames": frames,
        "peak_rss_mib": round(usage.ru_maxrss / 1024, 1),
        "wall_s": round(time.monotonic() - began, 1),
        "complete": _is_complete(place, frames),
    }


def _is_complete(place: Path, frames: int) -> bool:
    """Whether every output has every frame."""
    video = json.loads((place / "input.json").read_text())["videos"][0]
    results = json.loads((place / "results.json").read_text())
    with av.open(str(place / "overlay.mp4")) as container:
        written = container.streams.video[0].frames
    lengths = {len(result["segmentations"]) for result in results}
    masks = {path.name for path in (place / "masks").iterdir()}
    images = {path.name for path in (place / "frames").iterdir()}
    names = [f"{n}.jpg" for n in range(frames)]
    return (
        (video["length"], video["file_names"], lengths, written)
        == (frames, names, {frames}, frames)
        and masks == {f"{n}.png" for n in range(frames)}
        and images == set(names)
    )


def _make_clip(path: Path, frames: int) -> None:
    """Write a clip of a square that moves over a slope of grey."""
    height, width = SIZE
    ground = np.repeat(np.linspace(40, 200, width).astype(np.uint8)[None], height, axis=0)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for index in range(frames):
            image = np.repeat(ground[..., None], 3, axis=2)
            top, left = (3 * index) % (height - 200), (7 * index) % (width - 200)
            image[top : top + 200, left : left + 200] = (200, index % 256, 60)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.clip_memory",
        description=f"Peak memory of the clip job on a video of {SHORT_S} s, and on a long one.",
    )
    longer = partial(whole_number, first=SHORT_S + 1)
    add = parser.add_argument
    long_help = "length of the long clip (default: %(default)s)"
    add("--seconds", type=longer, default=600, metavar="S", help=long_help)
    limit_help = "growth allowed (default: %(default)s)"
    add("--limit_mib", type=finite_number, default=300, metavar="M", help=limit_help)
    add("--out", type=output_file, metavar="FILE", help="JSON file to write")
    return parser


if __name__ == "__main__":
    sys.exit(main())
