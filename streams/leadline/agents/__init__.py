"""The stages on a real Kafka: lanes, their state, and the Faust worker that gives them life."""
