"""Scoring: named values become features, versions are routed to, scores become predictions."""
