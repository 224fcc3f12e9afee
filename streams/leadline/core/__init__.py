"""Decisions without I/O and without a clock: records and time come in, outputs are returned."""
