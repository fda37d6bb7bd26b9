"""A camera that sends more than is decoded, on a real socket: what waits is skipped."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from streamer.output import FrameResult
from streamer.pipeline import Pipeline
from streamer.sources import lag
from tests.camera import EMPTY, INTERVAL_S, Camera
from tests.clips import make_clip
from tests.fakes import OneObject
from tests.pipelines import pipeline
from tests.sources import opened

FPS = 50

BUSY_S = 0.1
"""For a picture of a camera that sends one in a fifth of that."""


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("BEHIND_S", 0.5), ("CLOSE_S", 0.1), ("JUDGED_S", 0.1)):
        monkeypatch.setattr(lag, name, seconds)


@pytest.fixture
def sent(tmp_path: Path) -> bytes:
    """Twenty seconds of transport stream that take as long if sent packet by packet."""
    bit_rate = round(len(EMPTY) * 8 / INTERVAL_S)
    path = tmp_path / "a.ts"
    make_clip(path, frames=20 * FPS, fps=FPS, gop=10, container_options={"muxrate": str(bit_rate)},
              codec_options={"bf": "3", "x264-params": "scenecut=0"})  # fmt: skip
    return path.read_bytes()


def busy_results(whole: Pipeline, most: int) -> list[FrameResult]:
    """The first results, or up to some after what was skipped, taken too slowly for the camera."""
    results: list[FrameResult] = []
    for result in whole.outputs():
        assert isinstance(result, FrameResult)
        results.append(result)
        if len(results) == most or any(each.dropped for each in results[:-2]):
            whole.stop()
        time.sleep(BUSY_S)
    whole.close()
    return results


def test_who_decodes_too_slowly_catches_up(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with Camera([(sent, "sings")]) as camera:
        whole = pipeline(opened(camera.url, format="mpegts"), OneObject())
        results = busy_results(whole, 20 * FPS)
    first = results[0].frame
    assert first.pts is not None
    assert [each.frame.pts for each in results] == [
        first.pts + each.frame.index * 90_000 // FPS for each in results
    ]
    after = next(each for each in results if each.dropped)
    assert after.dropped > FPS / 2
    warning = next(message for message in caplog.messages if "skipped" in message)
    assert warning == (
        f"{camera.url}: decoding is slower than the camera; {after.dropped} frames skipped to "
        "catch up (1 s behind)"
    )
    summary = whole.summary()
    assert summary.dropped >= after.dropped
    assert summary.decoded == summary.frames + summary.dropped


def test_who_wants_every_frame_gets_every_frame(sent: bytes) -> None:
    with Camera([(sent, "sings")]) as camera:
        whole = pipeline(opened(camera.url, format="mpegts", live=False), OneObject())
        results = busy_results(whole, 25)
    assert [each.frame.index for each in results] == list(range(len(results)))
