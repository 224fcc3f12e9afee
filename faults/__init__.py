"""Faults on a real Kafka with real workers, and a ledger that finds what they cost: `scripts/faults`."""
