"""What measures the quality of results; run from the repository root, not part of the package."""

from streamer.openmp import share_cores

share_cores()  # as the stream does, before a benchmark imports PyTorch
