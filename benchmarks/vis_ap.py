"""Scores results by the YouTube-VIS metrics: ``python -m benchmarks.vis_ap``.

Ground truth and results are YouTube-VIS JSON; `vistr-stream --results` writes the latter.
"""

from __future__ import annotations

from streamer.installation import FOR_STREAM, explain_missing

if __name__ == "__main__":
    explain_missing(FOR_STREAM)

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from benchmarks.annotations import GroundTruth, Result, read_ground_truth, read_results
from benchmarks.average_precision import Figures, average_precision
from benchmarks.report import keep_report
from benchmarks.tracking import trackeval, tracking_figures
from streamer.argument_types import finite_number, not_empty, output_file
from streamer.exit_codes import command
from streamer.option_check import check
from streamer.output_path import check_apart
from streamer.printable import printable
from streamer.standard_output import say

CATEGORY_TABLE = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10")
"""The figures of each category that are printed."""

DEFAULT_MIN_SCORE = 0.5
"""That of `vistr-stream --threshold`. AP ranks unsure results last, tracking counts all alike."""

MOST_LISTED = 10
"""Categories that a warning names."""

TABLE = {
    "AP": ("AP", "APs", "APm", "APl"),
    "AP50": ("AP50",),
    "AP75": ("AP75",),
    "AR1": ("AR1",),
    "AR10": ("AR10",),
    "AR100": ("AR100", "ARs", "ARm", "ARl"),
}
"""The figures of each row, over all, small, medium and large objects."""


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate from the command line.

    Returns:
        The exit code: 0; 1 where a file cannot be read or written, or an entry is bad; 2 for wrong
        arguments.
    """
    options = _parser().parse_args(arguments)
    bad: list[str] | None = [] if options.skip_bad else None
    try:
        _run(options, bad)
    finally:
        if bad:
            print(f"left out {len(bad)} bad entries:", *bad, sep="\n  ", file=sys.stderr)
    return 0


def _run(options: argparse.Namespace, bad: list[str] | None) -> None:
    least = options.min_score
    check(options.tracking or least is None, "--min_score", least, "none without --tracking")
    least = DEFAULT_MIN_SCORE if least is None else least
    if options.tracking:
        trackeval()  # so that a missing package is said before the work
    if options.json is not None:
        check_apart([str(options.json)], {"--gt": options.gt, "--results": options.results})
    truth = read_ground_truth(options.gt, bad)
    results = read_results(options.results, truth.videos, bad)
    _warn_of_unlisted(truth, results)
    figures = average_precision(truth, results)
    lines = [*_tables(truth, results, figures)]
    report: dict[str, Any] = {
        "stats": figures.stats,
        "per_category_AP": {key: each["AP"] for key, each in figures.categories.items()},
    }
    if options.tracking:
        kept = [result for result in results if result.score >= least]
        report["tracking"] = tracking_figures(truth, kept)
        lines.append(f"\ntracking, {len(kept)} results with a score from {least:g}")
        lines += _columns(report["tracking"])
    keep_report(report, options.json)
    say("\n".join(lines))


def _warn_of_unlisted(truth: GroundTruth, results: Sequence[Result]) -> None:
    ids = Counter(r.category_id for r in results if r.category_id not in truth.categories)
    if ids:
        listed = ", ".join(str(category_id) for category_id in sorted(ids)[:MOST_LISTED])
        more = f" and {len(ids) - MOST_LISTED} more" if len(ids) > MOST_LISTED else ""
        print(
            f"warning: {ids.total()} results don't count: the ground truth does not list their "
            f"categories, {listed}{more}",
            file=sys.stderr,
        )


def _tables(truth: GroundTruth, results: Sequence[Result], figures: Figures) -> Iterator[str]:
    """The figures over all categories by size, then those of each category."""
    yield f"{len(truth.videos)} videos, {len(truth.truths)} objects, {len(results)} results\n"
    yield "           all   small  medium   large"
    for row, names in TABLE.items():
        yield f"{row:<6}" + "".join(_figure(figures.stats[name]) for name in names)
    objects = Counter(found.category_id for found in truth.truths)
    found = Counter(result.category_id for result in results)
    yield "\n" + "".join(f"{name:>8}" for name in CATEGORY_TABLE) + " objects results  category"
    for category_id, category in figures.categories.items():
        shown = "".join(_figure(category[name]) for name in CATEGORY_TABLE)
        counts = f"{objects[category_id]:8}{found[category_id]:8}"
        name = truth.categories[category_id]
        yield f"{shown}{counts}  {category_id} {printable(name)}"


def _columns(figures: dict[str, float]) -> tuple[str, str]:
    """Names, and the figures below them."""
    return "".join(f"{name:>8}" for name in figures), "".join(map(_figure, figures.values()))


def _figure(value: float) -> str:
    if value == -1:
        return f"{'-':>8}"
    return f"{value:8}" if isinstance(value, int) else f"{value:8.4f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.vis_ap",
        description="Score video instance segmentation as the YouTube-VIS evaluation does.",
    )
    add = parser.add_argument
    add_read = partial(add, metavar="FILE", required=True, type=not_empty)
    add_read("--gt", help="YouTube-VIS annotations, such as gt.json")
    add_read("--results", help="YouTube-VIS results to score")
    add("--json", type=output_file, metavar="FILE", help="write the figures there")
    add("--tracking", action="store_true", help="add HOTA, IDF1 and identity switches (trackeval)")
    add(
        "--min_score",
        metavar="S",
        type=finite_number,
        help=f"score that a result needs to count in tracking (default: {DEFAULT_MIN_SCORE})",
    )
    add("--skip_bad", action="store_true", help="leave bad entries out and list them at the end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
