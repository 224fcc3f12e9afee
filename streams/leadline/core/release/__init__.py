"""Decisions about the versions of a model: what is trained, compared, approved and rolled out."""
