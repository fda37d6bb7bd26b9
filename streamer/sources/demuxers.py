"""Which of FFmpeg's demuxers may open a file.

FFmpeg goes by what a file holds, whatever its name ends in, and a list of files is among the things
that it knows: one that names itself, or a pipe, would take all descriptors, or wait for ever.
"""

from __future__ import annotations

import av

from streamer.source_config import SourceConfig
from streamer.sources.source_spec import SourceSpec

_LIST = "concat"

_OF_IMAGES = {"apng", "gif", "image2", "mjpeg", "mov"}
"""Those whose names do not end in ``_pipe``; ``mov`` reads AVIF."""


def _only(names: set[str]) -> dict[str, str]:
    return {"format_whitelist": ",".join(sorted(names))}


IMAGES = _only(_OF_IMAGES | {name for name in av.formats_available if name.endswith("_pipe")})
"""FFmpeg's options for a file that should be an image."""

_VIDEOS = _only(av.formats_available - {_LIST})


def file_options(spec: SourceSpec, config: SourceConfig) -> dict[str, str]:
    """FFmpeg's options for a local file: no list of others, unless the user says that it is one."""
    return _VIDEOS if spec.kind == "file" and config.format != _LIST else {}
