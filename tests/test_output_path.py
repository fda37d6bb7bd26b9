"""Whether outputs can be written, seen before the work begins."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

from streamer.errors import ConfigError, SinkError
from streamer.output_path import (
    check_apart,
    check_folder,
    check_writable,
    make_folder,
    open_alone,
    replacing,
    write_whole,
    writing,
)


def test_new_and_existing_files_pass_and_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "there.mp4").write_bytes(b"old")
    check_writable(str(tmp_path / "new.mp4"))
    check_writable(str(tmp_path / "there.mp4"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"there.mp4": b"old"}


def test_a_name_alone_means_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_writable("out.mp4")
    with pytest.raises(SinkError, match=r"gone/out\.mp4: the folder gone does not exist; make"):
        check_writable("gone/out.mp4")


def test_a_file_has_one_writer_and_a_device_any_number(tmp_path: Path) -> None:
    def write(path: str) -> IO[bytes]:
        return open(path, "wb", opener=open_alone)

    file = str(tmp_path / "out.jsonl")
    with write(file), pytest.raises(OSError, match="another run writes it"):
        write(file)
    with open(file, "ab", opener=open_alone) as kept:
        kept.write(b"kept")
        with pytest.raises(OSError, match="another run writes it"):
            write(file)
    assert Path(file).read_bytes() == b"kept"
    with write("/dev/null"), write("/dev/null") as second:
        assert second.write(b"gone") == 4


def test_a_file_that_got_another_name_meanwhile_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer finishes it between another one's opening and locking it."""
    (tmp_path / "a.part").write_text("whole")
    flock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        (tmp_path / "a.part").rename(tmp_path / "a")
        flock(descriptor, operation)

    monkeypatch.setattr("streamer.output_path.fcntl.flock", late)
    with pytest.raises(OSError, match="another run writes it"):
        open_alone(str(tmp_path / "a.part"), os.O_WRONLY)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "whole"}


def test_the_reason_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"out\.mp4: .*file is not a folder"):
        check_writable(str(tmp_path / "file" / "out.mp4"))
    with pytest.raises(SinkError, match="is a folder, expected a file"):
        check_writable(str(tmp_path))
    for name in ("new.json/", "new.json/."):
        with pytest.raises(SinkError, match=r"new\.json/\.?: is a folder, expected a file"):
            check_writable(f"{tmp_path}/{name}")
    with pytest.raises(SinkError, match="File name too long"):
        check_writable(str(tmp_path / ("x" * 300)))


def test_an_error_that_the_system_has_no_words_for_has_its_own() -> None:
    with pytest.raises(SinkError, match=r"^out: the drive is odd$"), writing("out"):
        raise OSError("the drive is odd")


def test_the_folder_that_counts_is_that_of_a_links_target(tmp_path: Path) -> None:
    link = tmp_path / "out.mp4"
    link.symlink_to(tmp_path / "there" / "out.mp4")
    with pytest.raises(SinkError, match=r"out\.mp4: the folder .*/there does not exist"):
        check_writable(str(link))
    (tmp_path / "there").mkdir()
    check_writable(str(link))


CHECK_AS_NOBODY = """
import os, sys
from streamer.errors import SinkError
from streamer.output_path import check_writable
if os.getuid() == 0:
    os.setuid(65534)
for path in sys.argv[1:]:
    try:
        check_writable(path)
    except SinkError as error:
        print(error)
"""


def test_without_permission() -> None:
    # The system's own files: writable for root alone, and tests may run as root.
    program = [sys.executable, "-c", CHECK_AS_NOBODY, "/etc/out.mp4", "/etc/hostname"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [
        "/etc/out.mp4: the folder /etc is not writable",
        "/etc/hostname: the folder /etc is not writable",
    ]


def test_a_file_that_is_read_only(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.touch(mode=0o444)
    if os.access(target, os.W_OK):
        pytest.skip("root may write anything")
    with pytest.raises(SinkError, match="the file is not writable"):
        check_writable(str(target))


def test_a_folder_may_be_there_or_be_made_later(tmp_path: Path) -> None:
    check_folder(str(tmp_path))
    check_folder(str(tmp_path / "a" / "b"))
    assert list(tmp_path.iterdir()) == []
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_why_a_folder_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "a" / "b"):
        with pytest.raises(SinkError, match=r"file is not a folder"):
            check_folder(str(path))
    with pytest.raises(SinkError, match=r"cannot make the folder .*file/a: Not a directory"):
        make_folder(tmp_path / "file" / "a")
    with pytest.raises(SinkError, match="is not a folder name"):
        check_folder("a\0b")
    with pytest.raises(SinkError, match="File name too long"):
        check_folder("x" * 300)


def test_a_file_written_whole_replaces_the_one_before_and_leaves_nothing_else(
    tmp_path: Path,
) -> None:
    for data in (b"one", b"two"):
        write_whole(tmp_path / "a.png", data)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.png": b"two"}


def test_a_file_that_cannot_be_written_whole_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(SinkError, match=r"a\.png: Is a directory"):
        write_whole(tmp_path / "a.png", b"data")
    with pytest.raises(SinkError, match="File name too long"):
        write_whole(tmp_path / ("x" * 300), b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_links_are_written_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    monkeypatch.chdir(tmp_path)
    Path("far/there.json").write_text("old")
    for name in ("there.json", "new.json"):
        link, target = Path("near") / name, Path("far") / name
        link.symlink_to(Path("..") / target)
        check_writable(str(link))
        write_whole(link, b"data")
        assert link.is_symlink()
        assert target.read_text() == "data"
    assert {path.name for path in Path("far").iterdir()} == {"there.json", "new.json"}
    Path("near/lost.json").symlink_to(tmp_path / "gone" / "lost.json")
    with pytest.raises(SinkError, match=r"^near/lost\.json: the folder /.*/gone does not exist"):
        check_writable("near/lost.json")


def test_two_outputs_in_one_place_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_apart(["a", "b/"], {"the source": "c", "the weights": None})
    with pytest.raises(ConfigError, match=r"\./x/\.\./c is also the source; allowed: a place of"):
        check_apart(["a", "./x/../c"], {"the source": "c"})
    with pytest.raises(ConfigError, match="b/ is also another output"):
        check_apart(["b", "b/"], {})


def test_what_breaks_off_leaves_the_file_before(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("before")
    with pytest.raises(KeyError), replacing(tmp_path / "a.json") as partial:
        partial.write_text("half")
        raise KeyError
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.json": "before"}


def test_a_file_that_another_one_writes_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with replacing(path) as partial, partial.open("w") as file:
        file.write("first")
        with pytest.raises(SinkError, match=r"a\.json: another run writes it"), replacing(path):
            pytest.fail("there are two writers")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.json": "first"}


@pytest.mark.parametrize("kind", ["link", "link to nothing", "FIFO", "FIFO that is read", "folder"])
def test_what_stands_in_the_place_of_a_part_is_not_opened(tmp_path: Path, kind: str) -> None:
    part, victim = tmp_path / "a.json.part", tmp_path / "victim"
    victim.write_text("precious")
    with ExitStack() as held:
        if kind.startswith("link"):
            part.symlink_to(victim if kind == "link" else tmp_path / "nothing")
        elif kind == "folder":
            part.mkdir()
        else:
            os.mkfifo(part)
            if kind != "FIFO":
                held.callback(os.close, os.open(part, os.O_RDONLY | os.O_NONBLOCK))
        message = r"^.*a\.json: .*a\.json\.part is not a regular file; move it away$"
        with pytest.raises(SinkError, match=message):
            write_whole(tmp_path / "a.json", b"data")
    assert {path.name for path in tmp_path.iterdir()} == {"victim", "a.json.part"}
    assert victim.read_text() == "precious"


def test_a_part_that_a_killed_run_left_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "a.json.part").write_text("half of a longer one")
    with replacing(tmp_path / "a.json") as partial:
        assert partial.read_text() == ""
        partial.write_text("whole")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.json": "whole"}
