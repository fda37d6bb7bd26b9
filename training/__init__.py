"""Training of VisTR: data, losses, the loop, and how the default weights were made."""
