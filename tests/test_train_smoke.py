"""A newcomer's fine-tuning from end to end, with the real commands, on a data set of two shapes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from model import load_vistr
from tests.clips import make_clip
from tests.json_lines import json_lines
from tests.tiny_vistr import save_tiny_vistr
from tests.waits import until
from training.clip import Clip
from training.youtube_vis_writer import write_youtube_vis

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STEPS = 12
CATEGORIES = ("square", "bar")


def shapes(count: int, seed: int) -> Iterator[tuple[str, Clip]]:
    """Clips of six frames with a light square and a dark bar that cross the picture."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        frames = rng.integers(100, 130, (6, 48, 64, 3)).astype(np.uint8)
        masks = np.zeros((2, 6, 48, 64), np.bool_)
        top, left = rng.integers(2, 20, 2)
        for t in range(6):
            masks[0, t, top : top + 14, left + 2 * t : left + 2 * t + 14] = True
            masks[1, t, 30:36, 4 + 3 * t : 34 + 3 * t] = True
        masks[0] &= ~masks[1]
        frames[masks[0]], frames[masks[1]] = 250, 10
        yield f"video_{number}", Clip(frames, masks, np.array([1, 2]))


def command(folder: Path, out: str) -> list[str]:
    data = f"--data.annotations={folder}/train/annotations.json"
    return [
        *(sys.executable, "-m", "training.train", f"--out={folder / out}"),
        *(f"--start={folder}/start.safetensors", data, f"--data.images={folder}/train/JPEGImages"),
        f"--data.val_annotations={folder}/val/annotations.json",
        f"--data.val_images={folder}/val/JPEGImages",
        *("--frames=6", "--pixels=60000", "--short_sides=[48]", "--aspects=[1.3333]"),
        *(f"--steps={STEPS}", "--warmup=2", "--evaluate_clips=2", "--threads=1"),
        *("--checkpoint_every=100", "--evaluate_every=6", "--groups=2", "--losses.token=1"),
    ]


def losses(folder: Path) -> list[dict[str, float]]:
    return json_lines(folder / "losses.jsonl")


def interrupt_after_a_step(arguments: list[str], log: Path) -> int:
    """Start a run, interrupt it as Ctrl-C does once a line of its log is there; its exit code."""
    process = subprocess.Popen(arguments, start_new_session=True)
    until(lambda: process.poll() is not None or (log.exists() and log.stat().st_size > 0), 300)
    assert process.poll() is None, "it ended before its first step"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to its children too
    return process.wait(300)


def test_a_run_that_was_interrupted_ends_with_the_same_losses_and_its_weights_run(
    tmp_path: Path,
) -> None:
    save_tiny_vistr(tmp_path / "start.safetensors", frames=6, classes=3)
    for split, count in (("train", 4), ("val", 2)):
        write_youtube_vis(tmp_path / split, shapes(count, count), CATEGORIES)
    subprocess.run(command(tmp_path, "whole"), check=True)
    whole = losses(tmp_path / "whole")
    assert [row["step"] for row in whole] == list(range(1, STEPS + 1))

    broken = command(tmp_path, "broken")
    code = interrupt_after_a_step(broken, tmp_path / "broken" / "losses.jsonl")
    assert code == 128 + signal.SIGINT
    first = losses(tmp_path / "broken")
    assert 0 < len(first) < STEPS
    subprocess.run(broken, check=True)
    assert losses(tmp_path / "broken") == whole
    figures = (tmp_path / "broken" / "figures.jsonl").read_text()
    assert figures == (tmp_path / "whole" / "figures.jsonl").read_text()
    assert (tmp_path / "broken" / "curves.png").stat().st_size > 1000

    weights = tmp_path / "mine.safetensors"
    ship = [sys.executable, "-m", "training.ship", str(tmp_path / "broken" / "checkpoint.pt")]
    subprocess.run([*ship, str(weights), "--short_side=48"], check=True)
    net = load_vistr(weights)
    assert (net.categories[1:], net.frames, net.short_side) == (CATEGORIES, 6, 48)
    assert net.trained
    make_clip(tmp_path / "clip.mp4", frames=12)
    stream = [sys.executable, "run_stream.py", str(tmp_path / "clip.mp4"), "--threshold=0"]
    results = tmp_path / "results.json"
    subprocess.run([*stream, f"--weights={weights}", f"--results={results}"], check=True)
    assert json.loads(results.read_text())
