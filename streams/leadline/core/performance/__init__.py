"""Live metrics with their intervals."""
