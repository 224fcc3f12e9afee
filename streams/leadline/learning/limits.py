"""The files of a version, and how large they may be: far above any honest one, and below what would end a worker."""

MANIFEST = "manifest.json"
MODEL, SIGNATURE, PROFILE = "model.skops", "signature.json", "profile.json"
RIVER = "model.river"
"""Of a version whose model learns label by label, in place of the file of skops."""
XGBOOST, LIGHTGBM, ONNX = "model.xgboost", "model.lightgbm", "model.onnx"
"""Of a version whose model is in its own library's file, in place of that of skops."""
MODELS = (MODEL, RIVER, XGBOOST, LIGHTGBM, ONNX)
"""A version has one of these, or its model answers elsewhere."""
LINEAR = "linear.json"
"""The numbers of a logistic regression: workers score with them, and leave the model's file alone."""
SERVED, GOLDEN = "served.json", "golden.json"
RECEIPT = "receipt.json"
"""How a version was trained, where Leadline did it."""
TRAINING_SETS = ".training-sets"
"""The folder of a model's training sets, beside its versions."""

LIMITS = {
    MANIFEST: 1 << 20,
    SIGNATURE: 64 << 20,
    PROFILE: 64 << 20,
    LINEAR: 16 << 20,
    SERVED: 16 << 20,
    GOLDEN: 64 << 20,
    RECEIPT: 4 << 20,
    MODEL: 512 << 20,
    RIVER: 64 << 20,
    XGBOOST: 256 << 20,
    LIGHTGBM: 256 << 20,
    ONNX: 256 << 20,
}
"""Bytes of each file."""
OWN_WINDOWS = 16 << 20
"""Bytes of the profile that a reference's own windows may have; older ones are left out."""

BYTES = 64 << 20
"""Of the state of a booster inside of a skops file."""

SCHEMA = "schema.json"
"""Inside a model's file: which objects are made of its arrays."""
UNPACKED = 1 << 30
"""Bytes of all that is packed in a model's file, and once more of what its objects read."""
SCHEMA_BYTES, VALUES = 128 << 20, 4_000_000
"""Of the schema; boosting with 3,000 trees has half of it."""
MEMBERS = 65_535
ARRAY_DIMENSION = 1 << 32
