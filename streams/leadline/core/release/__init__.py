"""What becomes of new versions: who lets them in, and which one answers."""
