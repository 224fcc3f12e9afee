"""Back-test your own history: two logs through the real pipeline, on Kafka."""
