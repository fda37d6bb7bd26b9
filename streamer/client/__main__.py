"""``python -m streamer.client``."""

from __future__ import annotations

import sys

from streamer.installation import FOR_READER, explain_missing

if __name__ == "__main__":
    explain_missing(FOR_READER)

from streamer.client.command import main

if __name__ == "__main__":
    sys.exit(main())
