"""Hostile bytes into the decoders, beside a naive reference that reads one record at a time: `scripts/fuzz`."""
