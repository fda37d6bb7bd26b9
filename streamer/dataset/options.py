"""What a user can ask of the data-set job."""

from __future__ import annotations

from dataclasses import dataclass, field

from streamer.config import StreamConfig


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """A data-set job.

    Attributes:
        ann_path: JSON that lists the videos.
        img_path: Folder of their images.
        save_path: Results file to write.
        network: Weights and what is expected of them, device, precision, the size of the input,
            and the stride for videos longer than a window; the threshold is 0.
        parallel: Videos at once; None takes as many as fit into memory.
        skip_bad: Leave bad videos out.
        restart: Forget what an interrupted job left.
        quiet: Show no progress and no summary.
    """

    ann_path: str
    img_path: str
    save_path: str
    network: StreamConfig = field(default_factory=lambda: StreamConfig(threshold=0.0))
    parallel: int | None = None
    skip_bad: bool = False
    restart: bool = False
    quiet: bool = False
