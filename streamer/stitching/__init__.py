"""Identities and masks across windows: tracks, their matching, and the merging of overlaps."""
