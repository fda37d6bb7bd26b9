from __future__ import annotations

import errno
import os
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, features

from streamer.errors import SourceError, UnforeseenError
from streamer.sources.container_media import MAX_FAILURES
from streamer.sources.image_media import ImageMedia, list_images
from tests.clips import draw, make_images, truncate, write_image
from tests.descriptors import descriptors_left
from tests.users import nobody, open_folder

ANIMATED = {"save_all": True, "append_images": [Image.new("RGB", (64, 48), "red")]}
HAS_AVIF = pytest.mark.skipif(
    "avif" not in features.get_supported(), reason="needs a Pillow with AVIF"
)


def test_natural_order_and_endings(tmp_path: Path) -> None:
    for name in ("10.png", "9.PNG", "b2.png", "a.png", "notes.txt", "1.jpg"):
        (tmp_path / name).touch()
    names = [path.name for path in list_images(str(tmp_path))]
    assert names == ["1.jpg", "9.PNG", "10.png", "a.png", "b2.png"]


def test_names_of_the_same_number_have_one_order(tmp_path: Path) -> None:
    names = ["0001.png", "001.png", "01.PNG", "01.png", "1.png"]
    for name in (names[3], names[0], names[4], names[2], names[1]):
        (tmp_path / name).touch()
    assert [path.name for path in list_images(str(tmp_path))] == names


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("%04d.png", ["0650.png", "0651.png"]),
        ("%d.png", ["7.png", "0650.png", "0651.png"]),
        ("x+%d.png", ["x+3.png"]),
    ],
)
def test_a_pattern_matches_its_files_in_order(
    tmp_path: Path, pattern: str, names: list[str]
) -> None:
    for name in ("0650.png", "0651.png", "7.png", "x+3.png", "0650.pngx"):
        (tmp_path / name).touch()
    assert [path.name for path in list_images(str(tmp_path / pattern))] == names


@pytest.mark.parametrize("target", ["", "%04d.png", "nowhere/%04d.png"])
def test_a_place_without_images_is_an_error(tmp_path: Path, target: str) -> None:
    with pytest.raises(SourceError, match=r"without images|no file matches"):
        list_images(str(tmp_path / target))


@pytest.mark.parametrize("target", ["", "%d.png"])
def test_a_folder_that_may_not_be_listed_is_named(target: str) -> None:
    with open_folder() as folder:
        (folder / "closed").mkdir(0)
        place = str(folder / "closed" / target)
        expected = f"^{re.escape(place)}: Permission denied$"
        with nobody(), pytest.raises(SourceError, match=expected):
            list_images(place)


def test_a_name_stays_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "a\nb"
    make_images(folder, frames=2)
    (folder / "1.png").write_bytes(b"no image")
    media = ImageMedia(str(folder), fps=5)
    assert media.name == f"'{tmp_path}/a\\nb'"
    next(media.pictures(Fraction(0)))
    assert caplog.messages == [f"'{tmp_path}/a\\nb/1.png': cannot be read and is left out"]


def test_hidden_files_of_other_systems_are_no_images(tmp_path: Path) -> None:
    make_images(tmp_path, frames=2)
    before = list_images(str(tmp_path))
    (tmp_path / f"._{before[0].name}").write_bytes(b"of a Mac")
    assert list_images(str(tmp_path)) == before


def test_what_is_no_file_matches_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "1.png").mkdir()
    os.mkfifo(tmp_path / "2.png")  # to open it would take for ever
    (tmp_path / "3.png").touch()
    assert list_images(str(tmp_path / "%d.png")) == [tmp_path / "3.png"]


def test_pictures_are_timed_by_the_rate(tmp_path: Path) -> None:
    make_images(tmp_path / "f", frames=5)
    media = ImageMedia(str(tmp_path / "f"), fps=5)
    pictures = list(media.pictures(Fraction("0.4")))
    assert [picture.pts for picture in pictures] == [2, 3, 4]
    assert pictures[0].time_base == Fraction(1, 5)
    assert (media.frames, media.rate, media.counts.corrupt) == (5, 5, 0)
    media.interrupt()
    media.close()


def test_a_broken_image_is_counted_and_passed(tmp_path: Path) -> None:
    make_images(tmp_path / "f", frames=3)
    (tmp_path / "f" / "2.png").write_text("no image")
    media = ImageMedia(str(tmp_path / "f"), fps=5)
    assert [picture.pts for picture in media.pictures(Fraction(0))] == [0, 2]
    assert media.counts.corrupt == 1


def test_an_empty_image_is_called_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_images(tmp_path, frames=3)
    (tmp_path / "2.png").write_bytes(b"")
    assert len(list(ImageMedia(str(tmp_path), fps=5).pictures(Fraction(0)))) == 2
    assert caplog.messages == [f"{tmp_path}/2.png: is empty and is left out"]
    with pytest.raises(SourceError, match=r"/2\.png: is empty$"):
        next(ImageMedia(str(tmp_path / "2.png"), fps=5).pictures(Fraction(0)))


@pytest.mark.parametrize("name", ["1.png", "2.png"])
def test_a_list_of_images_is_no_image(tmp_path: Path, name: str) -> None:
    make_images(tmp_path, frames=3)
    (tmp_path / "2.png").write_text(f"ffconcat version 1.0\nfile {name}\n")
    media = ImageMedia(str(tmp_path), fps=5)
    assert [picture.pts for picture in media.pictures(Fraction(0))] == [0, 2]
    assert media.counts.corrupt == 1


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "PPM", pytest.param("AVIF", marks=HAS_AVIF)])
def test_an_image_is_known_by_its_content(tmp_path: Path, kind: str) -> None:
    Image.effect_noise((320, 240), 99).save(tmp_path / "a.png", kind)
    (picture,) = ImageMedia(str(tmp_path), fps=5).pictures(Fraction(0))
    assert picture.frame.width > 200


@pytest.mark.parametrize("count", [1, MAX_FAILURES + 1])
def test_images_broken_to_the_end_are_an_error(tmp_path: Path, count: int) -> None:
    write_image(tmp_path / "0.png", draw(0, (8, 8)))
    for index in range(count):
        (tmp_path / f"{index + 1}.png").write_text("no image")
    media = ImageMedia(str(tmp_path), fps=5)
    pictures = media.pictures(Fraction(0))
    assert next(pictures).pts == 0
    with pytest.raises(SourceError, match="images in a row cannot be read"):
        next(pictures)
    assert media.counts.corrupt == min(count, MAX_FAILURES)


def test_what_is_left_out_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_images(tmp_path / "f", frames=5)
    (tmp_path / "f" / "3.png").write_text("no image")
    assert len(list(ImageMedia(str(tmp_path / "f"), 10).pictures(Fraction(0)))) == 4
    assert "3.png: cannot be read and is left out" in caplog.text


def test_names_with_colons_are_read_in_the_current_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "10:00:00.png", draw(0, (48, 64)))
    monkeypatch.chdir(tmp_path)
    assert len(list(ImageMedia(".", fps=5).pictures(Fraction(0)))) == 1


def test_a_name_that_counts_like_a_pattern_is_a_file_all_the_same(tmp_path: Path) -> None:
    for name, index in (("a%d.png", 3), ("a1.png", 9)):
        write_image(tmp_path / "new.png", draw(index, (48, 64)))
        (tmp_path / "new.png").rename(tmp_path / name)
    pictures = ImageMedia(str(tmp_path), fps=5).pictures(Fraction(0))
    images = [picture.frame.to_ndarray(format="rgb24") for picture in pictures]
    assert np.array_equal(images, [draw(9, (48, 64)), draw(3, (48, 64))])


def test_letters_like_digits_and_folders_like_images_are_no_trouble(tmp_path: Path) -> None:
    names = ["1\u00b23.png", "2.png", "\u24601.png"]
    for name in names:
        write_image(tmp_path / name, draw(0, (48, 64)))
    (tmp_path / "3.png").mkdir()
    assert [path.name for path in list_images(str(tmp_path))] == names


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp"])
def test_an_image_that_is_cut_off_is_left_out(tmp_path: Path, suffix: str) -> None:
    for index in range(3):
        write_image(tmp_path / f"{index}{suffix}", draw(index, (48, 64)))
    truncate(tmp_path / f"1{suffix}", 0.8)
    media = ImageMedia(str(tmp_path), fps=5)
    assert [picture.pts for picture in media.pictures(Fraction(0))] == [0, 2]
    assert media.counts.corrupt == 1


def test_a_start_between_two_images_begins_with_the_later(tmp_path: Path) -> None:
    make_images(tmp_path, frames=3)
    shown = [picture.pts for picture in ImageMedia(str(tmp_path), 10).pictures(Fraction(1, 20))]
    assert shown == [1, 2]


def test_what_the_process_lacks_is_no_damage_of_an_image(tmp_path: Path) -> None:
    make_images(tmp_path, frames=3)
    media = ImageMedia(str(tmp_path), fps=5)
    pictures = media.pictures(Fraction(0))
    next(pictures)
    expected = rf"^{tmp_path}/2\.png: {os.strerror(errno.EMFILE)}$"
    with descriptors_left(0), pytest.raises(UnforeseenError, match=expected):
        next(pictures)
    assert media.counts.corrupt == 0


def test_a_disk_that_fails_is_no_damage_of_an_image(tmp_path: Path) -> None:
    (tmp_path / "1.png").symlink_to("/proc/self/mem")  # of which no byte can be read
    media = ImageMedia(str(tmp_path), fps=5)
    with pytest.raises(UnforeseenError, match=rf"1\.png: {os.strerror(errno.EIO)}$"):
        next(media.pictures(Fraction(0)))
    assert media.counts.corrupt == 0


def test_no_memory_for_ffmpeg_is_no_damage_of_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starved(*_: object, **__: object) -> None:
        raise av.error.MemoryError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    make_images(tmp_path, frames=1)
    media = ImageMedia(str(tmp_path), fps=5)
    monkeypatch.setattr(av, "open", starved)
    with pytest.raises(UnforeseenError, match=rf"png: {os.strerror(errno.ENOMEM)}$"):
        next(media.pictures(Fraction(0)))
    assert media.counts.corrupt == 0


def test_one_image_that_cannot_be_read_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(SourceError, match=r"^\S*a\.png: cannot be read$"):
        next(ImageMedia(str(tmp_path / "a.png"), fps=5).pictures(Fraction(0)))
    assert caplog.messages == []


def test_an_animated_webp_is_refused_for_what_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "1.webp"
    Image.new("RGB", (64, 48)).save(path, **ANIMATED)
    with pytest.raises(SourceError, match=r"1\.webp: an animated WebP cannot be read by FFmpeg$"):
        next(ImageMedia(str(path), fps=5).pictures(Fraction(0)))
    write_image(tmp_path / "2.webp", draw(0, (48, 64)))
    media = ImageMedia(str(tmp_path), fps=5)
    assert [picture.pts for picture in media.pictures(Fraction(0))] == [1]
    assert caplog.messages == [f"{path}: an animated WebP cannot be read by FFmpeg and is left out"]


@pytest.mark.parametrize("name", ["2.tif", "2.png"])
def test_an_image_of_several_pictures_is_told_of_once(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / f"1{name[1:]}", draw(0, (48, 64)))
    Image.new("RGB", (64, 48)).save(tmp_path / name, **ANIMATED)
    media = ImageMedia(str(tmp_path), fps=5)
    for _ in range(2):
        pixels = [picture.frame.to_ndarray() for picture in media.pictures(Fraction(0))]
        assert len(pixels) == 2
        assert pixels[1][..., :3].max() == 0
    assert caplog.messages == [
        f"{tmp_path / name} holds several pictures; only the first of a file is read"
    ]


def test_a_link_to_nothing_among_a_patterns_images_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_images(tmp_path, frames=3)
    (tmp_path / "9.png").symlink_to(tmp_path / "nothing")
    for target in (tmp_path / "%d.png", tmp_path):
        media = ImageMedia(str(target), 1.0)
        assert media.frames == 4
        with pytest.raises(SourceError, match=r"1 images in a row cannot be read"):
            list(media.pictures(Fraction(0)))
        assert "9.png: cannot be read and is left out" in caplog.messages[-1]
