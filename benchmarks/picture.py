"""``python -m benchmarks.picture OUT.png RESULT.json …``: the cost of a new frame by stride.

One panel for each file that ``python -m benchmarks.throughput --out`` wrote.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamer.errors import ConfigError, SourceError
from streamer.exit_codes import command
from streamer.output_path import check_apart, replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_costs(out: Path, results: Sequence[Path]) -> None:
    """Draw what a new frame costs in each of some results.

    Args:
        out: PNG file to write.
        results: Files of `benchmarks.throughput`.

    Raises:
        SourceError: One is not a result file.
        SinkError: The picture cannot be written.
        ConfigError: It would replace one of them, or Matplotlib is not installed.
    """
    check_apart([str(out)], {f"the result {path}": str(path) for path in results})
    try:
        import matplotlib as mpl  # noqa: PLC0415 - not every installation has it
    except ImportError as error:
        raise ConfigError("pictures need Matplotlib: pip install -e '.[train]'") from error
    mpl.use("Agg")  # no screen is needed
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after that choice

    figure, panels = plt.subplots(
        1, len(results), figsize=(4.5 * len(results), 3.6), layout="constrained", squeeze=False
    )
    for axes, path in zip(panels[0], results, strict=True):
        try:
            _draw(axes, json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceError(f"{path}: not a result of benchmarks.throughput: {error}") from error
    with replacing(out) as part:
        figure.savefig(part, dpi=90, format="png")
    plt.close(figure)


def _draw(axes: Axes, report: dict[str, Any]) -> None:
    rows = report["network"]
    names = (name.removeprefix("stride ") for name in rows)
    strides = sorted(int(name) for name in names if name.isdigit())
    product = [rows[f"stride {stride}"]["ms_per_new_frame"] for stride in strides]
    axes.plot(strides, product, marker="o", label="this project")
    if "reference" in rows:
        # It knows no features of an earlier window: all of a window for each stride's new frames.
        window = rows["reference"]["median_ms"]
        axes.plot(strides, [window / s for s in strides], marker="s", label="slow reference")
    size = " by ".join(map(str, report["input"]["network"]))
    axes.set(
        title=f"{report['weights']}, {size}, {report['precision'].removeprefix('torch.')}",
        xlabel="stride: new frames per window",
        ylabel="network time per new frame, ms",
        yscale="log",
        xticks=strides,
    )
    axes.grid(which="both", alpha=0.3)
    cpu = f"{report['machine']['cpu']}, {report['machine']['cores']} cores"
    axes.legend(title=cpu if report["device"] == "cpu" else report["device"])


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Draw; returns the exit code: 0, or 1 where a file cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.picture",
        description="Draw what a new frame costs by stride, a panel for each result.",
    )
    parser.add_argument("out", type=Path, help="PNG file to write")
    parser.add_argument("results", type=Path, nargs="+", help="JSON files of benchmarks.throughput")
    options = parser.parse_args(arguments)
    draw_costs(options.out, options.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
