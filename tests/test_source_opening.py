"""`streamer.sources.source_opening`: every kind of input, and what goes wrong with it."""

from __future__ import annotations

import logging
import os
import socket
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

import numpy as np
import pytest
import trustme

from streamer.errors import ConfigError, SourceError, StreamError
from streamer.image_encoding import encode_jpeg
from streamer.source_config import SourceConfig
from streamer.sources.selection import Selection
from streamer.sources.source_opening import open_source
from tests.camera import transport_stream
from tests.clips import draw, frames_of, make_clip, make_images
from tests.descriptors import descriptors_left, open_descriptors
from tests.sources import opened, read, read_broken
from tests.tls_front import TlsFront
from tests.waits import PATIENCE_S, until
from tests.web import FileHandler, files_of, serving


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    make_clip(tmp_path / "a.mp4", frames=30, gop=10)
    return tmp_path / "a.mp4"


def test_a_filter_graph_is_read_at_its_rate() -> None:
    frames = read("lavfi:testsrc2=size=64x48:rate=5", Selection(max_frames=3))
    assert [frame.time_s for frame in frames] == [0, 0.2, 0.4]
    assert len(read("testsrc2=size=32x32:rate=5:duration=1", format="lavfi")) == 5


def test_a_folder_and_a_pattern_give_exact_pixels_at_the_rate(tmp_path: Path) -> None:
    drawn = make_images(tmp_path / "f", frames=11)
    for spec in (tmp_path / "f", tmp_path / "f" / "%d.png"):
        frames = read(spec, fps=4)
        assert all(
            np.array_equal(frame.image, image) for frame, image in zip(frames, drawn, strict=True)
        )
        assert frames[-1].time_s == 2.5


def test_images_may_be_named_by_a_file_url_too(tmp_path: Path) -> None:
    drawn = make_images(tmp_path / "f", frames=2)
    for spec, count in (("f", 2), ("f/%d.png", 2), ("f/1.png", 1)):
        frames = read(f"file:{tmp_path}/{spec}", fps=5)
        assert np.array_equal([frame.image for frame in frames], drawn[:count])


def test_a_file_name_with_colons_is_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip("file:12:30.mkv", frames=3)
    assert len(read("12:30.mkv")) == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.mp4", None, "missing.mp4: no such file"),
        ("text.mp4", b"just text, no video at all", "text.mp4: not a video"),
        ("text.txt", b"a list of names\n" * 50, r"text\.txt: not a video that can be read"),
        ("empty.mp4", b"", "empty.mp4: "),
        ("0", None, "/dev/video0: "),
        ("RTPS://127.0.0.1:1/x", None, r"/x: FFmpeg knows no protocol rtps$"),
        ("RTSP://127.0.0.1:1/x", None, r"/x: Connection refused$"),
    ],
)
def test_what_cannot_be_opened_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: bytes | None,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        opened(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["-", "rtsp://127.0.0.1:1/x"])
def test_what_cannot_be_looped(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"source\.loop is True; allowed: False"):
        opened(spec, loop=True)


def test_a_source_without_a_frame_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no frame that can be decoded"):
        opened("lavfi:testsrc2=duration=0")


def test_an_unknown_format_and_a_bad_graph_are_errors(clip: Path) -> None:
    with pytest.raises(SourceError, match="no container format 'nosuch'"):
        opened(clip, format="nosuch")
    with pytest.raises(SourceError, match="lavfi:nonsense: Filter not found"):
        opened("lavfi:nonsense")


def test_text_is_a_video_only_where_the_format_says_so(tmp_path: Path) -> None:
    (tmp_path / "art.txt").write_text("+----+\n" * 50)
    assert read(tmp_path / "art.txt", Selection(max_frames=1), format="tty")


def test_a_list_of_files_is_read_only_where_the_format_says_so(clip: Path) -> None:
    listed = clip.with_name("list.mp4")
    listed.write_text(f"ffconcat version 1.0\nfile {clip.name}\nfile {clip.name}\n")
    with pytest.raises(
        SourceError, match=r"list\.mp4: .*a list of files needs source\.format concat\)$"
    ):
        opened(listed)
    assert len(read(listed, format="concat")) == 60


@pytest.mark.parametrize("config", [{}, {"format": "concat"}])
def test_a_list_that_names_itself_is_an_error(tmp_path: Path, config: dict[str, str]) -> None:
    (tmp_path / "a.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")
    reason = "Too many open files" if config else "cannot be opened as a video"
    with descriptors_left(20), pytest.raises(SourceError, match=f"a.mp4: {reason}"):
        opened(tmp_path / "a.mp4", **config)


def test_what_is_opened_is_said_before_it_may_hang(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "streamer")
    with pytest.raises(SourceError, match="refused"):
        opened("http://me:hunter2@127.0.0.1:1/x?token=hunter2")
    assert caplog.messages == ["opening http://127.0.0.1:1/x?token=***"]


@pytest.mark.parametrize("scheme", ["http", "rtmp", "rtsp", "tcp"])
def test_credentials_never_show(scheme: str) -> None:
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:1/x: Connection refused") as caught:
        opened(f"{scheme}://me:hunter2@127.0.0.1:1/x")
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in repr(error) + str(error)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("scheme", ["http", "rtmp", "rtsp", "tcp"])
def test_a_server_that_never_answers(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"{scheme}://127.0.0.1:{server.getsockname()[1]}/x.ts"
        with pytest.raises(SourceError, match="no answer in time"):
            opened(url, read_timeout_s=0.2, open_timeout_s=5)


@pytest.mark.parametrize("scheme", ["http", "https", "rtsp", "rtmp", "tcp"])
def test_a_host_that_nobody_knows_is_named(scheme: str) -> None:
    with suppress(socket.gaierror):
        socket.getaddrinfo("nowhere.invalid", None)
        pytest.skip("the name server here answers for names that there are not")
    with pytest.raises(SourceError, match=r"/x: no host nowhere\.invalid is known"):
        opened(f"{scheme}://nowhere.invalid:1/x", open_timeout_s=PATIENCE_S)


def test_a_source_that_does_not_open_in_time_is_an_error() -> None:
    with pytest.raises(SourceError, match="no answer in time"):
        opened("udp://127.0.0.1:0", open_timeout_s=0.2, read_timeout_s=60)


def test_a_file_over_http_is_not_live_and_a_missing_one_is_an_error(
    http_url: str, clip: Path
) -> None:
    source = opened(f"{http_url}/{clip.name}")
    assert (source.live, source.expected_frames) == (False, 30)
    assert len(list(source)) == 30
    source.close()
    with pytest.raises(SourceError, match="nothere"):
        opened(f"{http_url}/nothere.mp4")


def test_a_stop_does_not_wait_for_a_web_server_that_stalls(tmp_path: Path) -> None:
    whole = transport_stream(tmp_path, frames=200)
    (tmp_path / "half.ts").write_bytes(whole[: len(whole) // 2])
    there = len(frames_of(tmp_path / "half.ts"))
    released = Event()

    class Stalling(FileHandler):
        def do_GET(self) -> None:  # noqa: N802 - its base class's name
            self.send_response(200)
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole[: len(whole) // 2])
            released.wait(PATIENCE_S)

    with serving(files_of(tmp_path, Stalling)) as url:
        source = opened(f"{url}/a.ts", read_timeout_s=10 * PATIENCE_S)
        frames: list[object] = []

        def consume() -> None:
            for frame in source:
                frames.append(frame)
            source.close()

        def stands_still() -> bool:
            """Whether it has come to the stall; the last frames before that wait in the decoder."""
            before = len(frames)
            time.sleep(0.2)
            return there - 5 <= before == len(frames)

        thread = Thread(target=consume, daemon=True)
        thread.start()
        try:
            until(stands_still)
            source.interrupt()
            thread.join(PATIENCE_S / 2)
            assert not thread.is_alive()
        finally:
            released.set()


def test_a_web_server_that_hangs_up_is_told_from_one_that_has_no_video(tmp_path: Path) -> None:
    whole = transport_stream(tmp_path, frames=200)

    class HangingUp(FileHandler):
        def do_GET(self) -> None:  # noqa: N802 - its base class's name
            self.send_response(200)
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole[: len(whole) // 2])

    with serving(files_of(tmp_path, HangingUp)) as url:
        frames, message = read_broken(opened(f"{url}/a.ts"))
    assert len(frames) > 50
    assert f"/a.ts: the connection broke off, or no answer in time after {len(frames)} " in message


class Page(BaseHTTPRequestHandler):
    """A camera's page to log in, be it that its length is told."""

    def do_GET(self) -> None:
        page = b"<html>Who are you?</html>" * 100
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        if self.path == "/told":
            self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("scheme", "path", "reason"),
    [
        ("http", "told", r"not a video \(a web page\?\)"),
        ("http", "untold", r"not a video \(a web page\?\), or the connection broke off"),
        ("https", "told", "no TLS is spoken there, or the connection broke off"),
    ],
)
def test_a_web_server_without_a_video_is_told_from_one_that_does_not_answer(
    scheme: str, path: str, reason: str
) -> None:
    with serving(Page) as url, pytest.raises(SourceError, match=f"/{path}: {reason}$"):
        opened(f"{scheme}{url.removeprefix('http')}/{path}")


def test_a_camera_that_sends_nonsense_is_told_from_one_that_hangs_up() -> None:
    jpeg = encode_jpeg(draw(0, (48, 64)), 90)

    class Nonsense(BaseHTTPRequestHandler):
        """Motion JPEG whose lengths are wrong, as some cameras' are."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
            self.end_headers()
            for wrong in (0, 0, 0, -20, 0, 0):
                head = f"--part\r\nContent-Length: {len(jpeg) + wrong}\r\n"
                self.wfile.write(
                    f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + jpeg + b"\r\n"
                )

        def log_message(self, *_: object) -> None:
            pass

    with serving(Nonsense) as url:
        _, message = read_broken(opened(f"{url}/video", live=True, max_reconnects=0))
    assert "/video: something came that is not video after " in message


def test_certificates_are_checked_where_an_authority_is_given(
    http_url: str, clip: Path, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "stranger.pem")
    with TlsFront(urlsplit(http_url).port or 0, authority) as front:
        url = f"https://127.0.0.1:{front.port}/{clip.name}"
        assert len(read(url)) == len(read(url, tls_ca=str(tmp_path / "ca.pem"))) == 30
        with pytest.raises(SourceError, match="no certificate to be trusted"):
            opened(url, tls_ca=str(tmp_path / "stranger.pem"))
        (tmp_path / "page.mp4").write_text("<html>no video</html>")
        with pytest.raises(SourceError, match=r"page\.mp4: not a video \(a web page\?\)$"):
            opened(url.replace(clip.name, "page.mp4"), tls_ca=str(tmp_path / "ca.pem"))
    for without in (f"{http_url}/{clip.name}", clip):
        with pytest.raises(ConfigError, match=r"tls_ca is '.*ca.pem'; allowed: .* rtsps or https"):
            opened(without, tls_ca=str(tmp_path / "ca.pem"))


def test_a_finished_playlist_is_not_live(http_url: str, tmp_path: Path) -> None:
    make_clip(
        tmp_path / "list.m3u8",
        frames=20,
        format="hls",
        container_options={"hls_time": "1", "hls_list_size": "0"},
    )
    for spec in (tmp_path / "list.m3u8", f"{http_url}/list.m3u8"):
        source = opened(spec)
        assert not source.live
        assert len(list(source)) == 20
        source.close()


def test_a_playlist_without_an_end_is_live(tmp_path: Path) -> None:
    playlist = tmp_path / "list.m3u8"
    make_clip(playlist, frames=200, format="hls", container_options={"hls_list_size": "0"})
    playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST", ""))
    source = opened(playlist, read_timeout_s=2, max_reconnects=0)
    assert source.live
    assert source.expected_frames is None
    _, message = read_broken(source)
    assert "the live source ended" in message  # it never grows


def test_a_live_source_that_ends_is_lost(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.ts", frames=30)

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall((tmp_path / "a.ts").read_bytes())

    for live in ("auto", False):
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = Thread(target=serve, args=(server,))
            thread.start()
            url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
            source = opened(url, live=live, max_reconnects=0)
            assert source.live is (live == "auto")
            if source.live:
                (*frames, lost), message = read_broken(source)
                assert "the live source ended after 30 frames" in message
                assert lost is None
                assert frames[0] is not None
                assert frames[0].capture_clock == "arrival"
            else:
                frames = list(source)
                source.close()
            assert len(frames) == 30
            thread.join(PATIENCE_S)


def test_no_descriptor_is_left_behind(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    read(clip, Selection(max_frames=2))
    before = open_descriptors()
    for _ in range(20):
        read(clip, Selection(start_s=1, max_frames=2))
        for spec in (tmp_path / "bad.mp4", "-"):
            with open(os.devnull) as empty, pytest.raises(StreamError):  # noqa: PTH123
                open_source(str(spec), SourceConfig(), Selection(), 32, stdin_fd=empty.fileno())
    assert open_descriptors() == before


def test_a_source_may_be_closed_twice_and_says_what_it_is(clip: Path) -> None:
    source = opened(clip)
    assert repr(source) == f"Source({str(clip)!r}, live=False)"
    source.close()
    source.close()
    assert list(opened(clip, Selection(max_frames=1)))
