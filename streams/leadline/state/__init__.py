"""Stores: keyed bytes of one task, whose changes become durable all at once."""
