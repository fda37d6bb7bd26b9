"""Users and passwords of sources: from a file, over a real connection, and never shown."""

from __future__ import annotations

import logging
from base64 import b64encode
from pathlib import Path

import pytest

from streamer import cli
from streamer.errors import ConfigError, SourceError
from streamer.sources.credentials import shows_password, with_credentials
from tests.clips import make_clip
from tests.sources import opened, read
from tests.web import FileHandler, files_of, serving

USER, PASSWORD = "mé", "p@ss/w:rd #1%"


class LockedHandler(FileHandler):
    """Serves files to one user only."""

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        if self.is_admitted():
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        self.end_headers()

    def is_admitted(self) -> bool:
        return self.is_from(f"{USER}:{PASSWORD}")

    def is_from(self, user: str) -> bool:
        expected = "Basic " + b64encode(user.encode()).decode()
        return self.headers.get("Authorization") == expected


def test_a_server_is_given_what_the_file_holds(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.ts", frames=5)
    secret = tmp_path / "secret"
    secret.write_text(f"{USER}:{PASSWORD}\n", encoding="utf-8")
    with serving(files_of(tmp_path, LockedHandler)) as address:
        assert len(read(f"{address}/a.ts", credentials=str(secret))) == 5
        secret.write_text("me:hunter2")
        with pytest.raises(SourceError, match="401") as caught:
            opened(f"{address}/a.ts", credentials=str(secret))
    assert "hunter2" not in str(caught.value)


def test_the_file_is_read_at_each_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who changes a camera's password writes it there, and need not start anew."""
    make_clip(tmp_path / "a.ts", frames=5)
    secret = tmp_path / "secret"
    known = ["me:first"]

    class Changing(LockedHandler):
        def is_admitted(self) -> bool:
            return self.is_from(known[-1])

    secret.write_text("me:first")
    with serving(files_of(tmp_path, Changing)) as address:
        source = opened(
            f"{address}/a.ts", credentials=str(secret), live=True, reconnect_delay_s=0.01
        )
        frames = iter(source)
        assert [next(frames) is None for _ in range(6)] == [False] * 5 + [True]
        known.append("me:second")
        assert next(frames) is None
        secret.unlink()
        assert next(frames) is None
        secret.write_text("me:second")
        assert [next(frames) is None for _ in range(5)] == [False] * 5
        source.interrupt()
        source.close()
    _, refused, gone, _ = caplog.messages
    assert "a.ts: 401, wrong user or password (source.credentials) after 5 frames" in refused
    assert f"source.credentials: {secret}: cannot be read: " in gone
    assert not any(word in caplog.text for word in ("first", "second"))


@pytest.mark.parametrize("url", ["rtsp://me@cam/1", "rtsp://me:secret@cam/1", "clip.mp4", "0"])
def test_only_a_url_without_a_user_takes_credentials(url: str) -> None:
    allowed = "; allowed: only with a URL that names no user itself$"
    with pytest.raises(ConfigError, match=f"^source.credentials is given.*{allowed}") as caught:
        with_credentials(url, "unread")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"me", b":password", b"me:a\nyou:b\n", b"\xff:a"])
def test_other_files_are_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"secret: (expected one line|cannot be read)") as caught:
        with_credentials("rtsp://cam/1", str(path))
    assert "you" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone: cannot be read: .*No such file"):
        with_credentials("rtsp://cam/1", str(tmp_path / "gone"))


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("rtsp://me:secret@cam/1", True),
        ("--input=rtsp://me:se@cret@cam", True),
        ("rtsp://me@cam:554/1", False),
        ("rtsp://cam:554/a@b", False),
        ("clip:1@2.mp4", False),
        ("http://cam/v?password=x", True),
        ("rtsp://cam/user=me_Password=x_channel=1", True),
        ("rtsp://cam/user=me_password=_channel=1", False),
        ("passport=1.mp4", False),
    ],
)
def test_passwords_in_arguments_are_seen(argument: str, shown: bool) -> None:
    assert shows_password(argument) is shown


def test_a_password_in_the_arguments_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "streamer")
    assert cli.main(["http://me:hunter2@127.0.0.1:1/a.ts", "--weights", "gone.pth"]) == 1
    warning, no_output = caplog.messages
    assert "no output" in no_output
    assert "--source.credentials FILE" in warning
    assert "hunter2" not in warning


@pytest.mark.parametrize(
    "arguments",
    [
        ["clip.mp4", "rtsp://me:hunter2@127.0.0.1:1/y"],
        ["--input", "rtsp://me:hunter2@127.0.0.1:1/y"],
        ["--source", "rtsp://me:hunter2@127.0.0.1:1/y"],
        ["--source.live", "rtsp://me:hunter2@127.0.0.1:1/y"],
        ["clip.mp4", "--publish", "tcp://me:hunter2@127.0.0.1:1"],
        ["clip.mp4", "--output", "http://127.0.0.1:1/y?password=hunter2"],
        ["--config", "config.yaml"],
        ["--config", "misplaced.yaml"],
    ],
)
def test_a_password_in_the_wrong_place_is_not_repeated(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip("clip.mp4", frames=4)
    Path("config.yaml").write_text("input: [rtsp://me:hunter2@127.0.0.1:1/y]\n")
    Path("misplaced.yaml").write_text("source: rtsp://me:hunter2@127.0.0.1:1/y\n")
    assert cli.main(arguments) in {1, 2}
    err = capsys.readouterr().err
    assert "hunter2" not in err
    assert "error: " in err
