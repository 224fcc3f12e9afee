"""Columns of numbers, keys by due time, and how far a task has come."""
