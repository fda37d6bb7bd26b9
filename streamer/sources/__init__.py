"""Where frames come from: containers, streams, cameras, images, and the thread that decodes."""
