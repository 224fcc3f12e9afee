"""Limits of size: what a topic takes, what is written at once, and what is left of a record that becomes a dead letter."""

# -- topics ---------------------------------------------------------------------------------------------------------------

MESSAGE_BYTES = 4 << 20
"""What a topic takes as one batch of records (``max.message.bytes``), where `leadline topics apply` made it."""
BATCH_BYTES = 900_000
"""A batch of records is closed when it is longer: it is shorter than this and one record more."""
CHANGELOG_BYTES = 8 << 20
"""State changes of one transaction. They are one batch."""
CHANGELOG_MESSAGE_BYTES = 2 * CHANGELOG_BYTES
RUN_BYTES = 16 << 20
"""Keys and values of a run that are worked on in one transaction: what becomes of them is not much more."""

# -- dead letters ---------------------------------------------------------------------------------------------------------

LETTER_VALUE_BYTES = 3 << 20
LETTER_KEY_BYTES = 16 << 10
"""Value and key of a dead letter; what is longer is cut."""
HEADER_BYTES = 1000
"""Each header of a dead letter, in UTF-8."""

# -- what comes in --------------------------------------------------------------------------------------------------------

MOST_RECORD_BYTES = 3 << 20
"""The most that ``LEADLINE_RECORD_BYTES`` may say: the prediction of a request, and its label, still fit into their topics."""
