"""From the options of the data-set job to its results file."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamer
from model import VisTR
from model.checkpoint import DEFAULT_WEIGHTS
from streamer.assembly import choose_stride, load
from streamer.category_check import check_categories
from streamer.dataset.annotations import Annotations, Video, read_annotations
from streamer.dataset.job import DatasetJob
from streamer.dataset.lock import only_job
from streamer.dataset.options import DatasetOptions
from streamer.dataset.parts import PartsFolder
from streamer.dataset.progress import DatasetProgress
from streamer.dataset.segmenter import VideoSegmenter
from streamer.errors import CheckpointError, ConfigError, SourceError, StreamError
from streamer.output_path import behind_link, check_apart, check_writable
from streamer.printable import counted
from streamer.signals import deferred, handled
from streamer.sinks.output_spec import check_json_file
from streamer.standard_output import say

NONE_LEFT = "no good one is left"

SAME_CATEGORIES = (
    "correct the annotations or leave their categories out; weights that name no categories take "
    "names from --category_file"
)

OWN_NAMES = {"window.stride": "stride", "frames": "num_frames", "slots": "num_ins"}
"""What this command calls what the stream and the weights call otherwise."""

log = logging.getLogger(__name__)


def launch(options: DatasetOptions) -> int:
    """Do what the options ask for; returns 0, or 128 + the signal that stopped it.

    What is cheap to refuse is refused before the weights load. Videos that are finished stay for
    the same command, whatever ends this one.

    Raises:
        StreamError: The job could not begin, or failed.
        KeyboardInterrupt: A signal (the argument) came before the first video.
    """
    _check_paths(options)
    # One name for the lock, the parts and the file, whichever link leads there.
    options = replace(options, save_path=str(behind_link(Path(options.save_path))))
    with only_job(options.save_path):
        return _launch(options)


def _launch(options: DatasetOptions) -> int:
    started_s = time.monotonic()
    annotations = read_annotations(options.ann_path, options.img_path)
    _refuse_bad(options, annotations)
    with deferred(), _own_names():
        net = load(options.network)
    check_categories(options.ann_path, annotations.categories, net.categories, SAME_CATEGORIES)
    parts = PartsFolder(
        options.save_path, _settings(options, annotations, net), restart=options.restart
    )
    _forget_changed(annotations, parts)
    before = _finished(annotations, parts)
    job = _work(options, annotations, net, parts, before)
    if job.signal is not None:
        return 128 + job.signal
    done = _finished(annotations, parts)
    if not done and job.skipped:
        # An earlier results file stays: that all are bad may be the disk's fault.
        raise SourceError(f"{_first_of(job.skipped)}; {NONE_LEFT}")
    instances = parts.collect(video.video_id for video in done)
    skipped = [*annotations.bad, *job.skipped]
    for line in skipped:
        log.warning("skipped %s", line)
    if not options.quiet:
        kept = f" ({len(before)} from before)" if before else ""
        frames = sum(len(video.images) for video in done)
        say(
            f"{counted(len(done), 'video')}{kept}, {counted(frames, 'frame')}, "
            f"{counted(instances, 'instance')} "
            f"in {time.monotonic() - started_s:.1f} s, {len(skipped)} skipped\n"
            f"wrote {options.save_path}"
        )
    return 0


def _check_paths(options: DatasetOptions) -> None:
    """Refuse a results file that cannot be written, or that would replace an input."""
    check_json_file("save_path", options.save_path)
    check_writable(options.save_path)
    read = {
        "ann_path": options.ann_path,
        "weights": options.network.weights,
        "category_file": options.network.category_file,
    }
    check_apart([options.save_path], read)


def _refuse_bad(options: DatasetOptions, annotations: Annotations) -> None:
    bad = [f"{options.ann_path}: {line}" for line in annotations.bad]
    if not bad or (options.skip_bad and annotations.videos):
        return
    for line in bad[1:]:
        log.error("also %s", line)
    advice = NONE_LEFT if options.skip_bad else "--skip_bad leaves bad videos out"
    raise SourceError(f"{_first_of(bad)}; {advice}")


def _first_of(lines: Sequence[str]) -> str:
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return f"{lines[0]}{more}"


@contextmanager
def _own_names() -> Iterator[None]:
    """Name options in messages as this command does."""
    try:
        yield
    except (CheckpointError, ConfigError) as error:
        others = r"^window\.stride(?= is )|(?<=: )(?:frames|slots)(?= is )"
        named = re.sub(others, lambda found: OWN_NAMES[found[0]], str(error))
        raise type(error)(named) from error


def _forget_changed(annotations: Annotations, parts: PartsFolder) -> None:
    """Have videos segmented again whose images may not be those that their results are of."""
    changed = [
        f"video {video.video_id}: its images changed, or may have"
        for video in annotations.videos
        if parts.forget_changed(video.video_id, video.images)
    ]
    if changed:
        log.warning("%s; segmented again", _first_of(changed))


def _settings(options: DatasetOptions, annotations: Annotations, net: VisTR) -> dict[str, Any]:
    """What the results depend on, as JSON values."""
    given = options.network.weights
    weights = DEFAULT_WEIGHTS if given is None else Path(given)
    stat = weights.stat()
    parameter = next(net.parameters())
    return {
        "version": streamer.__version__,
        "sha256 of ann_path": annotations.sha256,
        "img_path": str(Path(options.img_path).resolve()),
        "weights": str(weights.resolve()),
        "size of weights": stat.st_size,
        "time of weights": stat.st_mtime_ns,
        "categories": list(net.categories),
        "num_frames": net.frames,
        "num_ins": net.slots,
        "short_side": options.network.short_side or net.short_side,
        "stride": choose_stride(options.network, net, live=False),
        "device": parameter.device.type,
        "precision": str(net.dtype).removeprefix("torch."),
    }


def _work(
    options: DatasetOptions,
    annotations: Annotations,
    net: VisTR,
    parts: PartsFolder,
    before: Sequence[Video],
) -> DatasetJob:
    """Segment the videos that were not finished before."""
    finished = set(before)
    remaining = [video for video in annotations.videos if video not in finished]
    segmenter = VideoSegmenter(net, options, parts)
    device = next(net.parameters()).device
    with DatasetProgress(before, remaining, options.quiet) as progress:
        job = DatasetJob(segmenter.segment, device, progress, skip_bad=options.skip_bad)
        try:
            with handled(job.stop):
                job.run(remaining, options.parallel, net.frames)
        except StreamError:
            _say_what_stays(options, annotations, parts)
            raise
    if job.signal is not None:
        _say_what_stays(options, annotations, parts)
    return job


def _say_what_stays(options: DatasetOptions, annotations: Annotations, parts: PartsFolder) -> None:
    log.warning(
        "%d of %d videos are finished and stay in %s; the same command%s goes on from there",
        *(len(_finished(annotations, parts)), len(annotations.videos), parts.folder),
        " without --restart" if options.restart else "",
    )


def _finished(annotations: Annotations, parts: PartsFolder) -> list[Video]:
    return [video for video in annotations.videos if parts.finished(video.video_id)]
