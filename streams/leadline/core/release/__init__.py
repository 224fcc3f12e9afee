"""What is to become of a new version."""
