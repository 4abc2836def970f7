"""A student as a folder that ships: for transformers, for ONNX without torch, for the hub."""
