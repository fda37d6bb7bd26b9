"""`streamer.torch_settings`: what a stream changes is given back, whatever comes between."""

from __future__ import annotations

import pytest
import torch

from streamer.torch_settings import TorchSettings


def test_an_interrupt_while_they_are_noted_does_not_keep_them_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    settings, threads = TorchSettings(), torch.get_num_threads()
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(torch, "get_num_threads", interrupt)
        with settings.kept():
            pass
    with settings.kept():
        settings.apply(threads + 1)
    assert torch.backends.cudnn.allow_tf32
    assert torch.get_num_threads() == threads
