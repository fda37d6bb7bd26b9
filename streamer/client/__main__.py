"""``python -m streamer.client``."""

from __future__ import annotations

import sys

from streamer.client.command import main

if __name__ == "__main__":
    sys.exit(main())
