"""``python -m streamer.dataset``."""

from __future__ import annotations

import sys

from streamer.dataset.command import main

if __name__ == "__main__":
    sys.exit(main())
