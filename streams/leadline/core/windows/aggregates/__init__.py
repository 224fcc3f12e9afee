"""The numbers of a window, one class each; `leadline.core.windows.counts.WindowCounts` is all of them together.

An aggregate is an immutable value: what one window holds of one number. Each class says, in its own module, how it is counted from
columns (`fold`, for all windows of a run at once; a sign of -1 takes back), summed (`merge`), kept (`pack`, `unpack`), written to the
record and read from it (`fields`, `of`), and which values of these fields cannot be (`out_of_range`, `disagreement`).
"""
