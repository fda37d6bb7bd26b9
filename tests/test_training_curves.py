"""The picture of a run, whose losses may have come and gone where it went on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from training import curves
from training.curves import draw_curves, main


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Figures stay open, to be looked at."""
    monkeypatch.setattr(curves, "SMOOTHED", 2)
    monkeypatch.setattr(plt, "close", lambda _: None)
    yield
    monkeypatch.undo()
    plt.close("all")


def write(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def lines(axes: Axes) -> dict[object, list[tuple[float, float]]]:
    return {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in axes.lines}


def test_losses_that_come_or_go_are_drawn_where_they_are(tmp_path: Path) -> None:
    before = [{"step": step, "label": 1.0, "token": 4.0} for step in (1, 2, 3, 4)]
    after = [{"step": step, "label": 3.0, "dice": 5.0} for step in (5, 6)]
    write(tmp_path / "losses.jsonl", before + after)
    path = draw_curves(tmp_path)
    assert path.stat().st_size > 1000
    left, _ = plt.gcf().axes
    assert lines(left) == {
        "label": [(1.5, 1), (3.5, 1), (5.5, 3)],
        "token": [(1.5, 4), (3.5, 4)],
        "dice": [(5.5, 5)],
    }


def test_the_last_steps_are_drawn_too(tmp_path: Path) -> None:
    write(tmp_path / "losses.jsonl", [{"step": step, "label": step**2} for step in (1, 2, 3)])
    draw_curves(tmp_path)
    left, _ = plt.gcf().axes
    assert lines(left) == {"label": [(1.5, 2.5), (3, 9)]}


def test_a_single_mean_can_be_seen(tmp_path: Path) -> None:
    write(tmp_path / "losses.jsonl", [{"step": step, "label": 1.0} for step in (1, 2)])
    draw_curves(tmp_path)
    left, _ = plt.gcf().axes
    (curve,) = left.lines
    assert curve.get_marker() == "."


def test_a_log_that_was_cut_off_is_drawn_and_a_broken_one_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "losses.jsonl"
    log.write_text('{"step": 1, "label": 2.0}\n{"step": 2, "la')
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'curves.png'}\n"
    log.write_text('{"step": 1, "label": 2.0}\n{"step": 2, "la\n')
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {log}: line 2 is no JSON: ")


def test_figures_are_drawn_where_there_was_an_evaluation(tmp_path: Path) -> None:
    write(tmp_path / "losses.jsonl", [{"step": 1, "label": 1.0}])
    figures = {"step": 1, "AP": 0.25, "AP50": 0.5, "person_AP50": 0.75}
    write(tmp_path / "figures.jsonl", [figures])
    draw_curves(tmp_path)
    left, right = plt.gcf().axes
    assert lines(left) == {"label": [(1, 1)]}
    assert lines(right) == {"AP": [(1, 0.25)], "AP50": [(1, 0.5)], "person_AP50": [(1, 0.75)]}


def test_data_without_people_have_no_figure_of_people(tmp_path: Path) -> None:
    write(tmp_path / "losses.jsonl", [{"step": 1, "label": 1.0}])
    write(tmp_path / "figures.jsonl", [{"step": 1, "AP": 0.25, "AP50": 0.5}])
    draw_curves(tmp_path)
    _, right = plt.gcf().axes
    assert lines(right) == {"AP": [(1, 0.25)], "AP50": [(1, 0.5)]}
