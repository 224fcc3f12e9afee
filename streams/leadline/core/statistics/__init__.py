"""Statistics without windows: intervals, tests and detectors on plain numbers."""
