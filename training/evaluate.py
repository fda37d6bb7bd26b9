"""``python -m training.evaluate``: what weights are worth, on held-out composites and a real clip.

Writes ``evaluation.json`` and, as tables, ``evaluation.md``. The same weights give the same figures
on the same kind of machine, but for the speed.
"""

from __future__ import annotations

from streamer.installation import FOR_TRAINING, explain_missing

if __name__ == "__main__":
    explain_missing(FOR_TRAINING)

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.tracking import trackeval
from model import VisTR, load_vistr
from model.categories import YOUTUBE_VIS_2019
from model.checkpoint import DEFAULT_WEIGHTS
from streamer.argument_types import folder_name, whole_number
from streamer.assembly import LIVE_STRIDE
from streamer.category_check import check_categories
from streamer.config import SHIPPED_CLIP
from streamer.errors import SourceError
from streamer.exit_codes import command
from streamer.output_path import check_folder, make_folder, write_whole
from training.assets import DEFAULT_FOLDER, Assets
from training.held_out import Rows, held_out_composers, tube_rows
from training.library import PERSON, load_library
from training.real_clip import (
    ANNOTATIONS,
    Labels,
    label_figures,
    load_for_evaluation,
    read_labels,
)
from training.state import tensors_sha256
from training.streaming import speed_rows, streaming_rows
from training.tube_figures import shown

PARTS = {
    "tubes": "Windows of held-out composites",
    "streaming": "Streams of held-out composites",
    "real": "Labelled real frames, streamed",
    "speed": "Speed",
}
"""What can be evaluated, and what its table is called."""

LEAVE_OUT = "weights that mean something else cannot be scored on it: leave these parts out"


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate from the command line.

    Returns:
        The exit code: 0; 1 where something cannot be read or written; 2 for wrong arguments.
    """
    options = _parser().parse_args(arguments)
    _run(options)
    return 0


def _run(options: argparse.Namespace) -> None:
    check_folder(str(options.out))
    net = load_for_evaluation(options.weights)
    jobs = _jobs(net, options)
    make_folder(options.out)
    report: dict[str, Any] = {"weights": _weights(net, options.weights), "machine": describe()}
    for part, job in jobs.items():
        report[part] = _rounded(job())
        # After each part, so that an interruption costs no more than one.
        text = json.dumps(report, indent=1) + "\n"
        write_whole(options.out / "evaluation.json", text.encode("ascii"))
        markdown = "\n".join(_markdown(report)) + "\n"
        write_whole(options.out / "evaluation.md", markdown.encode())
    print("\n".join(_markdown(report)))


def _jobs(net: VisTR, options: argparse.Namespace) -> dict[str, Callable[[], Rows]]:
    """What is to be done, in order; what it needs is looked for now."""
    jobs: dict[str, Callable[[], Rows]] = {}
    parts, clip = options.parts, options.video
    if {"streaming", "real"} & parts:
        trackeval()
    if {"real", "speed"} & parts and not clip.is_file():
        raise SourceError(f"{clip}: no such file")
    if {"tubes", "streaming"} & parts:
        library = load_library(Assets(options.assets), "val")
        names = {i: YOUTUBE_VIS_2019[i - 1] for i in (PERSON, *library.sprites)}
        what = "the composites (--parts tubes,streaming)"
        check_categories(what, names, net.categories, LEAVE_OUT)
        composers = held_out_composers(library)
        jobs["tubes"] = partial(tube_rows, net, composers, options.clips)
        counts = {"people": options.people_streams, "mixed": options.mixed_streams}
        jobs["streaming"] = partial(streaming_rows, net, composers, counts, options.stream_frames)
    if "real" in parts:
        labels = read_labels(options.real)
        what = f"{options.real} (--parts real)"
        check_categories(what, labels.truth.categories, net.categories, LEAVE_OUT)
        jobs["real"] = partial(_real_rows, net, labels, clip)
    jobs["speed"] = partial(speed_rows, net, clip)
    return {part: job for part, job in jobs.items() if part in parts}


def _real_rows(net: VisTR, labels: Labels, clip: Path) -> Rows:
    """At the default stride of files, and at that of live sources."""
    live = min(LIVE_STRIDE, net.frames)
    return {
        clip.name: label_figures(net, labels, clip),
        f"{clip.name}, stride {live}": label_figures(net, labels, clip, live),
    }


def _weights(net: VisTR, path: Path | None) -> dict[str, Any]:
    path = path or DEFAULT_WEIGHTS
    return {
        "file": path.name,
        # As they are in the file: `net` has been prepared to run.
        "tensors_sha256": tensors_sha256(load_vistr(path)),
        "trained": net.trained,
        "frames": net.frames,
        "slots": net.slots,
        "short_side": net.short_side,
    }


def _rounded(rows: Rows) -> Rows:
    return {
        name: {key: round(value, 5) for key, value in figures.items()}
        for name, figures in rows.items()
    }


def _markdown(report: Mapping[str, Any]) -> Iterator[str]:
    """The report as lines of Markdown."""
    for title in ("weights", "machine"):
        yield f"{title}: " + ", ".join(f"{key} {value}" for key, value in report[title].items())
        yield ""
    for part, title in PARTS.items():
        if part not in report:
            continue
        rows = report[part]
        names = list(next(iter(rows.values())))
        yield f"## {title}"
        yield ""
        yield "| | " + " | ".join(names) + " |"
        yield "|---" * (len(names) + 1) + "|"
        for row, figures in rows.items():
            yield f"| {row} | " + " | ".join(_figure(figures[name]) for name in names) + " |"
        yield ""


def _figure(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return shown(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description="Say what weights are worth, on held-out composites and on a real clip.",
    )
    add = partial(parser.add_argument, type=Path)
    text = "folder for evaluation.json and evaluation.md"
    add("--out", type=folder_name, metavar="DIR", required=True, help=text)
    add("--weights", metavar="FILE", help="VisTR weights (default: those that ship)")
    add("--assets", metavar="DIR", default=DEFAULT_FOLDER, help="filled by training.fetch")
    add("--real", metavar="FILE", default=ANNOTATIONS, help="labels of frames of the video")
    add("--video", metavar="FILE", default=SHIPPED_CLIP, help="for the parts real and speed")
    parser.add_argument(
        "--parts",
        metavar="P,…",
        type=_parts,
        default=set(PARTS),
        help=f"which of {','.join(PARTS)} (default: all)",
    )
    count = partial(parser.add_argument, metavar="N", type=whole_number)
    count("--clips", default=60, help="windows of each kind of composite (default: 60)")
    count("--people_streams", default=4, help="long composites of people (default: 4)")
    count("--mixed_streams", default=2, help="long mixed composites (default: 2)")
    count("--stream_frames", default=400, help="frames of a long composite (default: 400)")
    return parser


def _parts(text: str) -> set[str]:
    parts = set(text.split(","))
    if unknown := parts - PARTS.keys():
        allowed = ", ".join(PARTS)
        raise argparse.ArgumentTypeError(f"{min(unknown)!r} is unknown; allowed: {allowed}")
    return parts


if __name__ == "__main__":
    sys.exit(main())
