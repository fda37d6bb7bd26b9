"""Logs of a run: what a kill leaves is cut off, what cannot be a line is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.errors import SourceError
from training.step_log import append, cut, logged_steps, read_log

CUT_OFF = '{"step": 3, "la'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "losses.jsonl"
    for step in (1, 2):
        append(path, {"step": step, "label": step / 3})
    return path


def test_what_was_written_is_read(log: Path) -> None:
    assert read_log(log) == [{"step": 1, "label": 1 / 3}, {"step": 2, "label": 2 / 3}]
    assert logged_steps(log) == {1, 2}
    assert read_log(log.with_name("none")) == []


def test_a_line_without_an_end_is_none_and_goes(log: Path) -> None:
    before = log.read_text()
    log.write_text(before + CUT_OFF)
    assert logged_steps(log) == {1, 2}
    cut(log, 2)
    assert log.read_text() == before
    cut(log, 1)
    assert read_log(log) == [{"step": 1, "label": 1 / 3}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (CUT_OFF, "no JSON: "),
        ("", "no JSON: "),
        ("[3]", "'[3]', expected an object of numbers with a step"),
        ('{"label": 1}', "'{\"label\": 1}', expected an object"),
        ('{"step": "3"}', '\'{"step": "3"}\', expected an object'),
        ('{"step": 3, "label": null}', '\'{"step": 3, "label": null}\', expected an object'),
    ],
)
def test_a_line_that_is_none_is_named(log: Path, line: str, message: str) -> None:
    log.write_text(log.read_text() + line + '\n{"step": 4}\n')
    before = log.read_text()
    for read in (read_log, logged_steps, lambda path: cut(path, 2)):
        with pytest.raises(SourceError) as error:
            read(log)
        assert str(error.value).startswith(f"{log}: line 3 is {message}")
    assert log.read_text() == before


def test_a_log_that_is_no_text_is_named(log: Path) -> None:
    log.write_bytes(b"\xff\n")
    with pytest.raises(SourceError, match=r"losses\.jsonl: cannot be read as text"):
        read_log(log)
