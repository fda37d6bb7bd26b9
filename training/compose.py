"""Write composed clips as a YouTube-VIS data set: ``python -m training.compose FOLDER``."""

from __future__ import annotations

from streamer.installation import FOR_TRAINING, explain_missing

if __name__ == "__main__":
    explain_missing(FOR_TRAINING)

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from model.categories import YOUTUBE_VIS_2019
from streamer.argument_types import folder_name, whole_number
from streamer.exit_codes import command
from streamer.output_path import check_folder
from training.assets import DEFAULT_FOLDER, Assets
from training.clip import Clip
from training.composer import Composer, Composition
from training.library import load_library
from training.youtube_vis_writer import check_without_data, write_youtube_vis


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Write the clips; returns the exit code."""
    options = _parser().parse_args(arguments)
    check_folder(str(options.folder))
    check_without_data(options.folder)
    library = load_library(Assets(options.assets), options.split)
    clips = _clips(Composer(library, Composition()), options)
    write_youtube_vis(options.folder, clips, YOUTUBE_VIS_2019)
    print(f"{options.clips} clips of {options.frames} frames in {options.folder}")
    return 0


def _clips(composer: Composer, options: argparse.Namespace) -> Iterator[tuple[str, Clip]]:
    for position in tqdm(range(options.clips), unit="clip", disable=None):
        rng = np.random.default_rng((options.seed, position))
        yield f"clip_{position:05d}", composer.draw(rng, range(options.frames), options.size)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.compose",
        description="Compose labelled clips and write them as a YouTube-VIS data set.",
    )
    add = parser.add_argument
    add("folder", type=folder_name, help="folder to write, without a data set so far")
    add("--clips", type=whole_number, default=10, metavar="N", help="how many (default: 10)")
    add("--frames", type=whole_number, default=36, metavar="T", help="frames of each (default: 36)")
    add("--size", type=_size, default=(240, 320), metavar="HxW", help="default: 240x320")
    add("--split", choices=("train", "val"), default="train", help="whose people and sprites")
    seed = partial(whole_number, first=0)
    add("--seed", type=seed, default=0, metavar="N", help="the same seed gives the same clips")
    add("--assets", type=Path, default=DEFAULT_FOLDER, help=f"default: {DEFAULT_FOLDER}")
    return parser


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return whole_number(height), whole_number(width)


if __name__ == "__main__":
    sys.exit(main())
