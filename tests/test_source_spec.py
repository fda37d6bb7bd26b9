from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from streamer.errors import ConfigError, SourceError
from streamer.source_config import SourceConfig
from streamer.sources.container_opening import webcam_options
from streamer.sources.credentials import hide_credentials
from streamer.sources.source_spec import SourceSpec
from tests.clips import make_images
from tests.users import nobody, open_folder


@pytest.mark.parametrize(
    ("spec", "kind", "target", "live"),
    [
        ("-", "stdin", "-", False),
        ("0", "webcam", "/dev/video0", True),
        ("/dev/video1", "webcam", "/dev/video1", True),
        ("/dev/v4l/by-id/usb-cam-index0", "webcam", "/dev/v4l/by-id/usb-cam-index0", True),
        ("lavfi:testsrc2", "lavfi", "testsrc2", False),
        ("rtsp://cam/1", "url", "rtsp://cam/1", True),
        ("RTSPS://Cam/1", "url", "rtsps://Cam/1", True),
        ("rtmp://h/app", "url", "rtmp://h/app", True),
        ("udp://@:5000", "url", "udp://@:5000", True),
        ("tcp://h:1", "url", "tcp://h:1", True),
        ("http://h/a.mp4", "url", "http://h/a.mp4", False),
        ("http://h/a.m3u8?x=1", "url", "http://h/a.m3u8?x=1", None),
        ("list.M3U8", "file", "list.M3U8", None),
        ("a.mp4", "file", "a.mp4", False),
        ("file:///a.mp4", "file", "file:///a.mp4", False),
        ("FILE:///A.mp4", "file", "file:///A.mp4", False),
        ("frames/%04d.png", "images", "frames/%04d.png", False),
        ("missing.png", "file", "missing.png", False),
    ],
)
def test_what_is_named_tells_its_kind_and_whether_it_is_live(
    spec: str, kind: str, target: str, live: bool | None
) -> None:
    parsed = SourceSpec.parse(spec, SourceConfig())
    assert (parsed.kind, parsed.target, parsed.live) == (kind, target, live)


def test_the_user_knows_whether_a_url_is_live() -> None:
    config = SourceConfig(live=True)
    known = {"http://cam/video": True, "http://cam/list.m3u8": None, "a.mp4": False}
    assert {spec: SourceSpec.parse(spec, config).live for spec in known} == known


def test_a_folder_and_one_image_are_images(tmp_path: Path) -> None:
    make_images(tmp_path / "frames", frames=1)
    for spec in (tmp_path / "frames", tmp_path / "frames" / "1.png"):
        assert SourceSpec.parse(str(spec), SourceConfig()).kind == "images"


@pytest.mark.parametrize(
    ("format_name", "kind"), [("lavfi", "lavfi"), ("v4l2", "webcam"), ("hls", "file")]
)
def test_the_format_tells_the_kind(format_name: str, kind: str) -> None:
    assert SourceSpec.parse("thing", SourceConfig(format=format_name)).kind == kind


def test_a_webcam_is_asked_for_what_it_shall_give() -> None:
    config = SourceConfig(webcam_size="1280x720", webcam_fps=30, webcam_format="mjpeg")
    assert SourceSpec.parse("0", config).kind == "webcam"
    expected = {"video_size": "1280x720", "framerate": "30", "input_format": "mjpeg"}
    assert webcam_options(config) == expected
    assert webcam_options(SourceConfig()) == {}
    with pytest.raises(ConfigError, match=r"webcam_size is '1280x720'; allowed: nothing where"):
        SourceSpec.parse("a.mp4", config)


def test_images_alone_are_shown_at_a_rate(tmp_path: Path) -> None:
    config = SourceConfig(fps=5)
    make_images(tmp_path, frames=1)
    (tmp_path / "a.mp4").touch()
    for spec in (tmp_path, tmp_path / "1.png", tmp_path / "%d.png", tmp_path / "missing"):
        SourceSpec.parse(str(spec), config)  # what is missing may be a folder
    for spec in (str(tmp_path / "a.mp4"), f"file:{tmp_path}/a.mp4", "rtsp://cam/1", "0", "-"):
        with pytest.raises(ConfigError, match=r"^source\.fps is 5; allowed: nothing unless"):
            SourceSpec.parse(spec, config)
        SourceSpec.parse(spec, SourceConfig())


def test_an_animated_png_is_a_video(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 48))
    image.save(tmp_path / "a.png", save_all=True, append_images=[Image.new("RGB", (64, 48), "red")])
    assert SourceSpec.parse(str(tmp_path / "a.png"), SourceConfig()).kind == "file"


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR"]
)
def test_what_is_no_whole_png_is_not_animated(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert SourceSpec.parse(str(tmp_path / "a.png"), SourceConfig()).kind == "images"


def test_a_missing_file_is_missed_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.mp4: no such file"):
        SourceSpec.parse("gone.mp4", SourceConfig()).check_exists()
    with pytest.raises(SourceError, match=r"file:gone\.mp4: no such file"):
        SourceSpec.parse("file:gone.mp4", SourceConfig()).check_exists()
    with pytest.raises(SourceError, match=r"^'a\\nb\.mp4': no such file$"):
        SourceSpec.parse("a\nb.mp4", SourceConfig()).check_exists()
    (tmp_path / "here.mp4").write_text("something")
    for spec in (str(tmp_path / "here.mp4"), "rtsp://cam/1", "-", f"file:{tmp_path}/here.mp4"):
        SourceSpec.parse(spec, SourceConfig()).check_exists()


@pytest.mark.parametrize(
    ("spec", "is_hinted"),
    [
        ("192.168.1.5:554/stream", True),
        ("cam:8554", True),
        ("rtsp:/cam/stream", True),
        ("12:30.mkv", False),
        ("videos/a:1/b", False),
        ("file:/gone.mp4", False),
    ],
)
def test_what_may_be_meant_as_a_url_gets_a_hint(spec: str, is_hinted: bool) -> None:
    hint = "; a URL begins with its protocol, such as rtsp:// or http://" if is_hinted else ""
    with pytest.raises(SourceError) as caught:
        SourceSpec.parse(spec, SourceConfig()).check_exists()
    assert str(caught.value) == f"{spec}: no such file{hint}"


def test_a_webcam_is_missed_early_unless_it_is_waited_for() -> None:
    with pytest.raises(SourceError, match=r"^/dev/video97: no such device$"):
        SourceSpec.parse("97", SourceConfig()).check_exists()
    SourceSpec.parse("97", SourceConfig(wait=True)).check_exists()
    SourceSpec.parse("/dev/null", SourceConfig(format="v4l2")).check_exists()


def test_a_playlist_that_is_waited_for_may_come() -> None:
    with pytest.raises(SourceError, match=r"gone\.m3u8: no such file$"):
        SourceSpec.parse("gone.m3u8", SourceConfig()).check_exists()
    SourceSpec.parse("gone.m3u8", SourceConfig(wait=True)).check_exists()
    with pytest.raises(SourceError, match=r"gone\.mp4: no such file$"):  # a file is no live source
        SourceSpec.parse("gone.mp4", SourceConfig(wait=True)).check_exists()


def test_what_holds_nothing_is_refused_early(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.png", "folder"):
        (tmp_path / name).mkdir() if name == "folder" else (tmp_path / name).touch()
    for name, reason in (
        ("a.mp4", "is empty"),
        ("a.png", "is empty"),
        ("folder", r"a folder without images; known endings: \.bmp, .*"),
        ("%d.png", "no file matches this pattern"),
    ):
        with pytest.raises(SourceError, match=f"{name}: {reason}$"):
            SourceSpec.parse(str(tmp_path / name), SourceConfig()).check_exists()
    (tmp_path / "folder" / "1.png").touch()
    SourceSpec.parse(str(tmp_path / "folder"), SourceConfig()).check_exists()
    SourceSpec.parse(f"{tmp_path}/folder/%d.png", SourceConfig()).check_exists()
    # The kernel gives no size of its own.
    SourceSpec.parse("/proc/self/status", SourceConfig()).check_exists()


@pytest.mark.parametrize(
    "name", ["closed.mp4", "folder", "folder/1.png", "folder/%d.png", "folder/a.mp4"]
)
def test_what_may_not_be_read_is_missed_early_too(name: str) -> None:
    with open_folder() as place:
        (place / "closed.mp4").touch(0)
        (place / "folder").mkdir()
        (place / "folder" / "1.png").touch()
        (place / "folder").chmod(0o444)  # the names in it may be listed, and that is all
        expected = f"^{re.escape(str(place / name))}: Permission denied$"
        with nobody(), pytest.raises(SourceError, match=expected):
            SourceSpec.parse(str(place / name), SourceConfig()).check_exists()
        (place / "folder").chmod(0o755)


def test_a_name_that_is_too_long_is_missed_early_too() -> None:
    with pytest.raises(SourceError, match=r"x: File name too long$"):
        SourceSpec.parse("x" * 300, SourceConfig()).check_exists()


def test_a_name_stays_in_one_line_of_a_log() -> None:
    assert SourceSpec.parse("a\nINFO: b.mp4", SourceConfig()).name == r"'a\nINFO: b.mp4'"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://me:secret@cam:554/1", "rtsp://cam:554/1"),
        ("rtsp://me:se@cret@cam/1", "rtsp://cam/1"),
        ("http://me@cam/a", "http://cam/a"),
        ("http://cam/a?user=me&pwd=x&channel=2", "http://cam/a?user=***&pwd=***&channel=2"),
        ("http://cam/a?access_token=x#part", "http://cam/a?access_token=***#part"),
        ("http://cam/@home", "http://cam/@home"),
        ("rtsp://cam:554/a@b", "rtsp://***@b"),
        ("rtsp://me:se/cr?et#@cam/1", "rtsp://***@cam/1"),
        ("http://cam:80/v?pwd=a@b&n=1", "http://cam:80/v?pwd=***&n=1"),
        (
            "rtsp://cam/user=me_password=x_y_channel=1_stream=0.sdp",
            "rtsp://cam/user=***_password=***_channel=1_stream=0.sdp",
        ),
        ("rtsp://cam/user=me&password=x&channel=1", "rtsp://cam/user=***&password=***&channel=1"),
        ("plain@file.mp4", "plain@file.mp4"),
    ],
)
def test_credentials_are_hidden(url: str, shown: str) -> None:
    assert hide_credentials(url) == shown


def test_credentials_of_a_file_are_checked_and_not_kept(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("me:hunter2")
    config = SourceConfig(credentials=str(secret))
    assert SourceSpec.parse("rtsp://cam/1", config).target == "rtsp://cam/1"
    secret.write_text("me")
    with pytest.raises(SourceError, match="expected one line, user:password"):
        SourceSpec.parse("rtsp://cam/1", config)


def test_no_secret_in_name_or_repr() -> None:
    spec = SourceSpec.parse("rtsp://me:secret@cam/1?token=abc", SourceConfig())
    assert spec.target == "rtsp://me:secret@cam/1?token=abc"
    assert "secret" not in repr(spec) + spec.name
    assert "abc" not in repr(spec) + spec.name
