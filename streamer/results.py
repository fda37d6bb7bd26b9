"""Assembles a YouTube-VIS results file from the JSON lines of a run, also after a kill.

``python -m streamer.results r.jsonl r.json``

Memory does not grow with the length of the video: a first pass keeps a few numbers per track, and
then the masks of one track at a time are read again from its stretch of the lines.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import TextIO

from streamer.errors import SinkError, SourceError
from streamer.exit_codes import command
from streamer.output_path import check_apart, check_writable, replacing
from streamer.printable import counted
from streamer.result_lines import TrackLines, VideoLines, survey
from streamer.sinks.output_spec import check_json_file
from streamer.standard_output import say

_log = logging.getLogger(__name__)


def write_results(
    lines_path: str, results_path: str, *, best: int | None = None, are_own: bool = True
) -> int:
    """Write the YouTube-VIS results of a run: one entry per track and video entry.

    An entry holds ``video_id``, ``track_id``, ``score`` (the mean over the track's frames),
    ``category_id`` (its most frequent, the lowest of equals) and ``segmentations``: for each frame
    of the video entry COCO's compressed RLE, or null. Without masks these are all null, and
    ``bboxes`` holds [left, top, width, height] in pixels, or null.

    The file appears under its name only once it is whole. A torn last line, as a kill may leave, is
    passed over with a warning.

    Args:
        lines_path: The JSON lines, as `streamer.sinks.results_sink.ResultsSink` writes them.
        results_path: The file to write; replaced if it exists.
        best: Write only so many tracks of each category in each video entry, those of the best
            score, and log how many were left out; None writes all.
        are_own: Whether this process wrote the lines: they may announce no video, as those of a run
            without a frame, and their run lengths are taken as they are.

    Returns:
        How many entries were written.

    Raises:
        SourceError: The lines cannot be read, announce no video where they have to, or one is
            malformed; the message has its number.
        SinkError: The results cannot be written.
        ConfigError: Both paths are the same file.
    """
    check_apart([results_path], {"the lines that the results are made of": lines_path})
    check_writable(results_path)
    try:
        lines = Path(lines_path).open("rb")  # noqa: SIM115 - closed by the next with
    except OSError as error:
        raise SourceError(f"{lines_path}: {error.strerror}") from error
    with lines:
        if not lines.seekable():
            raise SourceError(f"{lines_path}: is a pipe or the like; allowed: a file")
        videos, tracks = survey(lines, lines_path, are_own=are_own)
        if not (videos or are_own):
            raise SourceError(f"{lines_path}: holds no video; expected the JSON lines of a run")
        kept = tracks if best is None else _best(tracks, best)
        if len(kept) < len(tracks):
            _log.info("%s: %d weaker tracks left out", results_path, len(tracks) - len(kept))
        with replacing(Path(results_path)) as partial, partial.open("w", encoding="ascii") as file:
            _write_entries(lines, file, videos, kept)
    return len(kept)


def _best(tracks: Sequence[TrackLines], count: int) -> list[TrackLines]:
    """The `count` tracks of the best score in each category of each video entry, in order."""
    ranks: Counter[tuple[int, int]] = Counter()
    kept = set()
    for position in sorted(range(len(tracks)), key=lambda position: -tracks[position].score):
        group = (tracks[position].video_id, tracks[position].category_id)
        if ranks[group] < count:
            kept.add(position)
        ranks[group] += 1
    return [track for position, track in enumerate(tracks) if position in kept]


def _write_entries(
    lines: BufferedReader,
    results: TextIO,
    videos: dict[int, VideoLines],
    tracks: Sequence[TrackLines],
) -> None:
    """The second pass: write a JSON list with one entry per track."""
    results.write("[")
    for position, track in enumerate(tracks):
        entry = {
            "video_id": track.video_id,
            "track_id": track.track_id,
            "score": round(track.score, 6),
            "category_id": track.category_id,
        }
        results.write(",\n" if position else "\n")
        results.write(json.dumps(entry, allow_nan=False)[:-1])
        video = videos[track.video_id]
        for name, key in {"segmentations": "segmentation", "bboxes": "bbox"}.items():
            if key == "bbox" and video.masks:
                continue
            results.write(f', "{name}": [' + "null," * track.first_frame)
            results.writelines(_frame_by_frame(lines, track, key))
            results.write(",null" * (video.frames - 1 - track.last_frame) + "]")
        results.write("}")
    results.write("\n]\n" if tracks else "]\n")


def _frame_by_frame(lines: BufferedReader, track: TrackLines, key: str) -> Iterator[str]:
    """One thing about a track as JSON with commas between, from its stretch of the lines."""
    lines.seek(track.begin)
    separator = ""
    while lines.tell() < track.end:
        record = json.loads(lines.readline())
        if record["type"] != "frame" or record["video_id"] != track.video_id:
            continue
        found = (
            instance[key]
            for instance in record["instances"]
            if instance["track_id"] == track.track_id
        )
        yield separator + json.dumps(next(found, None), separators=(",", ":"))
        separator = ","


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Assemble from the command line.

    Returns:
        The exit code: 0; 1 where a file cannot be read or written; 2 for wrong arguments.
    """
    parser = argparse.ArgumentParser(
        prog="python -m streamer.results",
        description="Assemble a YouTube-VIS results file from the JSON lines of a run.",
    )
    parser.add_argument("lines", help="JSON lines that a run wrote, such as r.jsonl")
    parser.add_argument("results", help="results file to write, such as r.json")
    asked = parser.parse_args(arguments)
    if asked.results == "-":
        raise SinkError("-: results do not go to standard output; name a file")
    check_json_file("results", asked.results)
    entries = write_results(asked.lines, asked.results, are_own=False)
    say(f"{asked.results}: {counted(entries, 'track')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
