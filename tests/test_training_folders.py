"""A folder without a name, as of a variable that is not set, is not the current one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from training import compose, curves, evaluate, fetch


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (compose.main, [""]),
        (curves.main, [""]),
        (evaluate.main, ["--out", ""]),
        (fetch.main, [""]),
    ],
)
def test_an_empty_name_is_refused(
    main: Callable[[list[str]], int],
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("'' is no folder's name\n")
    assert not list(tmp_path.iterdir())
