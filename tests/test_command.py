"""How commands end: errors and signals become exit codes, and nothing else is printed."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import pytest

from streamer.command import command
from streamer.errors import ConfigError, SourceError


def test_a_main_function_gets_its_arguments_and_gives_its_own_exit_code() -> None:
    @command
    def main(arguments: Sequence[str] | None = None) -> int:
        return 0 if arguments is None else len(arguments)

    assert (main(), main(["a", "b"])) == (0, 2)


@pytest.mark.parametrize(
    ("error", "code"),
    [(SourceError("a.mp4: no such file"), 1), (ConfigError("x is 3; allowed: 4"), 2)],
)
def test_an_error_is_one_line_with_its_exit_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    @command
    def main(arguments: Sequence[str] | None = None) -> int:
        raise error

    assert main() == code
    assert capsys.readouterr() == ("", f"error: {error}\n")


def test_a_defect_is_no_error_of_the_users() -> None:
    @command
    def main(arguments: Sequence[str] | None = None) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_files_be_closed_and_is_told_by_the_exit_code(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = []
    before = signal.getsignal(number)

    @command
    def main(arguments: Sequence[str] | None = None) -> int:
        try:
            os.kill(os.getpid(), number)
            signal.sigtimedwait([], 10)  # cut short by the signal's handler
        finally:
            closed.append(True)
        return 0

    assert main() == 128 + number
    assert closed
    assert capsys.readouterr() == ("", "")
    assert signal.getsignal(number) is before
