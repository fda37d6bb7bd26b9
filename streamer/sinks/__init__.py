"""Where results go, each on a thread of its own.

ZeroMQ, MP4 files, folders of images, animated previews, results and annotations.
"""
