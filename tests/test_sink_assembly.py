"""`streamer.sink_assembly`: the outputs that a configuration asks for, and the files they leave."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from streamer.config import StreamConfig
from streamer.errors import SinkError
from streamer.output import EndOfStream, FrameResult, Output, StreamInfo
from streamer.sink_assembly import file_sinks, publishers
from streamer.sink_config import ImagesConfig, Mp4Config, PreviewConfig
from streamer.sinks.drawing import colour_of
from streamer.sinks.sink import SinkThread
from streamer.source_config import SourceConfig
from tests.clips import frames_of, make_sounding_clip
from tests.json_lines import json_lines
from tests.results import RUN, box_mask, epoch, frame_result
from tests.waits import PATIENCE_S, until

INFO = StreamInfo("cam", ("", "person"), 36, 12, True, "run")


def run(sinks: list[SinkThread], results: list[FrameResult]) -> None:
    outputs: list[Output] = [INFO, *results]
    for sink in sinks:
        sink.start()
        for output in outputs:
            sink.put(output)
        sink.put(EndOfStream("end", len(results), 0))
    assert [sink.finish(60) for sink in sinks] == [None] * len(sinks)


def test_every_endpoint_has_a_publisher(tmp_path: Path) -> None:
    endpoints = [f"ipc://{tmp_path}/a", f"ipc://{tmp_path}/b"]
    sinks = publishers(StreamConfig(publish=endpoints), RUN)
    assert [sink.name for sink in sinks] == [f"zmq {endpoint}" for endpoint in endpoints]
    for sink in sinks:
        sink.start()
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}
    for sink in sinks:
        sink.put(EndOfStream("end", 0, 0))
        assert sink.finish(60) is None


def test_publishers_on_ports_of_the_systems_choice_can_be_told_apart() -> None:
    sinks = publishers(StreamConfig(publish=["tcp://127.0.0.1:*"] * 2), RUN)
    assert [sink.name for sink in sinks] == ["zmq tcp://127.0.0.1:*", "zmq tcp://127.0.0.1:* (2)"]


@pytest.mark.parametrize("name", ["a.mp4", "r.jsonl"])
def test_two_runs_do_not_write_into_one_file(tmp_path: Path, name: str) -> None:
    config = StreamConfig(
        output=[f"{tmp_path}/a.mp4"] if name == "a.mp4" else [],
        results=[f"{tmp_path}/r.json"] if name == "r.jsonl" else [],
    )
    [first], [second] = (file_sinks(config, endless=False) for _ in range(2))
    first.start()
    for output in (INFO, frame_result(0, masks={}), frame_result(1, masks={})):
        first.put(output)
    until(lambda: (tmp_path / name).exists() and first.waiting == 0)
    with pytest.raises(SinkError, match=f"{name}: another run writes it"):
        second.start()
        second.put(frame_result(0, masks={}))
        raise second.finish(PATIENCE_S) or AssertionError
    first.put(EndOfStream("end", 2, 0))
    assert first.finish(PATIENCE_S) is None
    assert {path.name for path in first.written} >= {name}
    if name == "a.mp4":
        assert len(frames_of(tmp_path / name)) == 2


def test_every_output_has_its_own_style_or_that_of_its_kind(tmp_path: Path) -> None:
    own = [f"classes={tmp_path}/own.mp4", f"classes={tmp_path}/own.gif", f"classes={tmp_path}/own/"]
    config = StreamConfig(
        output=[f"{tmp_path}/video.mp4", f"{tmp_path}/preview.gif", f"{tmp_path}/images/", *own],
        mp4=Mp4Config(style="binary", crf=5),
        images=ImagesConfig(style="instances"),
        preview=PreviewConfig(width=32),
    )
    size = (48, 64)
    mask = box_mask(size, 0, 0, *size)
    result = frame_result(0, size, {5: mask}, category_ids={5: 2})
    run(file_sinks(config, endless=False), [result])

    def colour(name: str) -> list[int]:
        """In the middle of the first picture of a file."""
        if name.endswith(".mp4"):
            picture = frames_of(tmp_path / name)[0].to_ndarray(format="rgb24")
        else:
            with Image.open(tmp_path / name) as image:
                picture = np.asarray(image.convert("RGB"))
        middle: list[int] = picture[picture.shape[0] // 2, picture.shape[1] // 2].tolist()
        return middle

    white, track, category = (255, 255, 255), colour_of(5), colour_of(2)
    assert colour("video.mp4") == pytest.approx(white, abs=8)
    assert colour("preview.gif") == pytest.approx(white, abs=8)
    assert colour("images/0.png") == list(track)
    assert colour("own.mp4") == pytest.approx(category, abs=8)
    assert colour("own.gif") == pytest.approx(category, abs=8)
    assert colour("own/0.png") == list(category)
    with Image.open(tmp_path / "preview.gif") as preview:
        assert preview.size == (32, 24)


def written(
    config: StreamConfig, results: list[FrameResult], *, endless: bool = False
) -> list[str]:
    """Names of all that a run says that it wrote."""
    sinks = file_sinks(config, endless=endless)
    run(sinks, results)
    return [path.name for sink in sinks for path in sink.written]


def test_what_was_written_is_named_and_nothing_else(tmp_path: Path) -> None:
    config = StreamConfig(
        output=[f"{tmp_path}/a.mp4", f"{tmp_path}/a.gif", f"{tmp_path}/images/"],
        results=[f"{tmp_path}/r.json"],
        annotations=f"{tmp_path}/v.json",
        mp4=Mp4Config(style="frame"),
    )
    for name in ("a.mp4", "a.gif"):
        (tmp_path / name).write_text("of an earlier run")
    assert written(config, []) == ["r.jsonl", "r.json", "v.json"]
    small = epoch((24, 32), index=1, reason="size")
    results = [frame_result(0, masks={}), frame_result(1, masks={}, within=small)]
    assert written(config, results) == [
        *("a.mp4", "a.1.mp4", "a.gif", "images", "r.jsonl", "r.json", "v.json")
    ]


def test_segments_of_a_recording_go_on_behind_those_of_the_run_before(tmp_path: Path) -> None:
    config = StreamConfig(
        output=[f"{tmp_path}/a.mp4"],
        results=[f"{tmp_path}/r.json"],
        mp4=Mp4Config(style="frame", segment_s=1),
    )
    results = [frame_result(index, masks={}, fps=10) for index in range(20)]
    assert written(config, results, endless=True) == ["a.mp4", "a.1.mp4", "r.jsonl", "r.1.jsonl"]
    (tmp_path / "a.4.mp4").touch()  # more of one than of the other, as after a kill
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    again = written(config, results, endless=True)
    assert again == ["a.5.mp4", "a.6.mp4", "r.5.jsonl", "r.6.jsonl"]
    assert {path: path.read_bytes() for path in before} == before
    assert len(json_lines(tmp_path / "r.6.jsonl", "frame")) == 10


def test_a_recording_that_goes_on_is_not_gone_on_with(tmp_path: Path) -> None:
    config = StreamConfig(results=[f"{tmp_path}/r.json"], mp4=Mp4Config(segment_s=1))
    [first] = file_sinks(config, endless=True)
    first.start()
    with pytest.raises(SinkError, match=r"r\.jsonl: another run writes it"):
        file_sinks(config, endless=True)
    first.put(EndOfStream("end", 0, 0))
    assert first.finish(PATIENCE_S) is None
    assert len(file_sinks(config, endless=True)) == 1


def test_the_results_of_an_earlier_recording_stay(tmp_path: Path) -> None:
    config = StreamConfig(results=[f"{tmp_path}/r.json"], mp4=Mp4Config(segment_s=1))
    for name in ("r.json", "r.jsonl"):
        (tmp_path / name).write_text("of an earlier run")
    run(file_sinks(config, endless=True), [])
    assert {path.name for path in tmp_path.iterdir()} == {"r.json", "r.jsonl", "r.1.jsonl"}


def test_segments_of_a_file_are_replaced(tmp_path: Path) -> None:
    config = StreamConfig(output=[f"{tmp_path}/a.mp4"], mp4=Mp4Config(style="frame", segment_s=1))
    results = [frame_result(index, masks={}, fps=10) for index in range(20)]
    for _ in range(2):
        assert written(config, results) == ["a.mp4", "a.1.mp4"]


@pytest.mark.parametrize(
    ("given", "loop", "endless", "kinds"),
    [
        ("{}", False, False, ["audio", "video"]),
        ("file:{}", False, False, ["audio", "video"]),
        ("file://{}", False, False, ["audio", "video"]),
        ("{}", False, True, ["audio", "video"]),  # taken for live
        ("{}", True, True, ["video"]),
    ],
)
def test_a_file_keeps_its_sound_however_it_is_named_and_read(
    tmp_path: Path, given: str, loop: bool, endless: bool, kinds: list[str]
) -> None:
    make_sounding_clip(tmp_path / "in.mp4")
    config = StreamConfig(
        given.format(tmp_path / "in.mp4"),
        output=[f"{tmp_path}/out.mp4"],
        mp4=Mp4Config(style="frame"),
        source=SourceConfig(loop=loop),
    )
    run(file_sinks(config, endless=endless), [frame_result(n, masks={}) for n in range(20)])
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sorted(stream.type for stream in container.streams) == kinds
