"""`streamer.home`: ~ where no shell has expanded it."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.arguments import configure, parse
from streamer.output_path import SinkError, check_writable


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_paths_in_a_config_may_begin_with_it(home: Path) -> None:
    (home / "c.yaml").write_text(
        "input: ~/a.mp4\noutput: ['~/b.mp4', 'binary=~/c/']\nresults: ~/r.json\n"
        "source: {credentials: ~/d}\n"
    )
    for config in (parse(["--config", str(home / "c.yaml")]), parse(["--config=~/c.yaml"])):
        assert config.input == f"{home}/a.mp4"
        assert config.output == [f"{home}/b.mp4", f"binary={home}/c/"]
        assert config.results == [f"{home}/r.json"]
        assert config.source.credentials == f"{home}/d"


def test_so_may_those_behind_an_equals_sign(home: Path) -> None:
    config = parse(
        ["--output=~/a.mp4", "--output=frame=~/b/", "--weights=~/w.pth", "--roi=1,2,3,4"]
    )
    assert config.output == [f"{home}/a.mp4", f"frame={home}/b/"]
    assert config.weights == f"{home}/w.pth"
    assert parse(["--mp4_clip_path=~/a.mp4"]).input == f"{home}/a.mp4"


@pytest.mark.parametrize("path", ["./~/a.mp4", "a~/b.mp4", "~a.mp4", "~nobody/a.mp4", "a/~/b.mp4"])
def test_elsewhere_it_is_a_letter_like_others(path: str) -> None:
    assert parse([path, f"--output={path}"]).output == [path]
    assert parse([path]).input == path


def test_a_program_s_paths_are_as_it_wrote_them() -> None:
    assert configure({"input": "~/a.mp4"}).input == "~/a.mp4"


def test_where_it_is_not_expanded_nobody_is_told_to_make_a_folder_of_that_name() -> None:
    with pytest.raises(
        SinkError, match=r"~/r\.json: the folder ~ does not exist; ~ is not expanded"
    ):
        check_writable("~/r.json")
