"""What Leadline costs in processor time, beside plain Faust doing the same job in the same run: `scripts/bench`."""
