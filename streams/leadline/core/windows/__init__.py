"""Windows of event time: their keys, their aggregates, and what a partition emits of them."""
