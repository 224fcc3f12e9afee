"""Rollouts: how a version takes over from the champion, step by step, and how it is taken out again."""
