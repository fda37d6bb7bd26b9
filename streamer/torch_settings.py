"""PyTorch's settings that a stream changes, and gives back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class _OfThread(threading.local):
    """PyTorch's thread count is kept per calling thread."""

    streams = 0
    threads = 0


class TorchSettings:
    """The calling thread's number of threads, and the whole process's TF32."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams = 0
        self._allowed_tf32 = False
        self._here = _OfThread()

    def apply(self, threads: int) -> None:
        """Calculate in so many threads, and without TF32."""
        torch.set_num_threads(threads)
        # By default cuDNN rounds float32 to TF32's 10 bits in convolutions: scores move by 0.007.
        torch.backends.cudnn.allow_tf32 = False

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Give back those of before on leaving, or leave that to a stream that is still open.

        Left on another thread, the number of threads stays: only its own thread can set it.
        """
        thread = threading.get_ident()
        cudnn = torch.backends.cudnn
        is_counted = is_counted_here = False  # an interrupt may come before either
        try:
            with self._lock:
                if not self._streams:
                    self._allowed_tf32 = cudnn.allow_tf32
                self._streams += 1
                is_counted = True
            if not self._here.streams:
                self._here.threads = torch.get_num_threads()
            self._here.streams += 1
            is_counted_here = True
            yield
        finally:
            if is_counted_here and threading.get_ident() == thread:
                self._here.streams -= 1
                if not self._here.streams:
                    torch.set_num_threads(self._here.threads)
            if is_counted:
                with self._lock:
                    self._streams -= 1
                    if not self._streams:
                        cudnn.allow_tf32 = self._allowed_tf32


SETTINGS = TorchSettings()
"""They are the process's, and so is this: it counts the streams that are open."""
