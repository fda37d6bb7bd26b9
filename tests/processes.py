"""Programs in processes of their own, which are not there any more afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
"""The project's folder, in which a program finds its modules."""

STREAM = (sys.executable, str(ROOT / "run_stream.py"))
"""The command that runs the stream, up to its arguments."""


@contextmanager
def started(*command: object, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A program whose output goes into pipes, unless `options` of `subprocess.Popen` tell."""
    pipe = subprocess.PIPE
    process: subprocess.Popen[str] = subprocess.Popen(
        [str(word) for word in command],
        **{"stdout": pipe, "stderr": pipe, "text": True, "cwd": ROOT, **options},
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        for pipe_end in (process.stdin, process.stdout, process.stderr):
            if pipe_end is not None:  # not read to its end: a process of this one's may hold it
                pipe_end.close()
        process.wait()


def killed_after_writing(code: str, *arguments: object) -> None:
    """Kill Python code that says ``written`` in a line, and then waits for its input."""
    program = (sys.executable, "-c", code, *arguments)
    with started(*program, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"


def words_of(code: str, chosen: Mapping[str, str], names: Collection[str]) -> list[str]:
    """What Python code prints where the environment has `chosen` of some variables, and no other.

    Args:
        code: Run to its end, without an error.
        chosen: Variables that it finds, besides those of this process.
        names: Those of this process that it does not find.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | dict(chosen),
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.split()
