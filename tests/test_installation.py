"""Where a package is missing: one line that says which, and what would install it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.processes import ROOT

# None in `sys.modules` is a package that is not there.
WITHOUT = "import runpy, sys; sys.modules[{!r}] = None; "

MENDED_BY = "this is an installation for readers, `pip install .` is for the stream"


@pytest.mark.parametrize(
    ("start", "package", "module"),
    [
        ("vistr-stream: error", "jsonargparse", "streamer.cli"),
        ("vistr-stream: error", "torch", "streamer.cli"),
        ("error", "tqdm", "streamer.dataset"),
    ],
)
def test_a_command_of_the_whole_installation_says_what_is_missing(
    start: str, package: str, module: str
) -> None:
    code = WITHOUT.format(package) + f"runpy.run_module({module!r}, run_name='__main__')"
    ended, complaint = run(code)
    assert ended == 1
    assert complaint.startswith(f"{start}: {package}")
    assert complaint.endswith(f" is not installed; {MENDED_BY}\n")


def test_a_program_gets_an_error_of_this_package() -> None:
    code = """import streamer
try:
    streamer.stream("a.mp4")
except streamer.StreamError as error:
    sys.exit(str(error))
"""
    ended, complaint = run(WITHOUT.format("torch") + code)
    assert ended == 1
    assert complaint == f"torch is not installed; {MENDED_BY}\n"


def run(code: str) -> tuple[int, str]:
    """The exit code of Python code, and what it complains of."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr
