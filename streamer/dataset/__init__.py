"""The videos of a data set in, one YouTube-VIS results file out: ``python -m streamer.dataset``."""
