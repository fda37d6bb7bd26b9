"""What a figure was measured on: the commit of the code that ran, asked for before it ran."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import clip_memory, faults, latency, machine, soak

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    command = ["git", *who, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of code, committed and tagged, and the current folder elsewhere."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "code.py").write_text("one = 1\n")
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "One")
    git(folder, "tag", "v1")
    monkeypatch.setattr(machine, "CODE", folder)
    monkeypatch.chdir(tmp_path)
    return folder


@needs_git
def test_the_commit_is_that_of_the_code_and_changes_are_marked(code: Path) -> None:
    committed = git(code, "rev-parse", "HEAD")
    assert machine.commit(digits=40) == committed
    assert machine.describe()["commit"] == committed[:7]
    (code / "results.json").write_text("{}")  # no part of the code
    assert machine.commit() == committed[:7]
    (code / "code.py").write_text("one = 2\n")
    assert machine.commit() == committed[:7] + "+changes"


@needs_git
def test_there_is_no_commit_outside_of_a_checkout(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code / "installed").mkdir()  # in somebody else's repository
    monkeypatch.setattr(machine, "CODE", code / "installed")
    assert machine.commit() is None


def test_there_is_no_commit_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(machine, "CODE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.describe()["commit"] is None


class AskedError(BaseException):  # a command would make an exit code of an Exception
    """The machine was asked what it is."""


@pytest.mark.parametrize(
    ("module", "first"),
    [(soak, "load"), (latency, "load"), (faults, "RtspServer"), (clip_memory, "save_vistr")],
)
def test_the_machine_is_asked_before_anything_runs(
    module: ModuleType, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask() -> None:
        raise AskedError

    def run(*_: object) -> None:
        pytest.fail("it ran before")

    monkeypatch.setattr(module, "describe", ask)
    monkeypatch.setattr(module, first, run)
    with pytest.raises(AskedError):
        module.main([])
