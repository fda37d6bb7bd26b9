"""What measures the quality of results; run from the repository root, not part of the package."""
