"""Models of libraries that read their files by native code: XGBoost, LightGBM and ONNX.

A file is taken apart and checked here, and written anew: what native code gets to read is ours, so that it never meets a file that was
put together to mislead it (docs/decisions/0029).
"""
