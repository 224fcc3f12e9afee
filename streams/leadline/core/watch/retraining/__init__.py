"""When a model is trained again, and when not."""
