"""Leadline keeps machine-learning models true on Kafka."""
