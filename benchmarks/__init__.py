"""What measures the quality of results, and speed."""

from streamer.allocator import keep_memory
from streamer.openmp import share_cores

share_cores()  # as the stream does, before a benchmark imports PyTorch
keep_memory()
