"""Everything a user can set: frozen dataclasses, whose attribute docstrings are the help texts.

`streamer.arguments` parses them from YAML and flags. Inner parts take plain arguments instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from streamer.errors import ConfigError
from streamer.metrics_config import MetricsConfig
from streamer.option_check import Auto, check, check_at_least, check_not_negative, check_positive
from streamer.sink_config import ImagesConfig, Mp4Config, PreviewConfig, ZmqConfig
from streamer.sinks.output_spec import ImageStyle, OutputKind, OutputSpec, check_json_file
from streamer.source_config import SourceConfig
from streamer.window_config import StitchConfig, WindowConfig
from streamer.wire.stream_name import check_stream_name

Precision = Literal["auto", "fp32", "bf16", "fp16", "fp64"]

SHIPPED_CLIP = Path(__file__).parent / "assets" / "vtest.mp4"
"""What is read where no SOURCE is given."""

MIN_SHORT_SIDE, MAX_SHORT_SIDE = 32, 4320
"""Those of `model.architecture`, whose import would load PyTorch before a command line is read."""

MAX_THREADS = 1024
"""More than machines have cores; beyond it the operating system refuses them."""


@dataclass(frozen=True)
class StreamConfig:
    """A run of the stream."""

    input: str | None = None
    """What to read: a file, a URL (rtsp://, http://, …), a webcam (/dev/video0, its number, or a
    path in /dev/v4l), an image folder, a pattern (frames/%04d.png), lavfi:GRAPH, or - for MPEG-TS
    on standard input. Without it, the clip that ships with the project. In a config: input."""

    weights: str | None = None
    """A VisTR checkpoint, .pth or .safetensors. Without it, the small default."""

    backbone: str | None = None
    """Convolutional backbone, such as resnet50. Read off the weights; a value is checked against
    them."""

    slots: int | None = None
    """Instance slots, the most objects in a window. Read off the weights; a value is checked
    against what they say, and believed, with a warning, where they say nothing."""

    short_side: int | None = None
    """Shorter side of the network's input in pixels. Without it, what the weights expect; a smaller
    one is faster and finds less."""

    masks: bool = True
    """Run the segmentation head. false: only boxes, which is faster; whatever needs a mask then
    takes the box, and objects of one window whose boxes overlap by half are taken for one. The
    default weights' boxes sit less well than boxes around their masks."""

    category_file: str | None = None
    """Text file with a category name a line, ids counting from 1, for weights that don't name
    theirs."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs. auto: cuda if there is one."""

    precision: Precision = "auto"
    """Arithmetic of the network. auto: bf16 on cuda (fp16 before Ampere) and on a cpu with
    avx512_bf16 or AMX, else fp32."""

    cuda_graphs: bool = True
    """Record the network once for each frame size, as CUDA graphs, which are much faster to launch.
    false: needs less of the device's memory. No effect on cpu."""

    threads: Auto | int = "auto"
    """Threads that the network computes with on a CPU. auto: one for each core that may be used."""

    threshold: Auto | float = "auto"
    """Score in [0, 1] that an object needs, for every output. auto: 0.5, and 0.8 with
    --mp4_clip_path."""

    categories: list[str] | str | None = None
    """Keep only these categories, such as person,dog."""

    stream: str = "default"
    """Name of the stream, part of the ZeroMQ topic; no slash."""

    publish: list[str] = field(default_factory=list)
    """ZeroMQ endpoint to publish on, such as tcp://127.0.0.1:5555. Repeatable."""

    output: list[str] = field(default_factory=list)
    """[STYLE=]PATH to write: a video (.mp4, .m4v), an animated preview (.gif, .webp), or a folder
    (a slash at its end) with an image per frame, 0.png, 1.png, … Styles: see mp4.style and
    images.style. Files of the same name are replaced. Repeatable."""

    results: list[str] = field(default_factory=list)
    """YouTube-VIS results file to write; the JSON lines that it is made of lie beside it as
    .jsonl (of a live source or a looped file just those: python -m streamer.results makes the file
    of them). Files of these names are replaced. Repeatable."""

    annotations: str | None = None
    """YouTube-VIS annotation file to write, without annotations: the list of the frames, as
    python -m streamer.dataset reads it."""

    start: float = 0.0
    """Skip this many seconds of a file."""

    duration: float | None = None
    """Stop after this many seconds of video."""

    max_frames: int | None = None
    """Stop after this many frames."""

    roi: tuple[int, int, int, int] | str | None = None
    """Region of interest, left,top,width,height in pixels: only it is looked at; masks keep the
    coordinates of the whole frame."""

    quiet: bool = False
    """No progress, no summary; warnings and errors only."""

    log: Literal["human", "json"] = "human"
    """How messages are written to standard error. json: an object a line, without progress."""

    source: SourceConfig = field(default_factory=SourceConfig)
    window: WindowConfig = field(default_factory=WindowConfig)
    stitch: StitchConfig = field(default_factory=StitchConfig)
    zmq: ZmqConfig = field(default_factory=ZmqConfig)
    mp4: Mp4Config = field(default_factory=Mp4Config)
    images: ImagesConfig = field(default_factory=ImagesConfig)
    preview: PreviewConfig = field(default_factory=PreviewConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)

    cleaned_folders: tuple[str, ...] = ()
    """Image folders whose numbered images of earlier runs are removed first. Not an option of its
    own: --clean names the folders (see `streamer.script_arguments`)."""

    def __post_init__(self) -> None:
        # These reach the parser as they are, without a type.
        check(
            self.input is None or (isinstance(self.input, str) and self.input != ""),
            "input",
            self.input,
            "a file, URL, webcam, folder, pattern, lavfi:GRAPH, or -",
        )
        check(isinstance(self.quiet, bool), "quiet", self.quiet, "true or false")
        for name in ("publish", "output", "results"):
            values = getattr(self, name)
            named = isinstance(values, list) and all(isinstance(v, str) and v for v in values)
            check(named, name, values, "a text, or a list of them")
        for path in self.results:
            check_json_file("results", path)
        if self.annotations is not None:
            check_json_file("annotations", self.annotations)
        styles = [spec.style for spec in self.outputs("images")]
        check(
            self.images.format != "jpg" or "cutout" not in styles,
            "images.format",
            self.images.format,
            "auto or png with style cutout, as JPEG knows no transparency",
        )
        check(
            self.threshold == "auto" or 0 <= self.threshold <= 1,
            "threshold",
            self.threshold,
            "auto, or from 0 to 1",
        )
        check_at_least("slots", self.slots, 1)
        short_side, threads = self.short_side, self.threads
        fits = short_side is None or MIN_SHORT_SIDE <= short_side <= MAX_SHORT_SIDE
        check(fits, "short_side", short_side, f"from {MIN_SHORT_SIDE} to {MAX_SHORT_SIDE}")
        fits = threads == "auto" or 1 <= threads <= MAX_THREADS
        check(fits, "threads", threads, f"auto, or from 1 to {MAX_THREADS}")
        check_stream_name(self.stream)
        check_not_negative("start", self.start)
        if self.duration is not None:
            check_positive("duration", self.duration)
        check_at_least("max_frames", self.max_frames, 1)
        self.region()
        check(self.category_names() != [], "categories", self.categories, "at least one name")

    @cached_property
    def _specs(self) -> list[OutputSpec]:
        defaults: dict[OutputKind, ImageStyle] = {
            "video": self.mp4.style,
            "preview": self.mp4.style,
            "images": self.images.style,
        }
        return [OutputSpec.parse(text, defaults) for text in self.output]

    def outputs(self, kind: OutputKind) -> list[OutputSpec]:
        """Those of `output` that are of one kind.

        Raises:
            ConfigError: One of `output` names no kind, or an unknown style.
        """
        return [spec for spec in self._specs if spec.kind == kind]

    def input_or_shipped(self) -> str:
        """What is to be read: the shipped clip where nothing is named."""
        return str(SHIPPED_CLIP) if self.input is None else self.input

    def region(self) -> tuple[int, int, int, int] | None:
        """`roi` as (left, top, width, height) in pixels."""
        if self.roi is None:
            return None
        allowed = "left,top,width,height in pixels, the first two ≥ 0, the others ≥ 1"
        try:
            parts = self.roi.split(",") if isinstance(self.roi, str) else self.roi
            left, top, width, height = (int(part) for part in parts)
        except (TypeError, ValueError):
            raise ConfigError(f"roi is {self.roi!r}; allowed: {allowed}") from None
        check(min(left, top) >= 0 and min(width, height) >= 1, "roi", self.roi, allowed)
        return left, top, width, height

    def category_names(self) -> list[str] | None:
        """`categories` as a list of names."""
        if self.categories is None:
            return None
        names = self.categories.split(",") if isinstance(self.categories, str) else self.categories
        return [name.strip() for name in names if name.strip()]
