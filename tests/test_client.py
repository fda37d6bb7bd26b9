from __future__ import annotations

import signal
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamer.client.command import describe, main
from streamer.client.label_map_folder import LabelMapFolder
from streamer.client.received import ReceivedFrame
from streamer.errors import SinkError
from streamer.output import EndOfStream
from streamer.sink_config import ZmqConfig
from tests.messages import OTHER_RUN, received, writer
from tests.processes import started
from tests.publisher import Publisher
from tests.results import CATEGORIES, RUN, box_mask, frame_result

SIZE = (12, 16)
ONE = ZmqConfig(wait_subscribers=1)
COMMAND = (sys.executable, "-m", "streamer.client")


def frame(
    index: int = 0, masks: dict[int, np.ndarray] | None = None, run: str = RUN, lost: int = 0
) -> ReceivedFrame:
    """As it comes 1.5 ms after it was published, where some before it may be lost."""
    result = frame_result(index, SIZE, masks, dropped=lost, interpolated=lost > 0)
    return received(result, writer(run=run), lost=lost, after_ns=1_500_000)


def test_a_line_says_what_is_in_a_frame() -> None:
    both = {3: box_mask(SIZE, 0, 0, 2, 2), 12: box_mask(SIZE, 5, 5, 2, 2)}
    assert describe(frame(4, both)) == ("frame 4  0.400 s  #3 person 0.90, #12 person 0.90  1.5 ms")
    assert describe(frame(5, {}, lost=2)) == (
        "frame 5  0.500 s  -  1.5 ms  interpolated  dropped 2  lost 2"
    )


def test_a_name_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.results.CATEGORIES", (*CATEGORIES[:1], "\x1b[2Jperson"))
    assert "#1 ?[2Jperson 0.90" in describe(frame())


def test_the_client_prints_saves_and_sums_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = {3: box_mask(SIZE, 1, 2, 5, 6), 8: box_mask(SIZE, 4, 4, 8, 12)}
    with Publisher(ONE, stream="cam1") as publisher:
        publisher.inform()
        publisher.put([frame_result(index, SIZE, masks) for index in range(2)])
        publisher.put([frame_result(2, SIZE, {})])
        arguments = [publisher.endpoint, "--stream", "cam1", "--save", str(tmp_path / "a/b")]
        assert main([*arguments, "--timeout_s", "60", "--count", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[:3]] == ["0", "1", "2"]
    assert lines[3] == "3 frames, 0 messages lost, 0 malformed"
    assert lines[4].startswith("latency p50/p95/p99 ")
    files = sorted(path.name for path in (tmp_path / "a/b").iterdir())
    assert files == ["000000.png", "000001.png", "000002.png"]
    labels = cv2.imread(str(tmp_path / "a/b/000001.png"), cv2.IMREAD_UNCHANGED)
    assert labels is not None
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels == 8, masks[8])
    np.testing.assert_array_equal(labels == 3, masks[3] & ~masks[8])


@pytest.mark.parametrize(("reason", "code"), [("end", 0), ("stopped", 0), ("failed", 1)])
def test_the_end_decides_the_exit_code(
    reason: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with Publisher(ZmqConfig(pattern="push")) as publisher:
        publisher.inform()
        publisher.put([frame_result(0)])
        publisher.put([EndOfStream(reason, 1, 4)])  # type: ignore[arg-type]
        assert main([publisher.endpoint, "--pattern", "pull", "--timeout_s", "60"]) == code
    printed = capsys.readouterr()
    assert f"stream over ({reason}), 4 frames dropped" in printed.out
    assert ("the publisher failed" in printed.err) == (code == 1)


def test_silence_ends_the_client(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tcp://127.0.0.1:1", "--timeout_s", "0.05"]) == 1
    printed = capsys.readouterr()
    assert "nothing came for 0.05 s" in printed.err
    assert printed.out == "0 frames, 0 messages lost, 0 malformed\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["tcp://127.0.0.1:5555", "--timeout_s", "0"],
        ["tcp://127.0.0.1:5555", "--timeout_s", "nan"],
        ["tcp://127.0.0.1:5555", "--count", "0"],
        ["tcp://127.0.0.1:5555", "--count", "many"],
        ["tcp://127.0.0.1:5555", "--pattern", "req"],
    ],
)
def test_bad_arguments_are_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_a_malformed_endpoint_is_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 2
    assert "'nonsense' is malformed" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["tcp://127.0.0.1:1", "--save", str(tmp_path / "file")]) == 1
    assert "cannot make the folder" in capsys.readouterr().err


def test_ctrl_c_is_code_130_without_a_traceback() -> None:
    with (
        Publisher(ONE) as publisher,
        started(*COMMAND, publisher.endpoint, "--timeout_s", 100) as client,
    ):
        publisher.inform()
        publisher.put([frame_result(0)])
        assert client.stdout is not None
        assert client.stdout.readline().startswith("frame 0 ")
        client.send_signal(signal.SIGINT)
        out, err = client.communicate(timeout=60)
    assert client.returncode == 130
    assert err == ""
    assert "1 frame, 0 messages lost" in out


def test_a_pipe_that_closes_ends_the_client_quietly() -> None:
    arguments = ("--pattern", "pull", "--timeout_s", 100)
    with (
        Publisher(ZmqConfig(pattern="push", linger_s=0.05)) as publisher,
        started(*COMMAND, publisher.endpoint, *arguments) as client,
    ):
        publisher.inform()
        publisher.put([frame_result(0)])
        assert client.stdout is not None
        client.stdout.readline()
        client.stdout.close()
        publisher.put([frame_result(1)])
        assert client.stderr is not None
        assert client.stderr.read() == ""
        client.stderr.close()
        assert client.wait(60) == 0


def test_a_full_disk_ends_the_client_with_one_line() -> None:
    with (
        open("/dev/full", "w") as full,  # noqa: PTH123 - a device
        Publisher(ZmqConfig(pattern="push", linger_s=0.05)) as publisher,
        started(*COMMAND, publisher.endpoint, "--pattern", "pull", stdout=full) as client,
    ):
        publisher.inform()
        publisher.put([frame_result(0)])
        _, err = client.communicate(timeout=60)
    (line,) = err.splitlines()
    assert client.returncode == 1
    assert line.endswith("No space left on device")


def test_ids_wrap_into_16_bits_and_never_to_the_background(tmp_path: Path) -> None:
    folder = LabelMapFolder(tmp_path)
    path = folder.write(frame(0, {65_535: box_mask(SIZE, 0, 0, 1, 1),
                                     65_536: box_mask(SIZE, 1, 1, 1, 1)}))  # fmt: skip
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert labels is not None
    assert (labels[0, 0], labels[1, 1], labels[2, 2]) == (65_535, 1, 0)


def test_a_further_run_does_not_overwrite_the_first(tmp_path: Path) -> None:
    folder = LabelMapFolder(tmp_path)
    assert folder.write(frame(0)) == tmp_path / "000000.png"
    assert folder.write(frame(0, run=OTHER_RUN)) == tmp_path / OTHER_RUN / "000000.png"
    assert folder.write(frame(1)) == tmp_path / "000001.png"


def test_pictures_of_earlier_runs_stay_as_they_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    LabelMapFolder(tmp_path).write(frame(0, {1: box_mask(SIZE, 0, 0, 1, 1)}))
    (tmp_path / "notes.png").write_text("")
    before = (tmp_path / "000000.png").read_bytes()
    assert caplog.messages == []
    folder = LabelMapFolder(tmp_path)
    assert caplog.messages == [
        f"{tmp_path} holds 1 numbered images of earlier runs already; "
        "those that come now go into folders named by their runs"
    ]
    assert folder.write(frame(0)) == tmp_path / RUN / "000000.png"
    assert folder.write(frame(0, run=OTHER_RUN)) == tmp_path / OTHER_RUN / "000000.png"
    assert (tmp_path / "000000.png").read_bytes() == before


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    folder = LabelMapFolder(tmp_path / "a")
    (tmp_path / "a").rmdir()
    with pytest.raises(SinkError, match=r"000000\.png: No such file"):
        folder.write(frame(0))
