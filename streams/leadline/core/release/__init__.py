"""What a version has to pass, and the chain of what was decided."""
