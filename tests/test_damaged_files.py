"""Whatever bytes a file holds: frames, an error in words, or both, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.memory import reset_peak
from streamer.dataset.memory import kibibytes
from streamer.errors import SourceError
from streamer.frame import Frame
from streamer.sources.selection import Selection
from tests.clips import make_clip
from tests.sources import decode, opened

FEW = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MOST_MORE_KIB = 500_000
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}
Damage = Callable[[bytes], bytes]


def damaged(kind: str, where: float, length: int, value: bytes) -> Damage:
    """One way to damage bytes.

    Args:
        kind: To ``flip`` (overwrite), ``cut``, ``repeat`` or ``end``.
        where: Fraction of the length at which it begins.
        length: How many bytes are cut or repeated.
        value: What overwrites them.
    """

    def apply(data: bytes) -> bytes:
        at = int(where * len(data))
        before, part, after = data[:at], data[at : at + length], data[at + length :]
        return {
            "flip": before + value + data[at + len(value) :],
            "cut": before + after,
            "repeat": before + part * 4 + after,
            "end": before,
        }[kind]

    return apply


VALUES = st.binary(min_size=1, max_size=4) | st.sampled_from(
    [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\1", b"\xff", b"\0"]
)
DAMAGES = st.lists(
    st.builds(
        damaged,
        st.sampled_from(["flip", "flip", "flip", "cut", "repeat", "end"]),
        st.floats(0, 1),
        st.integers(1, 400),
        VALUES,
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Small clips, without the encoder's long text, so that damage hits what counts."""
    folder = tmp_path_factory.mktemp("clips")
    clips = {}
    for name in ("plain.mp4", "fragmented.mp4", "sound.mp4", "a.ts", "a.mkv"):
        make_clip(
            folder / name,
            frames=8,
            gop=4,
            audio_s=1 if name == "sound.mp4" else 0,
            codec_options={"x264-params": "sei=0"},
            container_options=FRAGMENTED if name == "fragmented.mp4" else {},
        )
        clips[name] = (folder / name).read_bytes()
    return clips


def read_what_there_is(path: Path, start_s: float) -> list[Frame | None]:
    frames: list[Frame | None] = []
    try:
        source = opened(path, Selection(start_s=start_s))
        try:
            frames.extend(frame for frame in source)
        finally:
            source.close()
    except SourceError as error:
        assert str(path) in str(error)  # noqa: PT017 - not raising at all is right as well
        assert "\n" not in str(error)  # noqa: PT017
    return frames


@pytest.mark.parametrize("name", ["plain.mp4", "fragmented.mp4", "sound.mp4", "a.ts", "a.mkv"])
@FEW
@given(damages=DAMAGES, start_s=st.sampled_from([0, 0.5]))
def test_damaged_files_end_in_order(
    tmp_path: Path, clips: dict[str, bytes], name: str, damages: list[Damage], start_s: float
) -> None:
    data = clips[name]
    for damage in damages:
        data = damage(data)
    path = tmp_path / name
    path.write_bytes(data)
    reset_peak()  # of other tests
    before_kib = kibibytes("/proc/self/status", "VmRSS")
    came = read_what_there_is(path, start_s)
    assert kibibytes("/proc/self/status", "VmHWM") < before_kib + MOST_MORE_KIB
    frames = [frame for frame in came if frame is not None]
    assert [frame.index for frame in frames] == list(range(len(came)))
    assert all(later.time_s > earlier.time_s for earlier, later in pairwise(frames))


def test_a_small_file_with_huge_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    width, height = 16_384, 8_320
    sides = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    header = b"IHDR" + sides + bytes([1, 0, 0, 0, 0])  # 1 bit a pixel
    rows = zlib.compress(bytes(height * (1 + width // 8)))
    chunks = [header, b"IDAT" + rows, b"IEND"]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
            for chunk in chunks
        )
    )
    assert path.stat().st_size < 50_000
    with pytest.raises(SourceError, match="frames of 16384x8320; allowed: up to 134217728 pixels"):
        opened(path)


def test_a_duration_that_is_none_is_unknown(tmp_path: Path, clips: dict[str, bytes]) -> None:
    data = clips["a.mkv"]
    assert data.count(b"00:00:00.8") == 1
    path = tmp_path / "a.mkv"
    path.write_bytes(data.replace(b"00:00:00.8", b"00:00:0\x01.8"))
    assert len(read_what_there_is(path, 0)) == 8


def test_an_empty_packet_is_neither_damage_nor_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.nut"  # other formats leave such packets out
    make_clip(tmp_path / "a.mkv", frames=10, codec="mpeg4", pts=[*range(5), *range(6, 11)])
    with av.open(str(tmp_path / "a.mkv")) as clip, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(clip.streams.video[0])
        packets = [packet for packet in clip.demux(video=0) if packet.size]
        empty, before = av.Packet(b""), packets[4]
        assert before.pts is not None
        empty.pts = empty.dts = before.pts + 1
        empty.time_base = before.time_base
        for packet in (*packets[:5], empty, *packets[5:]):
            packet.stream = stream
            out.mux(packet)
    with av.open(str(path)) as copied:
        assert not all(packet.size for packet in copied.demux(video=0) if packet.dts is not None)
    count, media, error = decode(path)
    assert (count, media.counts.corrupt, error) == (10, 0, "")
