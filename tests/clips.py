"""Small video clips for tests, made with PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def draw(index: int, size: tuple[int, int]) -> Image:
    """A frame that tells its index: a bright square on grey, moving right and down."""
    height, width = size
    image = np.full((height, width, 3), 64, np.uint8)
    image[..., 2] = np.linspace(0, 160, width, dtype=np.uint8)
    side = max(1, min(size) // 4)
    top = (2 * index) % max(1, height - side)
    left = (3 * index) % max(1, width - side)
    image[top : top + side, left : left + side] = (230, 40 + (17 * index) % 180, 60)
    return image


def make_clip(
    path: Path | str,
    *,
    frames: int | Sequence[Image] = 12,
    size: tuple[int, int] = (48, 64),
    fps: float = 10,
    codec: str | None = None,
    pix_fmt: str | None = None,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    gop: int = 12,
    rotation: int | None = None,
    hflip: bool = False,
    audio_s: float = 0.0,
    colorspace: int | None = None,
    color_range: int | None = None,
    container_options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    format: str | None = None,
) -> list[Image]:
    """Write a clip and return its frames as RGB arrays, as they were before encoding.

    Args:
        path: Where to; the ending decides the container (`format` overrides it).
        frames: How many to draw, or the RGB frames themselves.
        size: (height, width) of drawn frames.
        fps: Frames per second.
        codec: FFmpeg encoder; H.264, or MPEG-4 part 2 for .avi.
        pix_fmt: yuv420p, or yuv444p for odd sizes.
        pts: One timestamp per frame in `time_base`, for variable frame rate.
        time_base: Of `pts`; 1/1000 with `pts`, else 1/fps.
        gop: Frames from key frame to key frame.
        rotation: Counter-clockwise display rotation in degrees, written as metadata.
        hflip: Display flip, written as metadata.
        audio_s: Seconds of a silent audio track beside the video.
        colorspace: av.video.reformatter.Colorspace to tag and convert with.
        color_range: 1 limited, 2 full: to tag and convert with.
        container_options: For the muxer.
        codec_options: For the encoder.
        format: FFmpeg muxer name.
    """
    images = [draw(i, size) for i in range(frames)] if isinstance(frames, int) else list(frames)
    height, width = images[0].shape[:2] if images else size
    rate = Fraction(fps).limit_denominator(1001)
    base = time_base or (Fraction(1, 1000) if pts is not None else 1 / rate)
    ticks = list(pts) if pts is not None else list(range(len(images)))
    codec = codec or ("mpeg4" if str(path).endswith(".avi") else "libx264")
    pix_fmt = pix_fmt or ("yuv444p" if height % 2 or width % 2 else "yuv420p")
    with av.open(str(path), "w", format=format, container_options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=codec_options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        context = stream.codec_context
        context.gop_size = gop
        if codec == "mpeg4":
            context.bit_rate = 4_000_000  # its default loses the picture
        context.time_base = base
        context.thread_count = 1
        if colorspace is not None:
            context.colorspace = colorspace
        if color_range is not None:
            context.color_range = color_range
        if rotation is not None:
            stream.set_display_rotation(rotation, hflip=hflip)
        sound = out.add_stream("aac", rate=16000, layout="mono") if audio_s else None
        for image, tick in zip(images, ticks, strict=True):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame = frame.reformat(
                format=pix_fmt,
                dst_colorspace=colorspace,
                dst_color_range=color_range,
                interpolation="BICUBIC",
            )
            frame.pts, frame.time_base = tick, base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            _add_silence(out, sound, audio_s)
    return images


def _add_silence(out: Any, sound: Any, seconds: float) -> None:
    for start in range(0, int(seconds * 16000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
        out.mux(sound.encode(frame))
    out.mux(sound.encode(None))


def make_slides(path: Path, shown_s: Sequence[float], audio_s: float = 0.0) -> None:
    """Write a clip whose pictures are shown for so long each, beside silence of `audio_s`."""
    base = Fraction(1, 1000)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.time_base = base
        sound = out.add_stream("aac", rate=16000, layout="mono") if audio_s else None
        for index, seconds in enumerate(shown_s):
            frame = av.VideoFrame.from_ndarray(draw(index, (48, 64)), "rgb24")
            frame.pts, frame.time_base = round(1000 * sum(shown_s[:index])), base
            for packet in stream.encode(frame):
                packet.duration = round(1000 * seconds)
                out.mux(packet)
        out.mux(stream.encode(None))
        if sound is not None:
            _add_silence(out, sound, audio_s)


def make_images(folder: Path, *, frames: int = 5, size: tuple[int, int] = (24, 32)) -> list[Image]:
    """Write PNG files `1.png`, `2.png`, … into a new folder and return their RGB arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    images = [draw(index, size) for index in range(frames)]
    for index, image in enumerate(images, start=1):
        write_image(folder / f"{index}.png", image)
    return images


def write_image(path: Path, image: Image) -> None:
    """Write one RGB image; the ending decides the format."""
    codec = {".jpg": "mjpeg", ".bmp": "bmp", ".tif": "tiff", ".webp": "libwebp"}.get(
        path.suffix, "png"
    )
    pix_fmt = {"mjpeg": "yuvj444p", "bmp": "bgr24", "libwebp": "bgra"}.get(codec, "rgb24")
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as out:
        stream = out.add_stream(codec, rate=1)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = pix_fmt
        frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=pix_fmt)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def corrupt(path: Path, start: float, length: int) -> None:
    """Overwrite `length` bytes with noise, beginning at a fraction `start` of the file."""
    data = bytearray(path.read_bytes())
    first = int(start * len(data))
    noise = np.random.default_rng(0).integers(0, 256, length, dtype=np.uint8)
    data[first : first + length] = noise.tobytes()[: len(data) - first]
    path.write_bytes(data)


def truncate(path: Path, fraction: float) -> None:
    """Cut a file off at a fraction of its length."""
    data = path.read_bytes()
    path.write_bytes(data[: int(fraction * len(data))])


def make_sounding_clip(
    path: Path,
    *,
    codec: str = "aac",
    seconds: int = 4,
    sound_s: float = 4.0,
    beep_s: float = 2.0,
    sound_from_s: float = 0.0,
) -> None:
    """Write a clip of 25 frames a second whose sound is silent up to a beep of half a second.

    Args:
        path: Where to; the ending decides the container.
        codec: FFmpeg encoder of the sound.
        seconds: Length of the video.
        sound_s: When the sound ends.
        beep_s: When the beep begins.
        sound_from_s: When the sound begins.
    """
    rate, fps = 48_000, 25
    times = np.arange(int(sound_s * rate)) / rate
    is_beep = (times >= beep_s) & (times < beep_s + 0.5)
    wave = (0.5 * np.sin(2 * np.pi * 440 * times) * is_beep).astype(np.float32)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=fps, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = out.add_stream(codec, rate=rate, layout="stereo")
        for index in range(seconds * fps):
            picture = av.VideoFrame.from_ndarray(draw(index, (48, 64)), "rgb24")
            picture.pts, picture.time_base = index, Fraction(1, fps)
            out.mux(video.encode(picture))
            samples = wave[index * rate // fps : (index + 1) * rate // fps]
            if len(samples) and index >= sound_from_s * fps:
                heard = av.AudioFrame.from_ndarray(np.stack([samples] * 2), "fltp", "stereo")
                heard.sample_rate, heard.time_base = rate, Fraction(1, rate)
                heard.pts = index * rate // fps
                out.mux(sound.encode(heard))
        for stream in (video, sound):
            out.mux(stream.encode(None))


def frames_of(path: Path | str, count: int | None = None) -> list[av.VideoFrame]:
    """The decoded pictures of a file, the first so many of them if told."""
    with av.open(str(path)) as container:
        return list(islice(container.decode(video=0), count))


def beep_begins_s(path: Path) -> float:
    """When the sound of a file is first heard, in seconds of its own time."""
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray().astype(np.float64)).max(axis=0)
            samples /= 32768 if frame.format.name.startswith("s16") else 1
            heard = np.flatnonzero(samples > 0.1)
            if len(heard):
                return float(frame.pts * frame.time_base) + int(heard[0]) / frame.sample_rate
    raise AssertionError(f"{path} is silent")
