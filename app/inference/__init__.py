"""Knows the model and no HTTP: decode workers, batcher, ONNX sessions, model repository."""
