"""``python -m streamer.dataset``."""

from __future__ import annotations

import sys

from streamer.errors import StreamError
from streamer.installation import whole_installation

try:
    with whole_installation():
        from streamer.dataset.command import main
except StreamError as error:
    sys.exit(f"error: {error}")

if __name__ == "__main__":
    sys.exit(main())
