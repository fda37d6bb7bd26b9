"""Turn a run into weights that are shipped: ``python -m training.ship RUN WEIGHTS``.

The file says of itself what it was trained on and how, and what it is worth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from streamer.argument_types import output_file, whole_number
from streamer.errors import CheckpointError, SourceError
from streamer.exit_codes import command
from streamer.installation import FOR_TRAINING, whole_installation
from streamer.json_file import read_json
from streamer.option_check import check


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Write the weights; returns the exit code."""
    options = _parser().parse_args(arguments)
    # Imported late: a signal may come in the seconds that it takes.
    with whole_installation(FOR_TRAINING):
        import torch  # noqa: PLC0415

        from benchmarks.machine import commit  # noqa: PLC0415
        from model.architecture import MAX_SHORT_SIDE, MIN_SHORT_SIDE  # noqa: PLC0415
        from training.state import (  # noqa: PLC0415
            load_trainee,
            short_sided,
            tensors_sha256,
            write_network,
        )

    trainee = load_trainee(options.checkpoint)
    side = options.short_side or trainee.net.short_side
    allowed = f"from {MIN_SHORT_SIDE} to {MAX_SHORT_SIDE}"
    check(MIN_SHORT_SIDE <= side <= MAX_SHORT_SIDE, "short_side", side, allowed)
    net = trainee.export(trainee.net.frames)
    net = short_sided(net, side).to(torch.float16)
    for name, tensor in net.state_dict().items():
        if not tensor.isfinite().all():
            raise CheckpointError(
                f"{options.checkpoint}: {name} has values that half precision cannot hold"
            )
    facts = {
        "trained_on": _json(options.facts),
        "commit": commit(digits=40),
        "evaluation": _evaluation(options.evaluation, tensors_sha256(net)),
    }
    net.facts = {key: value for key, value in facts.items() if value}
    write_network(net, options.weights)
    size = options.weights.stat().st_size
    print(f"{options.weights}: {size / 1e6:.1f} MB, {len(net.categories) - 1} categories")
    return 0


def _json(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    content, _ = read_json(path)
    if not isinstance(content, dict):
        raise SourceError(f"{path}: expected an object, found {type(content).__name__}")
    return content


def _evaluation(path: Path | None, tensors_sha256: str) -> dict[str, Any]:
    evaluation = _json(path)
    if not evaluation:
        return evaluation
    weights = evaluation.get("weights")
    evaluated = weights.get("tensors_sha256") if isinstance(weights, dict) else None
    if evaluated != tensors_sha256:
        raise SourceError(
            f"{path}: of other weights (tensors_sha256 {evaluated}, these have "
            f"{tensors_sha256}); evaluate what was written without it"
        )
    return evaluation


def _safetensors(text: str) -> Path:
    path = output_file(text)
    if path.suffix != ".safetensors":
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .safetensors")
    return path


def _checkpoint(text: str) -> Path:
    # The weights beside it may be of a part of the window.
    if not text.endswith(".pt"):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .pt")
    return Path(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.ship",
        description="Write the weights of a training run, in half precision.",
    )
    add = parser.add_argument
    add("checkpoint", type=_checkpoint, help="checkpoint.pt of the run")
    add("weights", type=_safetensors, help="file to write, ending in .safetensors")
    short_side = partial(whole_number, first=32)
    text = "of the input, in pixels, from 32 on; without it, the last one of the run"
    add("--short_side", type=short_side, help=text)
    add("--facts", type=Path, help="JSON file: what the weights were trained on, and how")
    add("--evaluation", type=Path, help="evaluation.json of the same weights")
    return parser


if __name__ == "__main__":
    sys.exit(main())
