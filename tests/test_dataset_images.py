"""`streamer.dataset.images`: PIL's pixels, and no damaged ones."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from model.preprocess import network_size, resize
from streamer.dataset.images import ImageSequence, check_header, fingerprint, read_image
from streamer.errors import SourceError
from streamer.image_encoding import encode_png
from tests.datasets import damage, jpeg, pictures

SIZE = (40, 61)
PICTURE = pictures(1, SIZE)[0]
IMAGE = Image.fromarray(PICTURE)


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    return jpeg(IMAGE, exif=exif)


def with_thumbnail() -> bytes:
    data, thumbnail = jpeg(IMAGE), b"Exif\0\0" + jpeg(IMAGE.resize((16, 8)))
    return data[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + data[2:]


@pytest.mark.parametrize(
    "data",
    [
        jpeg(IMAGE),
        jpeg(IMAGE, quality=5),
        jpeg(IMAGE, quality=100, subsampling=0),
        jpeg(IMAGE, progressive=True),
        jpeg(IMAGE, optimize=True, restart_marker_blocks=2),
        jpeg(IMAGE.convert("L")),
        jpeg(IMAGE.convert("CMYK")),
        jpeg(IMAGE.convert("CMYK"), subsampling="4:2:2"),  # for which FFmpeg has no decoder
        jpeg(IMAGE) + b"and some more",
        rotated(),
        with_thumbnail(),
    ],
)
def test_sound_jpegs_have_the_pixels_that_pil_gives_them(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    check_header(path, SIZE)
    image = read_image(path, SIZE)
    assert image.dtype == np.uint8
    assert np.array_equal(image, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
def test_png_of_every_mode_is_read_as_rgb(tmp_path: Path, mode: str) -> None:
    IMAGE.convert(mode).save(tmp_path / "a.png")
    expected = np.asarray(IMAGE.convert(mode).convert("RGB"))
    assert np.array_equal(read_image(tmp_path / "a.png", SIZE), expected)


def test_16_bits_of_grey_are_scaled(tmp_path: Path) -> None:
    grey = np.linspace(0, 65_535, 48, dtype=np.uint16).reshape(6, 8)
    (tmp_path / "a.png").write_bytes(encode_png(grey))
    found = read_image(tmp_path / "a.png", (6, 8))
    assert np.array_equal(found, np.repeat((grey >> 8)[..., None], 3, axis=2))


@pytest.mark.parametrize("grey", [np.int32(130), np.float32(0.5)])
def test_more_bits_of_grey_are_refused(tmp_path: Path, grey: np.generic) -> None:
    Image.fromarray(np.full((6, 8), grey)).save(tmp_path / "a.tiff")
    with pytest.raises(SourceError, match=r"a\.tiff: is grey of 32 bits, expected 8 or 16"):
        read_image(tmp_path / "a.tiff", (6, 8))


def test_a_header_that_says_what_ffmpeg_cannot_decode_is_damaged_unless_it_is_cmyk(
    tmp_path: Path,
) -> None:
    data = bytearray(jpeg(IMAGE, subsampling="4:2:0"))
    sampling = data.index(b"\xff\xc0") + 11  # of luma. Source: ITU-T T.81, B.2.2
    assert data[sampling] == 0x22
    data[sampling] = 0x32
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.jpg: damaged JPEG data$"):
        read_image(tmp_path / "a.jpg", SIZE)


def test_damage_that_pil_passes_over_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(IMAGE))
    damage(path)
    with Image.open(path) as image:
        image.load()  # does not raise
    check_header(path, SIZE)
    with pytest.raises(SourceError, match=r"a\.jpg: damaged JPEG data$"):
        read_image(path, SIZE)


def test_an_image_that_was_replaced_by_one_of_its_size_is_known_by_its_time(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.jpg"
    found = set()
    for content, changed_s in ((b"one", 1), (b"two", 1), (b"two", 2), (b"four", 2)):
        path.write_bytes(content)
        os.utime(path, (0, changed_s))
        found.add(fingerprint([path]))
    assert len(found) == 3


def test_no_memory_for_ffmpeg_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(*_: object, **__: object) -> None:
        raise av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")

    IMAGE.save(tmp_path / "a.jpg")
    monkeypatch.setattr(av, "open", starved)
    with pytest.raises(MemoryError):
        read_image(tmp_path / "a.jpg", SIZE)


def test_files_that_are_no_such_image(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with pytest.raises(SourceError, match=r"a\.jpg: no such file"):
        check_header(path, SIZE)
    path.touch()
    for read in (check_header, read_image):
        with pytest.raises(SourceError, match=r"a\.jpg: is empty$"):
            read(path, SIZE)
    path.write_bytes(b"hello")
    with pytest.raises(
        SourceError, match=r"a\.jpg: cannot be read as an image: of no known format$"
    ):
        check_header(path, SIZE)
    path.write_bytes(jpeg(IMAGE))
    for read in (check_header, read_image):
        with pytest.raises(SourceError, match=r"a\.jpg: is 61x40, expected 40x61 as its video"):
            read(path, SIZE[::-1])
    path.write_bytes(jpeg(IMAGE)[:-300])
    with pytest.raises(SourceError, match=r"a\.jpg: "):
        read_image(path, SIZE)
    IMAGE.save(tmp_path / "b.png")
    data = bytearray((tmp_path / "b.png").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "b.png").write_bytes(data)
    with pytest.raises(SourceError, match=r"b\.png: cannot be read as an image"):
        read_image(tmp_path / "b.png", SIZE)
    with pytest.raises(SourceError, match=r"cannot be read as an image: .*null"):
        check_header(Path("a\0b.jpg"), SIZE)
    with pytest.raises(SourceError, match=r"^…x{195}b\.jpg: ") as caught:
        check_header(Path("x" * 5000 + "b.jpg"), SIZE)
    assert len(str(caught.value)) < 400


def test_a_sequence_gives_frames_at_the_networks_size(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, picture in zip(paths, pictures(3, SIZE), strict=True):
        Image.fromarray(picture).save(path)
    source = ImageSequence("video 7", paths, SIZE, 24)
    frames = []
    for frame in source:
        frames.append(frame)
        if len(frames) == 2:
            source.interrupt()
    assert [(frame.index, frame.time_s) for frame in frames] == [(0, 0.0), (1, 1.0)]
    assert frames[0].epoch is frames[1].epoch
    expected = resize(pictures(3, SIZE)[1], network_size(SIZE, 24))
    assert np.array_equal(frames[1].inputs, expected)
    assert np.array_equal(source.inputs(paths[1]), expected)
