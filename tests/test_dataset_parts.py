"""`streamer.dataset.parts`: what an interrupted job leaves, and who may go on with it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any, TextIO

import pytest

from streamer.dataset.lock import only_job
from streamer.dataset.parts import PartsFolder
from streamer.errors import ConfigError, SinkError, SourceError
from tests.file_limit import files_of_at_most

SETTINGS = {"short_side": 300, "categories": ["background", "person"], "time of weights": None}


def entry(video_id: int, score: float = 0.5) -> dict[str, Any]:
    return {"video_id": video_id, "score": score, "category_id": 1, "segmentations": [None]}


def open_parts(tmp_path: Path, restart: bool = False, **settings: object) -> PartsFolder:
    return PartsFolder(str(tmp_path / "r.json"), SETTINGS | settings, restart=restart)


def test_the_results_file_is_in_the_order_asked_for_and_replaces_an_old_one(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("old")
    parts = open_parts(tmp_path)
    for video_id, count in ((8, 2), (-5, 0), (3, 1)):
        parts.write(video_id, [entry(video_id, n / 4) for n in range(count)])
    assert (tmp_path / "r.json").read_text() == "old"
    assert parts.collect([3, -5, 8]) == 3
    assert json.loads((tmp_path / "r.json").read_text()) == [
        entry(3, 0),
        entry(8, 0),
        entry(8, 0.25),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_nothing_found_is_an_empty_list(tmp_path: Path) -> None:
    parts = open_parts(tmp_path)
    parts.write(1, [])
    assert parts.collect([1]) == 0
    assert json.loads((tmp_path / "r.json").read_text()) == []


def test_the_same_settings_go_on(tmp_path: Path) -> None:
    open_parts(tmp_path).write(8, [entry(8)])
    parts = open_parts(tmp_path)
    assert parts.finished(8)
    assert not parts.finished(9)
    assert parts.collect([8]) == 1


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    open_parts(tmp_path).write(8, [entry(8)])
    message = r"short_side is 360, but 300 .*r\.json\.parts; allowed: the same, or --restart$"
    with pytest.raises(ConfigError, match=message):
        open_parts(tmp_path, short_side=360)
    assert open_parts(tmp_path).finished(8)
    assert not open_parts(tmp_path, restart=True, short_side=360).finished(8)


@pytest.mark.parametrize(
    ("name", "before", "now", "message"),
    [
        (
            "weights",
            "/a" * 60 + "/old.pth",
            "/a" * 60 + "/new.pth",
            r"new\.pth', but .*old\.pth' for",
        ),
        ("categories", ["background", "dog"], [], r"categories\[0\] is None, but 'background' for"),
        ("categories", ["", "x"], ["", "x", "y"], r"categories\[2\] is 'y', but None for"),
    ],
)
def test_what_differs_is_shown(
    tmp_path: Path, name: str, before: object, now: object, message: str
) -> None:
    open_parts(tmp_path, **{name: before}).write(8, [entry(8)])
    with pytest.raises(ConfigError, match=message):
        open_parts(tmp_path, **{name: now})


def test_other_settings_do_not_matter_while_nothing_is_finished(tmp_path: Path) -> None:
    open_parts(tmp_path)
    open_parts(tmp_path, short_side=360).write(8, [])
    assert open_parts(tmp_path, short_side=360).finished(8)


@pytest.mark.parametrize("restart", [False, True])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, restart: bool) -> None:
    precious = tmp_path / "r.json.parts" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("")
    with pytest.raises(SinkError, match="is none of this job's folders"):
        open_parts(tmp_path, restart)
    assert precious.exists()


def test_a_kill_while_the_record_is_first_written_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "r.json.parts").mkdir()
    (tmp_path / "r.json.parts" / "run.json.part").write_text('{"short')
    parts = open_parts(tmp_path)
    assert [path.name for path in parts.folder.iterdir()] == ["run.json"]


def test_an_image_that_was_rewritten_at_the_same_size_is_another(tmp_path: Path) -> None:
    image = tmp_path / "a.jpg"
    image.write_bytes(b"before")
    os.utime(image, ns=(0, 1_000_000_000))
    parts = open_parts(tmp_path)
    parts.note_images(8, [image])
    parts.write(8, [entry(8)])
    assert not parts.forget_changed(8, [image])
    image.write_bytes(b"behind")
    os.utime(image, ns=(0, 1_000_000_001))
    assert parts.forget_changed(8, [image])
    assert not parts.finished(8)


def test_a_folder_that_cannot_be_removed_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = open_parts(tmp_path)
    parts.write(8, [entry(8)])
    (parts.folder / "of somebody").mkdir()
    assert parts.collect([8]) == 1
    assert json.loads((tmp_path / "r.json").read_text()) == [entry(8)]
    [message] = caplog.messages
    assert message.endswith(
        f"{parts.folder}/of somebody: is none of this job's files; move it away"
    )


OTHERS = json.dumps([entry(8), entry(9)])


UNFIT: list[dict[str, Any]] = [
    {"score": float("nan")},
    {"score": float("inf")},
    {"score": 10**400},
    {"score": True},
    {"category_id": 1.0},
    {"segmentations": "none"},
]


@pytest.mark.parametrize(
    "damaged",
    [
        *("", "[{", "5", "[1, null]", '[{"score": 1}]', OTHERS, '[{"video_id": 8}]'),
        json.dumps([entry(8)]).replace("0.5", "1e400"),
        *(json.dumps([entry(8) | fields]) for fields in UNFIT),
    ],
)
def test_damaged_results_are_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damaged: str
) -> None:
    before = open_parts(tmp_path)
    for video_id in (3, 8):
        before.write(video_id, [entry(video_id)])
    before.path(8).write_text(damaged)
    parts = open_parts(tmp_path)
    assert (parts.finished(3), parts.finished(8)) == (True, False)
    [message] = caplog.messages
    assert message.startswith(f"{before.path(8)}: ")
    assert message.endswith("; its video is segmented again")


def test_restart_removes_nothing_where_a_stranger_lies(tmp_path: Path) -> None:
    parts = open_parts(tmp_path)
    parts.write(8, [entry(8)])
    for stranger in (parts.folder / "7.json", parts.folder / "notes.txt"):
        stranger.mkdir()
        with pytest.raises(SinkError, match=f"^{stranger}: is none of this job's files; move it"):
            open_parts(tmp_path, restart=True)
        assert open_parts(tmp_path).finished(8)
        stranger.rmdir()
    (parts.folder / "notes.txt").write_text("mine")
    with pytest.raises(SinkError, match=r"notes\.txt: is none of this job's files"):
        open_parts(tmp_path, restart=True)


def test_restart_removes_what_a_kill_may_leave(tmp_path: Path) -> None:
    parts = open_parts(tmp_path)
    parts.note_images(8, [])
    for name in ("8.json", "8.json.part", "-8.jsonl", "8.images.part", "run.json.part"):
        (parts.folder / name).write_text("")
    open_parts(tmp_path, restart=True)
    assert [path.name for path in parts.folder.iterdir()] == ["run.json"]


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "r.json.parts").write_text("")
    with pytest.raises(SinkError, match=r"r\.json\.parts: Not a directory"):
        open_parts(tmp_path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    parts = open_parts(tmp_path)
    parts.write(8, [entry(8)])
    (parts.folder / "8.json").write_text("[{")
    with pytest.raises(SourceError, match=r"8\.json: is not JSON: .*; remove it, or use --restart"):
        parts.collect([8])
    assert not (tmp_path / "r.json").exists()
    assert not (tmp_path / "r.json.part").exists()
    (parts.folder / "run.json").write_text("")
    for text, reason in (("", "is not JSON: .*"), ("5", "is no record of a job")):
        (parts.folder / "run.json").write_text(text)
        with pytest.raises(SourceError, match=rf"run\.json: {reason}; use --restart$"):
            open_parts(tmp_path)


def test_a_file_of_somebody_else_in_the_locks_place_stays(tmp_path: Path) -> None:
    (tmp_path / "r.lock").write_text("mine")
    with (
        pytest.raises(SinkError, match=r"r\.lock: is no lock of this job"),
        only_job(str(tmp_path / "r")),
    ):
        pass
    assert (tmp_path / "r.lock").read_text() == "mine"


def test_what_fails_inside_is_not_called_the_locks(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="of a log"), only_job(str(tmp_path / "r")):
        raise OSError("of a log")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing_torn(tmp_path: Path) -> None:
    parts = open_parts(tmp_path)
    with files_of_at_most(10), pytest.raises(SinkError, match=r"8\.json: File too large"):
        parts.write(8, [entry(8)])
    assert not parts.finished(8)
    assert [path.name for path in parts.folder.iterdir()] == ["run.json"]


def test_a_lock_that_was_removed_meanwhile_keeps_nobody_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another job, which is ending, removes its lock between this one's opening and locking it."""
    lock = tmp_path / "r.json.lock"
    flock = fcntl.flock
    asked = []

    def late(file: TextIO, operation: int) -> None:
        if not asked:
            lock.unlink()
        asked.append(file)
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with only_job(str(tmp_path / "r.json")):
        assert lock.exists()  # the one that others would find
        with (
            pytest.raises(SinkError, match="another job is at work on it"),
            only_job(str(tmp_path / "r.json")),
        ):
            pass


def test_a_file_system_without_locks_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_here(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", none_here)
    with only_job(str(tmp_path / "r.json")):
        pass
    [message] = caplog.messages
    assert message.startswith(f"{tmp_path}/r.json.lock: cannot be locked: Function not implemented")


def test_two_jobs_at_once_are_refused(tmp_path: Path) -> None:
    save_path = str(tmp_path / "r.json")
    with only_job(save_path):
        other = only_job(save_path)
        with pytest.raises(SinkError, match=r"r\.json: another job is at work on it"):
            other.__enter__()
        assert (tmp_path / "r.json.lock").exists()
    with only_job(save_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "FIFO"])
def test_what_stands_in_the_place_of_a_lock_is_not_opened(tmp_path: Path, kind: str) -> None:
    lock = tmp_path / "r.json.lock"
    if kind == "link":
        lock.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(lock)
    with (
        pytest.raises(SinkError, match=r"r\.json\.lock is not a regular file; move it away$"),
        only_job(str(tmp_path / "r.json")),
    ):
        pass
    assert list(tmp_path.iterdir()) == [lock]
