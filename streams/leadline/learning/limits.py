"""The files of a version, and how large they may be: far above any honest one, and below what would end a worker."""

MANIFEST = "manifest.json"
MODEL, SIGNATURE, PROFILE = "model.skops", "signature.json", "profile.json"
LINEAR = "linear.json"
"""The numbers of a logistic regression: workers score with them, and leave the model's file alone."""

LIMITS = {
    MANIFEST: 1 << 20,
    SIGNATURE: 64 << 20,
    PROFILE: 64 << 20,
    LINEAR: 16 << 20,
    MODEL: 512 << 20,
}
"""Bytes of each file."""
