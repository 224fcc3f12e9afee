"""Records as bytes on Kafka topics: codec, topics, dead letters."""
