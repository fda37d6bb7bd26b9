"""The command line of the data-set job."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from functools import partial
from typing import get_args

from tqdm.contrib.logging import logging_redirect_tqdm

from streamer.allocator import keep_memory
from streamer.argument_types import not_empty, whole_number
from streamer.config import Precision, StreamConfig
from streamer.dataset.options import DatasetOptions
from streamer.exit_codes import command
from streamer.installation import whole_installation
from streamer.openmp import share_cores
from streamer.window_config import WindowConfig


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Segment a data set; returns the exit code (0 done, 1 failed, 2 misused, 128 + signal).

    Args:
        arguments: The command line without the program's name; None takes the process's own.
    """
    options = _options(_parser().parse_args(arguments))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    logging.getLogger("streamer").setLevel(logging.WARNING if options.quiet else logging.INFO)
    share_cores()
    keep_memory()
    with logging_redirect_tqdm():
        # Imported late: it brings PyTorch, which --help and a mistyped option need not wait for
        with whole_installation():
            from streamer.dataset.launch import launch  # noqa: PLC0415

        return launch(options)


def _options(parsed: argparse.Namespace) -> DatasetOptions:
    network = StreamConfig(
        weights=parsed.weights,
        category_file=parsed.category_file,
        backbone=parsed.backbone,
        slots=parsed.num_ins,
        device=parsed.device,
        precision=parsed.precision,
        short_side=parsed.short_side,
        threshold=0.0,
        window=WindowConfig(size=parsed.num_frames, stride=parsed.stride or "auto"),
    )
    return DatasetOptions(
        ann_path=parsed.ann_path,
        img_path=parsed.img_path,
        save_path=parsed.save_path,
        network=network,
        parallel=parsed.parallel,
        skip_bad=parsed.skip_bad,
        restart=parsed.restart,
        quiet=parsed.quiet,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m streamer.dataset",
        description="Segment every video of a YouTube-VIS style data set into one results file.",
    )
    _add_paths(parser)
    _add_network(parser)
    add = parser.add_argument
    add(
        "--stride",
        metavar="N",
        type=whole_number,
        help="new frames per window, for videos longer than one (default: 18)",
    )
    add(
        "--parallel",
        metavar="N",
        type=_parallel,
        help="videos at once; auto: as many as fit into memory, judged by the largest one, at "
        "most one per core, and 4 (default: auto)",
    )
    add("--skip_bad", action="store_true", help="leave bad videos out and list them at the end")
    add("--restart", action="store_true", help="begin anew where an interrupted job would go on")
    add("--quiet", action="store_true", help="no progress, no summary; warnings and errors only")
    return parser


def _add_paths(parser: argparse.ArgumentParser) -> None:
    add = partial(parser.add_argument, type=not_empty)
    add("--ann_path", metavar="FILE", required=True, help="JSON that lists the videos")
    add("--img_path", metavar="DIR", required=True, help="folder of the videos' images")
    add("--save_path", metavar="FILE", required=True, help="results file to write")
    add(
        "--weights",
        "--model_path",
        metavar="FILE",
        help="a VisTR checkpoint, .pth or .safetensors (default: the small one that ships)",
    )
    add(
        "--category_file",
        metavar="FILE",
        help="text file with a category name a line, for weights that don't name theirs",
    )


def _add_network(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--num_frames",
        metavar="N",
        type=whole_number,
        help="frames in a window (default: the weights')",
    )
    add("--num_ins", metavar="N", type=whole_number, help="instance slots (default: the weights')")
    add(
        "--backbone",
        metavar="NAME",
        type=not_empty,
        help="backbone that the weights must have, as resnet50",
    )
    add(
        "--short_side",
        metavar="PIXELS",
        type=whole_number,
        help="shorter side of the network's input (default: the weights')",
    )
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: cuda if any")
    add(
        "--precision",
        choices=get_args(Precision),
        default="auto",
        help="arithmetic of the network (default: bf16 on cuda, fp16 before Ampere, and on a cpu "
        "with avx512_bf16 or AMX, else fp32)",
    )


def _parallel(text: str) -> int | None:
    return None if text == "auto" else whole_number(text)
