"""All limits of size: what a topic takes, what comes in, and what one record may change in the state.

The first bound what is written, the second what is read: a record that is beyond one of them is a dead letter. They are chosen so that
what one record changes always fits into one batch of a changelog; `tests/contract/test_limits.py` derives it (docs/decisions/0015).
"""

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

# -- batches of records that come in ----------------------------------------------------------------------------------------

BATCH_UNPACKED_BYTES = 64 << 20
"""What a compressed batch may unpack to: sixteen times what a topic takes packed."""
BATCH_RECORDS = 1 << 20
"""Offsets that a batch may span. An uncompressed batch of a changelog may have some hundred thousand."""
FETCH_UNPACKED_BYTES = 64 << 20
"""Where one fetch has unpacked so much, with `RECORD_COST` for each record, the rest of it is fetched again."""
RECORD_COST = 200
"""What a record that was fetched takes in memory besides its own bytes."""

# -- what comes in --------------------------------------------------------------------------------------------------------

MOST_RECORD_BYTES = 3 << 20
"""The most that ``LEADLINE_RECORD_BYTES`` may say: the prediction of a request, and its label, still fit into their topics."""
REQUEST_ID_BYTES = 1000
NAME_BYTES = 1000
"""Names of models, versions, roles, signatures, features and categories; of models people choose 200 characters at most."""
USER_ID_BYTES = 4 << 10
CATEGORY_BYTES = 64 << 10
"""The value of a category."""
SEGMENT_BYTES = 1000
"""A segment: name, equals sign, value. So the value of a category that is a segment is shorter than other categories."""
SEGMENTS = 32
"""Segments of a prediction."""
FEATURES = 10_000
"""Features of a request or a prediction, and categories of a request."""
REASON_BYTES = 4 << 10
"""Why a command is given; and each of its arguments, name and value."""
ARGUMENTS = 100
"""Of a command."""
TRAINED_PARTITIONS = 10_000
"""Partitions in the cut of a training."""
ROLLOUT_SHARES, ROLLOUT_EARLIER = 64, 64
"""Versions with a share in a rollout, and assignments before its own; the stage writes 8 and 16 at most."""

# -- what one request may keep and change in the state ----------------------------------------------------------------------

REQUEST_BYTES = 1 << 20
"""The bodies of all predictions of one request."""
REQUEST_WINDOWS = 64
"""The windows that the predictions of one request count in: versions, times one and their segments."""
