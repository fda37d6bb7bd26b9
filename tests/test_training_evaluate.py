"""``python -m training.evaluate`` from the outside."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from model import load_vistr, save_vistr
from tests.clips import make_clip
from tests.evaluated import pictures, sure_vistr, write_assets, write_labels
from training.evaluate import main
from training.state import tensors_sha256
from training.streaming import stream_results


@dataclass
class Given:
    """A folder of assets, weights, labels and the clip that they are of."""

    folder: Path

    def arguments(self, *more: str, weights: str = "net") -> list[str]:
        paths = {
            "--weights": f"{weights}.safetensors",
            "--assets": "assets",
            "--real": "labels.json",
            "--video": "clip.mp4",
        }
        small = "--clips 1 --people_streams 1 --mixed_streams 1 --stream_frames 20".split()
        named = [part for name, path in paths.items() for part in (name, str(self.folder / path))]
        return [*named, *small, *more]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    folder = tmp_path_factory.mktemp("given")
    write_assets(folder / "assets")
    make_clip(folder / "clip.mp4", frames=list(pictures(5, 20)))
    net = sure_vistr(18)
    for name, saved in {"net": net, "frame": sure_vistr(1), "few": sure_vistr(18, 2)}.items():
        save_vistr(saved, folder / f"{name}.safetensors")
    video, results = stream_results(net, folder / "clip.mp4", "clip")
    write_labels(folder / "labels.json", video, results, (0, 7, 14))
    return Given(folder)


@pytest.mark.slow
def test_all_parts_as_json_and_as_tables_and_chosen_ones_are_the_same_again(
    tmp_path: Path, given: Given, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out"
    assert main(given.arguments("--out", str(out))) == 0
    assert sorted(path.name for path in out.iterdir()) == ["evaluation.json", "evaluation.md"]
    report = json.loads((out / "evaluation.json").read_text())
    assert list(report) == ["weights", "machine", "tubes", "streaming", "real", "speed"]
    weights = load_vistr(given.folder / "net.safetensors")
    assert report["weights"]["tensors_sha256"] == tensors_sha256(weights)
    kinds = ("people", "people elsewhere", "sprites unseen", "sprites seen", "mixed")
    rows = [f"{kind}{handled}" for kind in kinds for handled in ("", ", untangled")]
    assert list(report["tubes"]) == rows
    expected = [f"{kind}, stride {stride}" for kind in ("people", "mixed") for stride in (12, 18)]
    assert list(report["streaming"])[::2] == expected
    assert list(report["real"]) == ["clip.mp4", "clip.mp4, stride 12"]
    assert report["real"]["clip.mp4"]["tube AP50"] == 1
    assert list(report["speed"]) == ["stride 12", "stride 18"]
    tables = (out / "evaluation.md").read_text()
    assert capsys.readouterr() == (tables, "")  # no progress where nobody watches it
    lines = tables.splitlines()
    assert lines[lines.index("## Labelled real frames, streamed") + 2] == (
        "| | mask AP | mask AP50 | tube AP | tube AP50 | HOTA | DetA | AssA | IDF1 | IDSW | tracks "
        "| objects |"
    )
    assert any(line.startswith("| clip.mp4 | 1.000 | 1.000 |") for line in lines)

    chosen = tmp_path / "chosen"
    assert main(given.arguments("--out", str(chosen), "--parts", "streaming,tubes")) == 0
    again = json.loads((chosen / "evaluation.json").read_text())
    assert list(again) == ["weights", "machine", "tubes", "streaming"]
    assert again == {part: report[part] for part in again}


def test_a_network_of_single_frames(tmp_path: Path, given: Given) -> None:
    arguments = given.arguments("--out", str(tmp_path), weights="frame")
    assert main([*arguments, "--parts", "tubes,streaming,speed"]) == 0
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert report["weights"]["frames"] == 1
    assert list(report["speed"]) == ["stride 1"]


@pytest.mark.parametrize(
    ("more", "code", "reason"),
    [
        (["--weights", "gone.pth"], 1, "gone.pth: no such file"),
        (["--assets", "gone"], 1, "gone/video/vtest.avi is missing; to fetch it: "),
        (["--real", "gone.json"], 1, "gone.json: No such file or directory"),
        (["--video", "gone.mp4"], 1, "gone.mp4: no such file"),
        (
            ["--weights", "few.safetensors"],
            1,
            "(--parts tubes,streaming): category 3 ('lizard') is none of the weights' 2",
        ),
        (["--out", "clip.mp4"], 1, "clip.mp4 is not a folder"),
    ],
)
def test_what_is_missing_is_said_before_the_work(
    tmp_path: Path,
    given: Given,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    code: int,
    reason: str,
) -> None:
    monkeypatch.chdir(given.folder)
    assert main([*given.arguments("--out", str(tmp_path / "out")), *more]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert reason in told.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong", [["--parts", "tubes,tub"], ["--clips", "0"], ["--stream_frames", "x"], []]
)
def test_wrong_arguments_end_with_code_2(tmp_path: Path, wrong: list[str]) -> None:
    out = ["--out", str(tmp_path / "out")] if wrong else []
    with pytest.raises(SystemExit) as exit_:
        main([*out, *wrong])
    assert exit_.value.code == 2
