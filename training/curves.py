"""A picture of how a run went: ``python -m training.curves FOLDER``."""

from __future__ import annotations

from streamer.installation import FOR_TRAINING, explain_missing

if __name__ == "__main__":
    explain_missing(FOR_TRAINING)

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from streamer.argument_types import folder_name
from streamer.errors import SourceError
from streamer.exit_codes import command
from streamer.output_path import replacing
from training.step_log import read_log

mpl.use("Agg")  # no screen is needed

from matplotlib import pyplot as plt

SMOOTHED = 25
"""Steps that a point of a loss curve is the mean of."""

SHOWN = ("AP", "AP50", "person_AP50")


def draw_curves(folder: Path) -> Path:
    """Draw the losses and the figures of a run into ``curves.png``.

    Args:
        folder: Of the run: ``losses.jsonl``, and ``figures.jsonl`` where there was an evaluation.

    Returns:
        The picture's path.

    Raises:
        SourceError: There are no losses, or a log cannot be read.
        SinkError: The picture cannot be written.
    """
    losses = _curves(folder / "losses.jsonl")
    if not losses:
        raise SourceError(f"{folder}: no losses.jsonl with losses, expected the folder of a run")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for name, (steps, values) in losses.items():
        left.plot(_means(steps), _means(values), marker=".", label=name)
    left.set(xlabel="step", ylabel="weighted loss", yscale="log", title="training")
    left.legend()
    figures = _curves(folder / "figures.jsonl")
    for name in (name for name in SHOWN if name in figures):
        right.plot(*figures[name], marker="o", label=name)
    right.set(xlabel="step", ylim=(0, 1), title="held-out clips")
    right.legend() if figures else right.text(0.5, 0.5, "no evaluation yet", ha="center")
    path = folder / "curves.png"
    with replacing(path) as part:
        figure.savefig(part, dpi=90, format="png")
    plt.close(figure)
    return path


def _curves(log: Path) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Steps and values of each key of a file of JSON lines, over the lines that have it.

    Where a run went on with other weights of its losses, some of them may have come or gone.
    """
    points: dict[str, list[tuple[float, float]]] = {}
    for row in read_log(log):
        step = row.pop("step")
        for name, value in row.items():
            points.setdefault(name, []).append((step, value))
    return {name: (np.array(found)[:, 0], np.array(found)[:, 1]) for name, found in points.items()}


def _means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of `SMOOTHED` values each, the last one of what remains; fewer stay as they are."""
    if len(values) < SMOOTHED:
        return values
    starts = range(0, len(values), SMOOTHED)
    return np.array([values[start : start + SMOOTHED].mean() for start in starts])


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Draw from the command line; returns the exit code: 0, or 1 where it cannot."""
    parser = argparse.ArgumentParser(
        prog="python -m training.curves",
        description="Draw the losses and the figures of a run into its curves.png.",
    )
    parser.add_argument("folder", type=folder_name, help="folder of a run")
    print(draw_curves(parser.parse_args(arguments).folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
