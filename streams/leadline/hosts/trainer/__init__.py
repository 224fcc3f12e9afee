"""The trainer: a process of its own that answers retrain requests with candidates."""
