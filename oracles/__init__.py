"""Leadline's answers beside those of libraries that others trust; see scripts/oracles."""
