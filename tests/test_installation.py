"""Where a package is missing: one line that says which, and what would install it."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from streamer.errors import StreamError
from streamer.installation import FOR_STREAM, FOR_TRAINING, whole_installation
from tests.processes import ROOT

# None in `sys.modules` is a package that is not there.
WITHOUT = "import runpy, sys; sys.modules[{!r}] = None; "


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
    assert complaint.endswith(f" is not installed; {FOR_STREAM}\n")


@pytest.mark.parametrize(
    ("module", "package", "mended_by"),
    [
        ("benchmarks.throughput", "torch", FOR_STREAM),
        ("benchmarks.throughput", "tqdm", FOR_STREAM),
        ("benchmarks.latency", "torch", FOR_STREAM),
        ("benchmarks.soak", "torch", FOR_STREAM),
        ("benchmarks.faults", "torch", FOR_STREAM),
        ("benchmarks.clip_memory", "torch", FOR_STREAM),
        ("training.compose", "tqdm", FOR_TRAINING),
        ("training.curves", "matplotlib", FOR_TRAINING),
        ("training.evaluate", "torch", FOR_TRAINING),
        ("training.fetch", "resvg_py", FOR_TRAINING),
    ],
)
def test_a_benchmark_and_a_command_of_training_say_what_is_missing(
    module: str, package: str, mended_by: str
) -> None:
    code = WITHOUT.format(package) + f"runpy.run_module({module!r}, run_name='__main__')"
    assert run(code) == (1, f"error: {package} is not installed; {mended_by}\n")


def test_other_errors_of_such_a_command_keep_their_traceback() -> None:
    ended, complaint = run(
        "from streamer.installation import explain_missing; explain_missing('no way'); 1 / 0"
    )
    assert ended == 1
    assert complaint.endswith("ZeroDivisionError: division by zero\n")


def test_a_program_gets_an_error_of_this_package() -> None:
    code = """import streamer
try:
    streamer.stream("a.mp4")
except streamer.StreamError as error:
    sys.exit(str(error))
"""
    ended, complaint = run(WITHOUT.format("torch") + code)
    assert ended == 1
    assert complaint == f"torch is not installed; {FOR_STREAM}\n"


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


def test_a_misspelled_module_of_ours_is_no_missing_package() -> None:
    with pytest.raises(ModuleNotFoundError), whole_installation():
        importlib.import_module("streamer.nothing")
    with pytest.raises(StreamError, match="nothing_else is not installed"), whole_installation():
        importlib.import_module("nothing_else")
