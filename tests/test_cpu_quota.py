"""`streamer.cpu_quota`: threads for the processors that a container may use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from streamer.cpu_quota import choose_threads


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000\n", 8),
        ("", 8),
        ("1 0\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
    ],
)
def test_threads_are_those_that_the_container_may_use(
    quota: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    own = tmp_path / "own"
    own.write_text("9:cpu:/docker/7\n0::/system.slice/cam.service\n")
    service = tmp_path / "groups" / "system.slice" / "cam.service"
    service.mkdir(parents=True)
    for group in (service, tmp_path / "groups"):  # of a service, and of a container
        assert choose_threads("auto", tmp_path / "groups", own) == 8, "no quota is known"
        (group / "cpu.max").write_text(quota)
        assert choose_threads("auto", tmp_path / "groups", own) == expected
        assert choose_threads(5, tmp_path / "groups", own) == 5, "asked for"
        (group / "cpu.max").unlink()
