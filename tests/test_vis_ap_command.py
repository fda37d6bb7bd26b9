"""``python -m benchmarks.vis_ap`` from the outside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.vis_ap import main
from tests.processes import ROOT
from tests.vis_files import GOLDEN, annotation, box, result, video, write

TRUTHS = [annotation(1, box(0, 10), box(5, 10)), annotation(2, box(80, 10), None)]


def arguments(paths: tuple[str, str], *more: str) -> list[str]:
    return ["--gt", paths[0], "--results", paths[1], *more]


def test_tables_and_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write(tmp_path, TRUTHS, [result(0.9, box(0, 10), box(5, 10))])
    report = tmp_path / "figures.json"
    assert main(arguments(paths, "--json", str(report))) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 videos, 2 objects, 1 results"
    assert lines[2:4] == [
        "           all   small  medium   large",
        "AP      0.5050  0.5050       -       -",  # precision 1 at 51 of 101 recall levels
    ]
    person, dog = (line.split() for line in lines[-2:])
    assert person == [*["0.5050"] * 4, "-", "-", *["0.5000"] * 2, *"2 1 1 person".split()]
    assert dog == [*"-" * 8, *"0 0 2 dog".split()]
    written = json.loads(report.read_text())
    official = json.loads((GOLDEN / "official.json").read_text())
    assert list(written) == list(official)
    assert list(written["stats"]) == list(official["stats"])
    assert written["stats"]["AP"] == pytest.approx(51 / 101)
    assert written["per_category_AP"] == {"1": pytest.approx(51 / 101), "2": -1}


def test_tracking_is_added_when_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [result(0.5, *TRUTHS[0]["segmentations"]), result(0.4, *TRUTHS[1]["segmentations"])]
    report = tmp_path / "figures.json"
    paths = write(tmp_path, TRUTHS, found)
    assert main(arguments(paths, "--tracking", "--json", str(report))) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "tracking, 1 results with a score from 0.5",
        "    HOTA    DetA    AssA    IDF1    IDSW",
        "  0.8165  0.6667  1.0000  0.8000       0",  # 2 of 3 masks; HOTA is √(2/3), IDF1 4/5
    ]
    assert list(json.loads(report.read_text())) == ["stats", "per_category_AP", "tracking"]
    assert main(arguments(paths, "--tracking", "--min_score", "0.4")) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["1.0000"] * 4 + ["0"]


def test_bad_entries_end_the_run_or_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [result(0.9, *truth["segmentations"]) for truth in TRUTHS]
    paths = write(tmp_path, [*TRUTHS, TRUTHS[0]], [good[0], good[1] | {"video_id": 5}, good[1]])
    assert main(arguments(paths)) == 1
    told = capsys.readouterr()
    duplicate = f"{paths[0]}: annotations[2] (id 1, video_id 1, category_id 1): id 1 is taken by"
    assert (told.out, told.err) == ("", f"error: {duplicate} an earlier entry\n")
    assert main(arguments(paths, "--skip_bad")) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[3].split() == ["AP", "1.0000", "1.0000", "-", "-"]
    unknown = f"{paths[1]}: results[1] (video_id 5, category_id 1): the ground truth lists no such"
    assert told.err == (
        f"left out 2 bad entries:\n  {duplicate} an earlier entry\n  {unknown} video\n"
    )


def test_bad_entries_are_listed_also_where_the_run_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gt, _ = write(tmp_path, [*TRUTHS, TRUTHS[0]], [])
    assert main(["--gt", gt, "--results", str(tmp_path / "gone.json"), "--skip_bad"]) == 1
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "left out 1 bad entries:"
    assert last == f"error: {tmp_path}/gone.json: No such file or directory"


def test_results_of_unlisted_categories_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = TRUTHS[0]["segmentations"]
    strange = [result(0.95, *masks, category_id=number) for number in (7, 3, 7)]
    paths = write(tmp_path, TRUTHS[:1], [*strange, result(0.9, *masks)])
    assert main(arguments(paths, "--tracking")) == 0
    told = capsys.readouterr()
    assert told.err == (
        "warning: 3 results don't count: the ground truth does not list their categories, 3, 7\n"
    )
    assert told.out.splitlines()[3].split()[1] == told.out.splitlines()[-1].split()[0] == "1.0000"


def test_of_many_unlisted_categories_the_first_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = [result(0.9, *TRUTHS[0]["segmentations"], category_id=n) for n in range(20, 3, -1)]
    assert main(arguments(write(tmp_path, TRUTHS[:1], strange))) == 0
    assert capsys.readouterr().err.endswith(
        "list their categories, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 and 7 more\n"
    )


def test_nothing_to_track_has_no_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write(tmp_path, [], [], videos=[video()])
    assert main(arguments(paths, "--tracking")) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["-"] * 5


def test_a_name_that_cannot_be_printed_breaks_no_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [{"id": 1, "name": "a\nb"}, {"id": 2, "name": "é ☃"}]
    assert main(arguments(write(tmp_path, TRUTHS, [], categories=names))) == 0
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert first.endswith(r"  1 'a\nb'")
    assert second.endswith("  2 é ☃")


def test_the_figures_need_a_place_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write(tmp_path, TRUTHS, [])
    before = Path(paths[0]).read_bytes()
    for path in (f"{tmp_path}/../{tmp_path.name}/gt.json", paths[1]):
        assert main(arguments(paths, "--json", path)) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert "is also --" in told.err
    assert Path(paths[0]).read_bytes() == before


@pytest.mark.parametrize(
    "wrong",
    [
        ["--gt", ""],
        ["--results", ""],
        ["--json", "gone/f.json"],
        ["--min_score", "nan"],
        ["--min_score", "high"],
        ["--score", "1"],
        ["more"],
    ],
)
def test_wrong_arguments_end_with_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: list[str]
) -> None:
    paths = write(tmp_path, TRUTHS, [])
    with pytest.raises(SystemExit) as exit_:
        main(arguments(paths, *wrong))
    assert exit_.value.code == 2
    assert wrong[0] in capsys.readouterr().err.splitlines()[-1]


def test_a_least_score_without_tracking_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write(tmp_path, TRUTHS, [])
    assert main(arguments(paths, "--min_score", "0.4")) == 2
    assert (
        capsys.readouterr().err == "error: --min_score is 0.4; allowed: none without --tracking\n"
    )


def test_tracking_without_its_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trackeval", None)
    paths = write(tmp_path, TRUTHS, [])
    assert main(arguments(paths, "--tracking")) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "pip install -e '.[eval]' && pip install --no-deps 'trackeval>=1.3,<2'" in told.err
    assert main(arguments(paths)) == 0


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    paths = write(tmp_path, TRUTHS, [])
    command = [sys.executable, "-m", "benchmarks.vis_ap", *arguments(paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 videos, 2 objects, 0 results\n")
