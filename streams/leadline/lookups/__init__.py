"""Features that are looked up in Redis when a request is scored."""
