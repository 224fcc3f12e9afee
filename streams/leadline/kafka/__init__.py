"""Kafka: connections, one reader, senders, and questions to the cluster."""
