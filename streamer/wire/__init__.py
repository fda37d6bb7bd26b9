"""The wire format ``vistr-masks``, version 1: messages to bytes and back."""
