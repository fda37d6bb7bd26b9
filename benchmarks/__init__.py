"""What measures the quality of results; run from the repository root, not part of the package."""

import streamer as streamer  # which sets up OpenMP, before PyTorch is loaded
