"""A page about one model: what its topics say, as plots and as JSON."""
