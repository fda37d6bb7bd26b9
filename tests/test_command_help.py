"""What ``--help`` of a command says: every option's purpose, in words for people."""

from __future__ import annotations

import re
from importlib import import_module
from itertools import pairwise

import pytest

BENCHMARKS = "throughput latency soak faults clip_memory picture vis_ap"
TRAINING = "train compose curves evaluate fetch ship"
STREAMER = "cli dataset.__main__ demo keys results client.__main__"


@pytest.mark.parametrize(
    "module",
    [
        *(f"benchmarks.{name}" for name in BENCHMARKS.split()),
        *(f"training.{name}" for name in TRAINING.split()),
        *(f"streamer.{name}" for name in STREAMER.split()),
    ],
)
def test_help_is_written_for_people(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        import_module(module).main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "``" not in text
    assert not re.search("<(class|function) ", text)
    # Its text stands behind an option, or on the next lines, further to the right.
    lines = text.split("options:\n")[1].splitlines()
    for line, following in pairwise([*lines, ""]):
        is_alone = line.startswith("  -") and not re.search(r"\S {2,}\S", line)
        assert not is_alone or following.startswith(" " * 8), f"{line.strip()} says nothing"
