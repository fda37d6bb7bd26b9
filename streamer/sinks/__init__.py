"""Where results go: ZeroMQ, MP4 files and results files, each on a thread of its own."""
