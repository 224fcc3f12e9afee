"""Models that learn label by label (river): how they are stored and read, which rows they learn, and in which order."""

BEFORE, LABELED_AT = "before.river", "labeled_at"
"""In the folder of a training, the snapshot from which is gone on; in its rows, the column of when each label came."""
