"""Options and fixtures that all tests share."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.waits import PATIENCE_S
from tests.web import files_of, serving

if "PYTEST_XDIST_WORKER" in os.environ:
    # Threads of PyTorch wait for each other in loops: where several processes share the cores, most
    # of the processor's time is spent so. Set before anything imports PyTorch, which reads it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if threading.current_thread() is threading.main_thread():
    # A shell lets what it starts in the background ignore Ctrl-C, and so would what tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# A busy machine takes its time over an example, and a run that fails shall fail again.
settings.register_profile(
    "tests",
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--gpu", action="store_true", help="CUDA is there: gpu tests must run")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--gpu"):
        return
    skip = pytest.mark.skip(reason="needs a CUDA device: run with --gpu on a machine that has one")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of a tiny network's random weights: windows of six frames, three slots."""
    from tests.tiny_vistr import save_tiny_vistr  # noqa: PLC0415 - it brings PyTorch, see above

    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_tiny_vistr(path, frames=6, slots=3)
    return str(path)


@pytest.fixture
def http_url(tmp_path: Path) -> Iterator[str]:
    """Where the test's folder is served over HTTP."""
    with serving(files_of(tmp_path)) as address:
        yield address


@pytest.fixture(autouse=True)
def log_level_restored() -> Iterator[None]:
    """A command sets the level of the whole process: the tests after it shall not see that."""
    log = logging.getLogger("streamer")
    level = log.level
    yield
    log.setLevel(level)


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Every test ends with the threads that it began with."""
    before = set(threading.enumerate())
    yield
    # tqdm keeps one monitor thread for the process, by design.
    left = [
        thread
        for thread in threading.enumerate()
        if thread not in before and type(thread).__name__ != "TMonitor"
    ]
    for thread in left:
        thread.join(PATIENCE_S)
    alive = [thread.name for thread in left if thread.is_alive()]
    assert alive == [], f"threads left behind: {alive}"


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error, which `capsys` reads, passes for a terminal."""
    # Of its class: the test itself gets another one.
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: True)
