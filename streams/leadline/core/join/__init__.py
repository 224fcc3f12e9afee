"""The late-label join."""
